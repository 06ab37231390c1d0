/* SPDX-License-Identifier: Apache-2.0 */
/*
 * observe_budget.c - what observing the guest may cost it: a token bucket
 */
#include "kernel/sched/observe_budget.h"

#include <assert.h>
#include <string.h>

#include "kernel/util.h"

const char *const observe_cost_str[OBSERVE_NUM_COSTS] = {
	[OBSERVE_COST_RECORDS] = "it switches so often",
	[OBSERVE_COST_CALLS] = "its calls stop so often",
	[OBSERVE_COST_FORKS] = "it forks so often",
	[OBSERVE_COST_ATTACH] = "it has so many tasks",
};
static_assert(ARRAY_SIZE(observe_cost_str) == OBSERVE_NUM_COSTS, "a cost has no name");

#define WIDTH_ONE 1000
#define OBSERVE_SPAN 500000	/* ns: a shorter time has no rate */

void observe_budget_init(struct observe_budget *b, uint64_t now_ns)
{
	*b = (struct observe_budget){
		.left_ns = OBSERVE_FIRST, .now_ns = now_ns, .width = WIDTH_ONE,
	};
}

void observe_budget_earn(struct observe_budget *b, uint64_t now_ns, uint64_t busy_ns)
{
	uint64_t passed = now_ns > b->now_ns ? now_ns - b->now_ns : 0, ran;

	if (!passed)
		return;
	if (busy_ns != OBSERVE_UNKNOWN) {
		ran = busy_ns > b->busy_ns ? busy_ns - b->busy_ns : 0;
		b->width = MAX(ran * WIDTH_ONE / passed, (uint64_t)WIDTH_ONE);
		b->busy_ns = busy_ns;
	}
	b->left_ns += passed * b->width / WIDTH_ONE / OBSERVE_SHARE;
	b->left_ns = MIN(b->left_ns, (int64_t)OBSERVE_SAVED);
	b->now_ns = now_ns;
	b->passed_ns = passed;
}

void observe_budget_spend(struct observe_budget *b, enum observe_cost what, uint64_t ns)
{
	b->left_ns -= ns;
	b->spent_ns[what] += ns;
	b->look_ns[what] += ns;
	/* The last drain, after all is closed, has none. */
	if (what == OBSERVE_COST_RECORDS && b->passed_ns >= OBSERVE_SPAN)
		b->records_per_s = MAX(b->records_per_s, ns * NSEC_PER_SEC / b->passed_ns);
}

void observe_budget_rest(struct observe_budget *b)
{
	uint64_t ns = MIN(b->records_per_s / OBSERVE_AFTER, (uint64_t)OBSERVE_AFTER_MAX);

	b->records_per_s = 0;
	b->left_ns -= ns;
	b->spent_ns[OBSERVE_COST_RECORDS] += ns;
}

uint64_t observe_budget_wait(const struct observe_budget *b)
{
	if (b->left_ns >= OBSERVE_LOOK)
		return 0;
	return (uint64_t)(OBSERVE_LOOK - b->left_ns) * OBSERVE_SHARE * WIDTH_ONE / b->width + 1;
}

void observe_budget_look(struct observe_budget *b, uint64_t now_ns, uint64_t busy_ns)
{
	observe_budget_earn(b, now_ns, OBSERVE_UNKNOWN);
	b->busy_ns = busy_ns;
	b->records_per_s = 0;
	memset(b->look_ns, 0, sizeof(b->look_ns));
}

bool observe_budget_dear_to_attach(const struct observe_budget *b)
{
	return b->look_ns[OBSERVE_COST_ATTACH] > OBSERVE_LOOK;
}

void observe_budget_grant(struct observe_budget *b)
{
	b->left_ns = MAX(b->left_ns, (int64_t)OBSERVE_FIRST);
}

enum observe_cost observe_budget_most(const struct observe_budget *b)
{
	enum observe_cost most = 0;

	for (int i = 1; i < OBSERVE_NUM_COSTS; i++)
		if (b->look_ns[i] > b->look_ns[most])
			most = i;
	return most;
}
