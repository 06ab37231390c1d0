/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lanes.c - the lane table: every call is in exactly one lane
 *
 * The rules of a policy are sorted by call and into the order in which they
 * are tried: the newest first, up to the newest unconditional one. What an
 * unconditional or an identical test hides is not in the table. The first
 * rule whose tests hold decides; behind the last is the default.
 */
#include "passthrough/lanes.h"

#include <errno.h>
#include <linux/audit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy/policy_impl.h"
#include "passthrough/policy/shipped.h"

#define X32_BIT 0x40000000u

const char *const lane_str[NUM_LANES] = {
	[LANE_PASS] = "pass", [LANE_FIX] = "fix",   [LANE_TRAP] = "trap",
	[LANE_DENY] = "deny", [LANE_KILL] = "kill", [LANE_WATCH] = "watch",
};

/* Which rules of the policy are in the table, and the chain of each call. */
struct resolver {
	int *older;			/* by rule: the next of the same call to be tried, or -1 */
	int newest[LANES_MAX_NR];	/* -1: no rule */
	int oldest[LANES_MAX_NR];
	bool closed[LANES_MAX_NR];	/* an unconditional rule ends the chain */
	unsigned kept;
};

static bool same_tests(const struct policy_rule *a, const struct policy_rule *b)
{
	return a->ntests == b->ntests &&
	       (a->ntests == 0 ||
		memcmp(a->test, b->test, a->ntests * sizeof(a->test[0])) == 0);
}

static void resolve_rule(struct resolver *s, const struct policy *p, int i)
{
	const struct policy_rule *r = &p->rule[i];

	if (r->nr < 0 || r->nr >= LANES_MAX_NR || s->closed[r->nr])
		return;
	if (r->ntests == 0)
		s->closed[r->nr] = true;
	for (int k = s->newest[r->nr]; k >= 0; k = s->older[k])
		if (same_tests(&p->rule[k], r))
			return;
	if (r->by_default)
		return;
	s->older[i] = -1;
	if (s->newest[r->nr] < 0)
		s->newest[r->nr] = i;
	else
		s->older[s->oldest[r->nr]] = i;
	s->oldest[r->nr] = i;
	s->kept++;
}

/* Not a call that a program makes: the host goes on with one that a signal interrupted, and
 * that was seen when it came. */
static bool observable(int nr)
{
	return nr != SYS_restart_syscall;
}

static bool lane_stops(const struct policy *p, enum lane lane, int nr)
{
	return lane == LANE_TRAP || lane == LANE_FIX || lane == LANE_WATCH ||
	       (p->observe && observable(nr));
}

static void add_rule(struct lanes *l, const struct policy_rule *r)
{
	l->rule[l->nrules] = (struct lane_rule){
		.rule = r,
		.lane = r->lane,
		.err = r->lane == LANE_DENY ? r->err : 0,
		.stops = lane_stops(l->policy, r->lane, r->nr),
		.nr = r->nr,
		.id = l->nrules,
		.pos = &r->pos,
	};
	l->nrules++;
}

/* The two rules that no line writes. */
static void add_fixed(struct lanes *l)
{
	const struct policy *p = l->policy;

	l->rule[LANES_DEFAULT] = (struct lane_rule){
		.lane = p->default_lane,
		.err = p->default_lane == LANE_DENY ? p->default_err : 0,
		.stops = p->observe,
		.nr = -1,
		.id = LANES_DEFAULT,
		.pos = &p->default_pos,
	};
	l->other_arch.pos = (struct policy_pos){ "(built in)", 0 };
	l->rule[LANES_OTHER_ARCH] = (struct lane_rule){
		.lane = LANE_DENY,
		.err = ENOSYS,
		.nr = -1,
		.id = LANES_OTHER_ARCH,
		.pos = &l->other_arch.pos,
	};
	l->nrules = LANES_FIRST;
}

int lanes_resolve(const struct policy *p, struct lanes **ret, struct policy_error *err)
{
	cleanup_free struct resolver *s = calloc(1, sizeof(*s));
	cleanup_free int *older = calloc(p->nrules + 1, sizeof(*older));
	struct lanes *l = calloc(1, sizeof(*l));

	if (!s || !older || !l)
		goto no_memory;
	s->older = older;
	memset(s->newest, -1, sizeof(s->newest));
	for (size_t i = p->nrules; i > 0; i--)
		resolve_rule(s, p, i - 1);

	l->policy = p;
	l->rule = calloc(s->kept + LANES_FIRST, sizeof(*l->rule));
	if (!l->rule)
		goto no_memory;
	add_fixed(l);
	for (int nr = 0; nr < LANES_MAX_NR; nr++) {
		l->first[nr] = l->nrules;
		for (int i = s->newest[nr]; i >= 0; i = s->older[i])
			add_rule(l, &p->rule[i]);
	}
	l->first[LANES_MAX_NR] = l->nrules;
	*ret = l;
	return 0;

no_memory:
	lanes_free(l);
	snprintf(err->text, sizeof(err->text), "no memory for the lane table");
	return -ENOMEM;
}

