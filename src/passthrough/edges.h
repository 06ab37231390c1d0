/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edges.h - argument values at which a policy's tests could go wrong
 *
 * For each tested argument the values on and beside every tested value, with
 * other high halves, and with single bits of masks flipped; then all
 * combinations of them over the arguments, one after the other.
 */
#ifndef WEIR_PASSTHROUGH_EDGES_H
#define WEIR_PASSTHROUGH_EDGES_H

#include "passthrough/policy.h"

#define EDGES_MAX_SLOTS 12	/* the arguments of two calls */
#define EDGES_MAX_VALUES 4096	/* of one argument */

struct edges {
	struct {
		uint64_t value[EDGES_MAX_VALUES];
		unsigned n, at;
	} slot[EDGES_MAX_SLOTS];
	bool overflow;		/* more values than there is room for */
};

void edges_init(struct edges *e);

/* Add the edge values of a test to a slot. */
void edges_add(struct edges *e, unsigned slot, const struct policy_test *t);

/* How many combinations there are; UINT64_MAX after an overflow. */
uint64_t edges_count(const struct edges *e);

/* The value of a slot in the present combination, 0 for a slot without tests. */
static inline uint64_t edges_value(const struct edges *e, unsigned slot)
{
	return e->slot[slot].n ? e->slot[slot].value[e->slot[slot].at] : 0;
}

/* Go to the next combination; false after the last, and back at the first. */
bool edges_next(struct edges *e);

#endif
