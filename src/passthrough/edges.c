/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edges.c - argument values at which a policy's tests could go wrong
 */
#include "passthrough/edges.h"

#include "kernel/util.h"

#define HIGH_GARBAGE (UINT64_C(0xdeadbeef) << 32)
#define MANY_BITS 12	/* a mask with more has only its outermost bits flipped */

void edges_init(struct edges *e)
{
	for (unsigned i = 0; i < EDGES_MAX_SLOTS; i++)
		e->slot[i].n = e->slot[i].at = 0;
	e->overflow = false;
}

static void add(struct edges *e, unsigned slot, uint64_t v)
{
	for (unsigned i = 0; i < e->slot[slot].n; i++)
		if (e->slot[slot].value[i] == v)
			return;
	if (e->slot[slot].n == EDGES_MAX_VALUES) {
		e->overflow = true;
		return;
	}
	e->slot[slot].value[e->slot[slot].n++] = v;
}

static void add_mask(struct edges *e, unsigned slot, uint64_t mask, uint64_t v)
{
	bool many = __builtin_popcountll(mask) > MANY_BITS;

	add(e, slot, mask);
	add(e, slot, ~mask);
	add(e, slot, v | ~mask);
	for (unsigned bit = 0; bit < 64; bit++) {
		bool outer = (mask & (BIT(bit) - 1)) == 0 || mask >> bit == 1;

		if ((mask & BIT(bit)) && (!many || outer))
			add(e, slot, v ^ BIT(bit));
	}
}

void edges_add(struct edges *e, unsigned slot, const struct policy_test *t)
{
	if (e->slot[slot].n == 0) {
		add(e, slot, 0);
		add(e, slot, 1);
		add(e, slot, UINT64_MAX);
		add(e, slot, HIGH_GARBAGE);
	}
	for (unsigned i = 0; i < t->nvalues; i++) {
		uint64_t v = t->value[i];

		add(e, slot, v);
		add(e, slot, v - 1);
		add(e, slot, v + 1);
		add(e, slot, v ^ HIGH_GARBAGE);
		if (t->width == 16)
			add(e, slot, v | BIT(16));
		if (t->op == TEST_MASKED_EQ)
			add_mask(e, slot, t->mask, v);
	}
}

uint64_t edges_count(const struct edges *e)
{
	uint64_t n = 1;

	if (e->overflow)
		return UINT64_MAX;
	for (unsigned i = 0; i < EDGES_MAX_SLOTS; i++)
		if (e->slot[i].n && __builtin_mul_overflow(n, e->slot[i].n, &n))
			return UINT64_MAX;
	return n;
}

bool edges_next(struct edges *e)
{
	for (unsigned i = 0; i < EDGES_MAX_SLOTS; i++) {
		if (e->slot[i].n == 0)
			continue;
		if (++e->slot[i].at < e->slot[i].n)
			return true;
		e->slot[i].at = 0;
	}
	return false;
}
