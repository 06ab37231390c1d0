/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_derive.c - rules that follow from other keys of a policy
 *
 * A call passes to a host that knows nothing of what the policy says the
 * guest's machine is. Where a key makes it another machine, the guest kernel
 * has to answer.
 */
#include "kernel/util.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy_impl.h"

/* Not what the host would say or do: the guest's CPUs have numbers of their own,
 * and where tasks are placed is not where they may be. */
static const struct policy_pos *cpus_decided_by(const struct policy *p)
{
	if (p->vcpus)
		return &p->vcpus_pos;
	return p->placement != PLACEMENT_OFF ? &p->placement_pos : NULL;
}

static const struct policy_pos *release_decided_by(const struct policy *p)
{
	return p->kernel_release ? &p->kernel_release_pos : NULL;
}

/* Calls whose answer the guest kernel gives because of another key: they may
 * not pass. A stricter lane stays as it is. */
static const struct {
	const char *call, *text;
	const struct policy_pos *(*decided_by)(const struct policy *p);
} not_passed[] = {
	{ "uname", "uname = fix (kernel_release is set)", release_decided_by },
	{ "sched_setaffinity", "sched_setaffinity = fix (for vcpus and placement)",
	  cpus_decided_by },
	{ "sched_getaffinity", "sched_getaffinity = fix (for vcpus and placement)",
	  cpus_decided_by },
	{ "getcpu", "getcpu = fix (for vcpus and placement)", cpus_decided_by },
};

/* The rules of a call that count: the last one without a test, and those behind it. */
static size_t first_rule(const struct policy *p, int nr)
{
	size_t first = p->nrules;

	for (size_t i = p->nrules; i > 0; i--) {
		if (p->rule[i - 1].nr != nr)
			continue;
		first = i - 1;
		if (p->rule[first].ntests == 0)
			break;
	}
	return first;
}

/* With tests, each rule that passes becomes a fix; without, a line overrides it. */
static int do_not_pass(struct loader *ld, int nr, const struct policy_pos *pos, const char *text)
{
	struct policy_rule r = { .nr = nr, .lane = LANE_FIX, .pos = *pos, .text = text };
	size_t first = first_rule(ld->p, nr);
	bool base = false;

	for (size_t i = first; i < ld->p->nrules; i++) {
		struct policy_rule *have = &ld->p->rule[i];

		if (have->nr != nr || !lane_passes(have->lane))
			continue;
		if (have->ntests)
			have->lane = LANE_FIX;
		else
			base = true;
	}
	if (!base)
		return 0;
	for (size_t i = first + 1; i < ld->p->nrules; i++)
		if (ld->p->rule[i].nr == nr) {
			ld->p->rule[first].lane = LANE_FIX;
			return 0;
		}
	return policy_rule_add(ld, &r);
}

int policy_derive(struct loader *ld)
{
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(not_passed) && ret == 0; i++) {
		const struct policy_pos *pos = not_passed[i].decided_by(ld->p);

		if (pos)
			ret = do_not_pass(ld, syscall_number(not_passed[i].call), pos,
					  not_passed[i].text);
	}
	return ret;
}