/* Calls without which no task gets as far as its first own instruction, or never ends. */
static const struct {
	const char *name, *why;
} needed[] = {
	{ "execve", "the guest's init is exec'ed under the mask" },
	{ "exit", "a thread could not end" },
	{ "exit_group", "a task could not end" },
	{ "rt_sigreturn", "a task could not return from a signal handler" },
};

static int check_needed(const struct lanes *l, struct policy_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		int nr = syscall_number(needed[i].name);
		const struct lane_rule *r = &l->rule[LANES_DEFAULT];

		if (l->first[nr] < l->first[nr + 1])
			r = &l->rule[l->first[nr]];
		if ((lane_passes(r->lane) || (r->rule && r->rule->fidelity)) && lane_rule_always(r))
			continue;
		if (!r->rule)
			snprintf(err->text, sizeof(err->text),
				 "policy %s: no line lets %s pass: %s; write inherit = base, or %s = pass",
				 l->policy->name, needed[i].name, needed[i].why, needed[i].name);
		else
			snprintf(err->text, sizeof(err->text),
				 "%s: %s must pass or be watched, whatever its arguments: %s; write %s = pass",
				 POS_TEXT(r->pos), needed[i].name, needed[i].why, needed[i].name);
		return -EINVAL;
	}
	return 0;
}

int lanes_build(const struct policy *p, struct lanes **ret, struct policy_error *err)
{
	struct lanes *l;
	int r = lanes_resolve(p, &l, err);

	if (r < 0)
		return r;
	if (!p->observe)
		l->shipped = shipped_find(l);
	if (!l->shipped)
		r = check_needed(l, err);
	if (!l->shipped && r == 0)
		r = family_check(l, err);
	if (r < 0) {
		lanes_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void lanes_free(struct lanes *l)
{
	if (!l)
		return;
	free(l->rule);
	free(l);
}

static bool test_holds(const struct policy_test *t, uint64_t v)
{
	if (t->width < 64)
		v &= BIT(t->width) - 1;
	switch (t->op) {
	case TEST_EQ:
		return v == t->value[0];
	case TEST_NE:
		return v != t->value[0];
	case TEST_LT:
		return v < t->value[0];
	case TEST_LE:
		return v <= t->value[0];
	case TEST_GT:
		return v > t->value[0];
	case TEST_GE:
		return v >= t->value[0];
	case TEST_MASKED_EQ:
		return (v & t->mask) == t->value[0];
	case TEST_IN:
		for (unsigned i = 0; i < t->nvalues; i++)
			if (v == t->value[i])
				return true;
		return false;
	}
	return false;
}

bool policy_rule_holds(const struct policy_rule *r, const uint64_t arg[6])
{
	for (unsigned i = 0; i < r->ntests; i++)
		if (!test_holds(&r->test[i], arg[r->test[i].arg]))
			return false;
	return true;
}

const struct lane_rule *lanes_lookup(const struct lanes *l, uint32_t arch, int nr,
				     const uint64_t arg[6])
{
	/* x32 shows as x86-64 with a bit in the number; -1 is what a tracer makes of a call. */
	if (arch != AUDIT_ARCH_X86_64 || ((uint32_t)nr >= X32_BIT && nr != -1))
		return &l->rule[LANES_OTHER_ARCH];
	if (nr < 0 || nr >= LANES_MAX_NR)
		return &l->rule[LANES_DEFAULT];
	for (unsigned i = l->first[nr]; i < l->first[nr + 1]; i++)
		if (policy_rule_holds(l->rule[i].rule, arg))
			return &l->rule[i];
	return &l->rule[LANES_DEFAULT];
}

const struct lane_rule *lanes_constant_rule(const struct lanes *l, int nr)
{
	if (l->first[nr] == l->first[nr + 1])
		return &l->rule[LANES_DEFAULT];
	if (lane_rule_always(&l->rule[l->first[nr]]))
		return &l->rule[l->first[nr]];
	return NULL;
}

unsigned lanes_count(const struct lanes *l)
{
	return l->nrules;
}

const struct lane_rule *lanes_rule(const struct lanes *l, unsigned id)
{
	return id < l->nrules ? &l->rule[id] : NULL;
}

bool lanes_stop(const struct lanes *l)
{
	for (unsigned i = 0; i < l->nrules; i++)
		if (l->rule[i].stops)
			return true;
	return false;
}
