/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_write.h - rules as lines of a policy, for what makes policies
 */
#ifndef WEIR_PASSTHROUGH_POLICY_WRITE_H
#define WEIR_PASSTHROUGH_POLICY_WRITE_H

#include <stdio.h>

#include "passthrough/lanes.h"

/* All bits of an argument that the host looks at. */
uint64_t width_mask(unsigned width);

/* "NAME = LANE [ERRNO] [if TESTS]" and the line's end, in several lines if it is long. */
void policy_write_rule(FILE *f, const char *name, enum lane lane, int err,
		       const struct policy_test *test, unsigned ntests);

/* All rules of a call as they are in a table, the one that is tried last first. */
void policy_write_call(FILE *f, const struct lanes *l, int nr);

#endif
