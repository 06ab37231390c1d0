/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calm.c - when a guest is looked at for the first time
 */
#include "kernel/sched/calm.h"

#include "kernel/sched/observe_budget.h"
#include "kernel/util.h"

/* Forks and new threads, at most. */
static uint64_t forks_between(const struct calm_sample *a, const struct calm_sample *b)
{
	/* The numbers begin anew at their end: that once, nothing is known. */
	uint64_t n = a->last_pid > 0 && b->last_pid > a->last_pid ? b->last_pid - a->last_pid : 0;

	/* Those that were others' took the guest no time. */
	if (b->run_ns)
		n = MIN(n, (b->run_ns - MIN(a->run_ns, b->run_ns)) / CALM_FORK_NS);
	return n;
}

/* What observing it would have cost, ns. */
static uint64_t price_between(const struct calm_sample *a, const struct calm_sample *b, unsigned cpus)
{
	uint64_t fork = cpus * (uint64_t)OBSERVE_PRICE_EVENT + OBSERVE_FORK_RECORDS * OBSERVE_PRICE_RECORD;

	return (b->calls - a->calls) * OBSERVE_PRICE_CALL + forks_between(a, b) * fork +
	       (b->switches - a->switches) * OBSERVE_SWITCH_RECORDS * OBSERVE_PRICE_RECORD;
}

bool calm_between(const struct calm_sample *first, const struct calm_sample *a,
		  const struct calm_sample *b, unsigned cpus)
{
	if (b->ns - first->ns >= CALM_LATEST_NS)
		return true;
	/* Somebody else woke us: of so short a time nothing can be said. */
	return b->ns - a->ns >= CALM_STEP_NS / 2 &&
	       price_between(a, b, cpus) * CALM_PART <= b->ns - a->ns;
}

bool calm_for_good(const struct calm_sample *a, const struct calm_sample *b, unsigned cpus)
{
	return b->ns - a->ns >= CALM_STEP_NS / 2 &&
	       price_between(a, b, cpus) * OBSERVE_SHARE <= b->ns - a->ns;
}
