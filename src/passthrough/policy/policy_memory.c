/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_memory.c - keys of [memory]
 */
#include <inttypes.h>
#include <stdio.h>

#include "kernel/util.h"
#include "passthrough/policy/policy_impl.h"
#include "passthrough/policy/policy_value.h"

#define DEFAULT_FLOOR (UINT64_C(32) << 20)
#define MIN_FLOOR (UINT64_C(1) << 20)
#define DEFAULT_WEIGHT 100	/* as cgroup v2's cpu.weight, and its range */
#define MAX_WEIGHT 10000

const char *const policy_budget_str[NUM_BUDGETS] = {
	[BUDGET_AUTO] = "auto",
	[BUDGET_CGROUP] = "cgroup",
	[BUDGET_STRICT] = "strict",
};

void policy_memory_defaults(struct policy_memory *m, const struct policy_pos *built_in)
{
	*m = (struct policy_memory){
		.release = true,
		.floor = DEFAULT_FLOOR,
		.weight = DEFAULT_WEIGHT,
		.budget_pos = *built_in,
		.floor_pos = *built_in,
		.merge_pos = *built_in,
	};
}

int policy_set_budget(struct loader *ld, const struct policy_entry *e)
{
	for (size_t i = 0; i < NUM_BUDGETS; i++)
		if (streq(e->value, policy_budget_str[i])) {
			ld->p->mem.budget = i;
			ld->p->mem.budget_pos = e->pos;
			return 0;
		}
	return policy_fail(ld->err, &e->pos, "budget = %s; write auto, cgroup or strict", e->value);
}

/* One of two words. */
static int set_choice(struct loader *ld, const struct policy_entry *e, const char *yes,
		      const char *no, bool *ret)
{
	if (!streq(e->value, yes) && !streq(e->value, no))
		return policy_fail(ld->err, &e->pos, "%s = %s; write %s or %s", e->key, e->value, yes,
				   no);
	*ret = streq(e->value, yes);
	return 0;
}

int policy_set_release(struct loader *ld, const struct policy_entry *e)
{
	return set_choice(ld, e, "auto", "off", &ld->p->mem.release);
}

int policy_set_merge(struct loader *ld, const struct policy_entry *e)
{
	ld->p->mem.merge_pos = e->pos;
	return set_choice(ld, e, "yes", "no", &ld->p->mem.merge);
}

int policy_set_floor(struct loader *ld, const struct policy_entry *e)
{
	uint64_t v;

	if (policy_parse_size(e->value, &v) < 0 || v < MIN_FLOOR)
		return policy_fail(ld->err, &e->pos,
				   "floor = %s; write a size of at least 1M such as 32M", e->value);
	ld->p->mem.floor = v;
	ld->p->mem.floor_pos = e->pos;
	return 0;
}

int policy_set_weight(struct loader *ld, const struct policy_entry *e)
{
	uint64_t v;

	if (policy_parse_u64(e->value, &v) < 0 || v < 1 || v > MAX_WEIGHT)
		return policy_fail(ld->err, &e->pos, "weight = %s; write a number from 1 to %d such as 100",
				   e->value, MAX_WEIGHT);
	ld->p->mem.weight = v;
	return 0;
}

int policy_memory_finish(struct loader *ld)
{
	struct policy *p = ld->p;

	if (p->mem.budget == BUDGET_STRICT && !p->memory)
		return policy_fail(ld->err, &p->mem.budget_pos,
				   "budget = strict has nothing to count against; write memory = 512M, or another size, under [guest]");
	return 0;
}

void policy_show_memory(const struct policy *p, FILE *f)
{
	fprintf(f, "\n[memory]\nbudget = %s\nrelease = %s\nfloor = %" PRIu64 "\nmerge = %s\nweight = %u\n",
		policy_budget_str[p->mem.budget], p->mem.release ? "auto" : "off", p->mem.floor,
		p->mem.merge ? "yes" : "no", p->mem.weight);
}
