/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap_counter.c - how often a rule stopped a call, and how long it took
 *
 * Written by many threads with nothing but atomic additions: a reader may see
 * a call counted whose time is not in the histogram yet.
 */
#include "passthrough/trap_counter.h"

#include "kernel/util.h"

/* Four buckets for each doubling; exact below 8. */
static unsigned hist_bucket(uint64_t ns)
{
	unsigned exp, sub;

	if (ns < 8)
		return ns;
	exp = 63 - __builtin_clzll(ns);
	sub = (ns >> (exp - 2)) & 3;
	return MIN((exp - 1) * 4 + sub, TRAP_HIST - 1);
}

static uint64_t hist_edge(unsigned bucket)
{
	unsigned exp = bucket / 4 + 1;

	if (bucket < 8)
		return bucket;
	return (UINT64_C(4) + bucket % 4 + 1) << (exp - 2);
}

uint64_t trap_quantile(const struct trap_counter *c, double part)
{
	uint64_t total = 0, sum = 0, max = atomic_load(&c->max_ns);

	for (unsigned i = 0; i < TRAP_HIST; i++)
		total += atomic_load(&c->hist[i]);
	for (unsigned i = 0; i < TRAP_HIST && total; i++) {
		sum += atomic_load(&c->hist[i]);
		if (sum >= part * total)
			return MIN(hist_edge(i), max);
	}
	return 0;
}

void trap_count(struct trap_counter *c, uint64_t ns, bool error)
{
	uint64_t max = atomic_load_explicit(&c->max_ns, memory_order_relaxed);

	atomic_fetch_add_explicit(&c->count, 1, memory_order_relaxed);
	if (error)
		atomic_fetch_add_explicit(&c->errors, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->hist[hist_bucket(ns)], 1, memory_order_relaxed);
	while (ns > max && !atomic_compare_exchange_weak(&c->max_ns, &max, ns))
		;
}
