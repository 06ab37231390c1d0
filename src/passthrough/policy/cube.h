/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cube.h - sets of arguments as bits that must be so
 *
 * Every test of a policy, and every comparison of an OCI profile, is a union
 * of cubes: some bits of some arguments have certain values. Cubes can be
 * intersected and subtracted exactly, and each is one rule of a profile.
 */
#ifndef WEIR_PASSTHROUGH_CUBE_H
#define WEIR_PASSTHROUGH_CUBE_H

#include <stdbool.h>

#include "passthrough/policy.h"

#define CUBE_MAX 1024	/* cubes of one set */

struct cube {
	uint64_t mask[6], value[6];	/* value has no bit that mask has not */
};

struct cubes {
	unsigned n;
	bool overflow;		/* more than there is room for */
	struct cube c[CUBE_MAX];
};

/* All arguments there are. */
void cubes_all(struct cubes *s);

/* Where all tests of a rule hold, in cubes that may overlap. */
void cubes_of_rule(struct cubes *s, const struct policy_test *test, unsigned ntests);

/* Return: false if nothing is in both. */
bool cube_intersect(const struct cube *a, const struct cube *b, struct cube *ret);

/* Take a cube out of a set of disjoint cubes; they stay disjoint. */
void cubes_subtract(struct cubes *s, const struct cube *k);

#endif
