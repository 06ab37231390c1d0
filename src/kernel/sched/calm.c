/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calm.c - when a guest is looked at for the first time
 */
#include "kernel/sched/calm.h"

#include "kernel/sched/observe_budget.h"

/* Forks and new threads, at most. */
static uint64_t forks_between(const struct calm_sample *a, const struct calm_sample *b)
{
	/* The numbers begin anew at their end: that once, nothing is known. */
	return a->last_pid > 0 && b->last_pid > a->last_pid ? b->last_pid - a->last_pid : 0;
}

bool calm_between(const struct calm_sample *first, const struct calm_sample *a,
		  const struct calm_sample *b, unsigned cpus)
{
	uint64_t fork = cpus * (uint64_t)OBSERVE_PRICE_EVENT + OBSERVE_FORK_RECORDS * OBSERVE_PRICE_RECORD;
	uint64_t price = (b->calls - a->calls) * OBSERVE_PRICE_CALL + forks_between(a, b) * fork;

	if (b->ns - first->ns >= CALM_LATEST_NS)
		return true;
	/* Somebody else woke us: of so short a time nothing can be said. */
	return b->ns - a->ns >= CALM_STEP_NS / 2 && price * CALM_PART <= b->ns - a->ns;
}
