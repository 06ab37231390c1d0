/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap_counter.h - how often a rule stopped a call, and how long it took
 */
#ifndef WEIR_PASSTHROUGH_TRAP_COUNTER_H
#define WEIR_PASSTHROUGH_TRAP_COUNTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Counters of one lane rule, by lane_rule.id. Written by door threads. */
#define TRAP_HIST 96	/* buckets: four for each doubling of nanoseconds */

struct trap_counter {
	_Atomic uint64_t count, errors, max_ns;
	_Atomic uint32_t hist[TRAP_HIST];
};

/* One call answered after @ns nanoseconds. */
void trap_count(struct trap_counter *c, uint64_t ns, bool error);

/* The latency below which @part (0..1) of a counter's calls were answered, as
 * the upper edge of its bucket, in nanoseconds; 0 without calls. */
uint64_t trap_quantile(const struct trap_counter *c, double part);

#endif
