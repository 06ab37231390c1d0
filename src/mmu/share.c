/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share.c - a budget of memory, divided among guests by weight and idleness
 */
#include "mmu/share.h"

#include "kernel/util.h"

#define ROOM_LEAST (UINT64_C(64) << 20)	/* to grow until the next division */
#define ROOM_PART 4			/* of what is used: the same */
#define HUNGRY_PART 16			/* of the limit: who has no more than that left wants all */

/* How far a guest may come in a round. */
typedef uint64_t (*share_bound)(const struct share *s);

static uint64_t all(const struct share *s)
{
	return s->most;
}

static uint64_t in_use(const struct share *s)
{
	return MIN(s->used + MAX(s->used / ROOM_PART, ROOM_LEAST), s->most);
}

/* Page cache fills whatever there is: who is at its limit would use more. */
static uint64_t wanted(const struct share *s)
{
	return s->used + s->limit / HUNGRY_PART >= s->limit ? s->most : in_use(s);
}

/* In each turn all get their part by weight; who needs less leaves the rest to
 * the next turn. A turn fills up somebody or is the last. */
static uint64_t give(struct share *v, unsigned n, bool idle, share_bound bound, uint64_t left)
{
	bool full = true;

	while (full && left) {
		uint64_t weights = 0, given = 0;

		full = false;
		for (unsigned i = 0; i < n; i++)
			if (v[i].idle == idle && v[i].target < bound(&v[i]))
				weights += v[i].weight;
		for (unsigned i = 0; i < n; i++) {
			uint64_t most = bound(&v[i]), part;

			if (v[i].idle != idle || v[i].target >= most)
				continue;
			part = (uint64_t)((unsigned __int128)left * v[i].weight / weights);
			full |= part >= most - v[i].target;
			part = MIN(part, most - v[i].target);
			v[i].target += part;
			given += part;
		}
		left -= given;
	}
	return left;
}

uint64_t share_divide(struct share *v, unsigned n, uint64_t budget)
{
	static const struct {
		bool idle;
		share_bound bound;
	} rounds[] = {
		{ false, wanted }, { true, in_use }, { false, all }, { true, all },
	};
	uint64_t least = 0;

	for (unsigned i = 0; i < n; i++) {
		v[i].target = MIN(v[i].least, v[i].most);
		least += v[i].target;
	}
	if (least > budget)
		return least - budget;
	budget -= least;
	for (unsigned r = 0; r < ARRAY_SIZE(rounds); r++)
		budget = give(v, n, rounds[r].idle, rounds[r].bound, budget);
	return 0;
}
