/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_derive.c - rules that follow from other keys of a policy
 *
 * A call passes to a host that knows nothing of what the policy says the
 * guest's machine is. Where a key makes it another machine, the guest kernel
 * has to answer.
 */
#include <stdio.h>

#include "kernel/util.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy/policy_impl.h"

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

static const struct policy_pos *budget_decided_by(const struct policy *p)
{
	return p->mem.budget == BUDGET_STRICT ? &p->memory_pos : NULL;
}

/* Calls whose answer the guest kernel gives because of another key: they may
 * not pass. A stricter lane stays as it is. A call that has passed whatever its
 * arguments does so still where they do not matter: then only what @rest says
 * of them is stopped. */
static const struct derived {
	const char *call, *text;
	const struct policy_pos *(*decided_by)(const struct policy *p);
	const char *rest[2];	/* "LANE if TEST", NULL: all of it */
} not_passed[] = {
	{ "uname", "uname = fix (kernel_release is set)", release_decided_by },
	{ "sched_setaffinity", "sched_setaffinity = fix (for vcpus and placement)",
	  cpus_decided_by },
	{ "sched_getaffinity", "sched_getaffinity = fix (for vcpus and placement)",
	  cpus_decided_by },
	{ "getcpu", "getcpu = fix (for vcpus and placement)", cpus_decided_by },
	/* what a strict budget charges: private and writable (prot 2, flags 2), or
	 * shared with children only (flags 0x21) */
	{ "mmap", "mmap = fix (budget = strict)", budget_decided_by,
	  { "fix if prot &2== 2 and flags &2== 2", "fix if flags &0x21== 0x21" } },
	{ "mprotect", "mprotect = fix (budget = strict)", budget_decided_by,
	  { "fix if prot &2== 2" } },
	{ "pkey_mprotect", "pkey_mprotect = fix (budget = strict)", budget_decided_by,
	  { "fix if prot &2== 2" } },
	{ "mremap", "mremap = fix (budget = strict)", budget_decided_by },
	{ "brk", "brk = fix (budget = strict)", budget_decided_by },
	{ "fork", "fork = fix (budget = strict)", budget_decided_by },
	{ "vfork", "vfork = fix (budget = strict)", budget_decided_by },
	{ "clone", "clone = fix (budget = strict)", budget_decided_by },
	{ "clone3", "clone3 = fix (budget = strict)", budget_decided_by },
	/* no memory, but a twin of clone */
	{ "unshare", "unshare = fix (budget = strict)", budget_decided_by },
	/* memory of no process: it cannot be counted, and stays when they end */
	{ "memfd_create", "memfd_create = fix (budget = strict)", budget_decided_by },
	{ "shmget", "shmget = fix (budget = strict)", budget_decided_by },
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

/* Does the call pass whatever its arguments, but for @rest, as a policy has it that
 * weir policy show wrote? Return: how many of @rest there are, -1 if it does not. */
static int passes_but(const struct policy *p, int nr, const char *const rest[2])
{
	size_t first = first_rule(p, nr);
	int found = 0;

	if (first == p->nrules || p->rule[first].ntests || !lane_passes(p->rule[first].lane))
		return -1;
	for (size_t i = first + 1; i < p->nrules; i++) {
		if (p->rule[i].nr != nr)
			continue;
		if (found == 2 || !rest[found] || !strstr(p->rule[i].text, rest[found]))
			return -1;
		found++;
	}
	return found;
}

static int stop_some(struct loader *ld, const struct derived *d, const struct policy_pos *pos)
{
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(d->rest) && d->rest[i] && ret == 0; i++) {
		struct policy_entry e = {
			.section = "syscalls", .key = d->call, .value = d->rest[i], .pos = *pos,
		};
		struct policy_rule r = { .nr = syscall_number(d->call), .pos = *pos };
		char text[128];

		snprintf(text, sizeof(text), "%s = %s", d->call, d->rest[i]);
		r.text = policy_strdup(ld->p, text);
		ret = r.text ? policy_rule_parse(ld, &e, &r) : policy_no_memory(ld->err);
		if (ret == 0)
			ret = policy_rule_add(ld, &r);
	}
	return ret;
}

/* With tests, each rule that passes becomes a fix; without, a line overrides it. */
int policy_derive_fix(struct loader *ld, int nr, const struct policy_pos *pos, const char *text)
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
		const struct derived *d = &not_passed[i];
		const struct policy_pos *pos = d->decided_by(ld->p);
		int nr = syscall_number(d->call);

		int done = pos && d->rest[0] ? passes_but(ld->p, nr, d->rest) : -1;

		if (done == 0)
			ret = stop_some(ld, d, pos);
		else if (pos && done < 0)
			ret = policy_derive_fix(ld, nr, pos, d->text);
	}
	return ret;
}
