/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_learnt.c - from calls that were made to the policy that allows just those
 *
 * A call is kept as the combinations of those arguments that choose what it
 * does. All arguments that the policy tests are among them, so the policy
 * gives one answer for each combination. A call with more combinations than a
 * reader would want to see gets the rules that the policy has for it.
 */
#include "passthrough/policy/policy_learnt.h"

#include <errno.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy/groups.h"
#include "passthrough/policy/policy_impl.h"
#include "passthrough/policy/policy_write.h"

#define ROOM (2 * RECORDER_FEW + 1)	/* of one call; refused ones come on top */

struct combination {
	uint64_t value[RECORDER_PARTS];
};

struct learnt_call {
	struct record_key key;
	bool many;
	unsigned n;
	struct combination c[ROOM];
};

struct learnt {
	const struct lanes *base;
	struct learnt_call call[LANES_MAX_NR];
};

/* Arguments that say what a call does: flags, commands, families; no
 * descriptors, sizes, ids or pointers. "": which values come depends on timing,
 * so the call is not taken apart. */
static const struct {
	const char *call, *args;
	uint64_t mask;		/* of the last argument, 0: all of it */
} chosen[] = {
	{ "socket", "domain protocol type", 0xf },
	{ "socketpair", "domain protocol type", 0xf },
	{ "setsockopt", "level optname" },
	{ "getsockopt", "level optname" },
	{ "ioctl", "cmd" },
	{ "fcntl", "cmd" },
	{ "prctl", "option" },
	{ "arch_prctl", "code" },
	{ "personality", "persona" },
	{ "clone", "flags" },
	{ "unshare", "flags" },
	{ "seccomp", "op flags" },
	{ "ptrace", "request" },
	{ "mknod", "mode", 0170000 },
	{ "mknodat", "mode", 0170000 },
	{ "shmctl", "cmd" },
	{ "semctl", "cmd" },
	{ "msgctl", "cmd" },
	{ "futex", "" },
};

/* Calls that every guest may come to need, though no run happened to. */
static const char *const always[] = {
	"execve", "exit", "exit_group", "rt_sigreturn", "restart_syscall",
	"kill", "rt_sigtimedwait", "wait4",
};

/* ---- which arguments ---------------------------------------------------- */

static void key_add(struct learnt_call *c, unsigned arg, uint64_t mask)
{
	struct record_key *k = &c->key;
	unsigned i;

	for (i = 0; i < k->n; i++)
		if (k->part[i].arg == arg)
			break;
	if (i == RECORDER_PARTS) {
		c->many = true;
		return;
	}
	if (i == k->n)
		k->part[k->n++].mask = 0;
	k->part[i].arg = arg;
	k->part[i].mask |= mask;
}

static void key_add_chosen(struct learnt_call *c, int nr, size_t row)
{
	const char *s = chosen[row].args;
	struct call_arg arg;
	char name[20];

	if (!*s)
		c->many = true;
	while (*s) {
		size_t len = strcspn(s, " ");
		bool last = !s[len];

		snprintf(name, sizeof(name), "%.*s", (int)len, s);
		if (call_arg_find(nr, name, &arg) == 0)
			key_add(c, arg.index, last && chosen[row].mask ? chosen[row].mask :
									 width_mask(arg.width));
		s += len + !last;
	}
}

static void key_add_tested(struct learnt_call *c, const struct policy_rule *r)
{
	for (unsigned k = 0; k < r->ntests; k++) {
		const struct policy_test *t = &r->test[k];

		key_add(c, t->arg, t->op == TEST_MASKED_EQ ? t->mask : width_mask(t->width));
	}
}

/* Is all of a call let through by the policy? */
static bool passes(const struct learnt *l, int nr)
{
	const struct lane_rule *r = lanes_constant_rule(l->base, nr);

	return l->call[nr].key.n == 0 && r && r->lane == LANE_PASS;
}

int learnt_create(const struct lanes *base, struct learnt **ret)
{
	struct learnt *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->base = base;
	for (size_t i = 0; i < ARRAY_SIZE(chosen); i++) {
		int nr = syscall_number(chosen[i].call);

		key_add_chosen(&l->call[nr], nr, i);
	}
	for (unsigned i = LANES_FIRST; i < base->nrules; i++)
		key_add_tested(&l->call[base->rule[i].nr], base->rule[i].rule);
	for (int nr = 0; nr < LANES_MAX_NR; nr++)
		if (l->call[nr].many)
			l->call[nr].key.n = 0;
	for (int nr = 0; nr < LANES_MAX_NR; nr++)
		l->call[nr].many = false;
	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		if (passes(l, syscall_number(always[i])))
			learnt_add(l, syscall_number(always[i]), (uint64_t[RECORDER_PARTS]){ 0 });
	*ret = l;
	return 0;
}

void learnt_destroy(struct learnt *l)
{
	free(l);
}

const struct record_key *learnt_key(const struct learnt *l, int nr)
{
	return &l->call[nr].key;
}

/* ---- what was seen ------------------------------------------------------ */

static int by_value(const void *va, const void *vb)
{
	const struct combination *a = va, *b = vb;

	for (unsigned i = 0; i < RECORDER_PARTS; i++)
		if (a->value[i] != b->value[i])
			return a->value[i] < b->value[i] ? -1 : 1;
	return 0;
}

void learnt_add(struct learnt *l, int nr, const uint64_t value[RECORDER_PARTS])
{
	struct learnt_call *c = &l->call[nr];
	struct combination new = { 0 };

	for (unsigned i = 0; i < c->key.n; i++)
		new.value[i] = value[i] & c->key.part[i].mask;
	for (unsigned i = 0; i < c->n; i++)
		if (by_value(&c->c[i], &new) == 0)
			return;
	if (c->n == ROOM) {
		c->many = true;
		return;
	}
	c->c[c->n++] = new;
	qsort(c->c, c->n, sizeof(c->c[0]), by_value);
}

void learnt_add_many(struct learnt *l, int nr)
{
	l->call[nr].many = true;
}

/* Which rule of the policy answers a combination. */
static const struct lane_rule *decides(const struct learnt *l, int nr, const struct combination *c)
{
	const struct record_key *k = &l->call[nr].key;
	uint64_t arg[6] = { 0 };

	for (unsigned i = 0; i < k->n; i++)
		arg[k->part[i].arg] = c->value[i];
	return lanes_lookup(l->base, AUDIT_ARCH_X86_64, nr, arg);
}

static bool refuses(const struct lane_rule *r)
{
	return r->lane == LANE_DENY || r->lane == LANE_KILL;
}

/* Does the call get the policy's own rules? */
static bool as_inherited(const struct learnt *l, int nr)
{
	const struct learnt_call *c = &l->call[nr];
	unsigned allowed = 0;

	if (c->n == 0 && !c->many)
		return false;
	if (c->key.n == 0)
		return !lanes_constant_rule(l->base, nr);
	for (unsigned i = 0; i < c->n; i++)
		allowed += !refuses(decides(l, nr, &c->c[i]));
	return c->many || allowed > RECORDER_FEW;
}

const struct lane_rule *learnt_refused(const struct learnt *l, unsigned *at, int *ret_nr,
				       const uint64_t **ret_value)
{
	for (; *at < LANES_MAX_NR * ROOM; ++*at) {
		int nr = *at / ROOM;
		const struct learnt_call *c = &l->call[nr];
		const struct lane_rule *r;

		if (*at % ROOM >= c->n) {
			*at = (nr + 1) * ROOM - 1;
			continue;
		}
		r = c->key.n || lanes_constant_rule(l->base, nr) ?
			    decides(l, nr, &c->c[*at % ROOM]) : NULL;
		if (!r || !refuses(r))
			continue;
		*ret_nr = nr;
		*ret_value = c->c[*at % ROOM].value;
		++*at;
		return r;
	}
	return NULL;
}

/* ---- an earlier policy --------------------------------------------------- */

/* The values that a rule gives a part of the key; 0: it is not told apart so. */
static unsigned part_values(const struct policy_rule *r, unsigned arg, uint64_t mask,
			    const uint64_t **ret)
{
	for (unsigned k = 0; k < r->ntests; k++) {
		const struct policy_test *t = &r->test[k];
		uint64_t tested = t->op == TEST_MASKED_EQ ? t->mask : width_mask(t->width);

		if (t->arg != arg)
			continue;
		*ret = t->value;
		return tested == mask && (t->op == TEST_EQ || t->op == TEST_IN ||
					  t->op == TEST_MASKED_EQ) ? t->nvalues : 0;
	}
	return 0;
}

static int merge_rule(struct learnt *l, const struct lane_rule *lr, struct policy_error *err)
{
	const struct policy_rule *r = lr->rule;
	const struct record_key *k = &l->call[lr->nr].key;
	const uint64_t *value[RECORDER_PARTS];
	unsigned n[RECORDER_PARTS], total = 1;

	for (unsigned i = 0; i < k->n; i++) {
		n[i] = part_values(r, k->part[i].arg, k->part[i].mask, &value[i]);
		total *= n[i];
	}
	if (total == 0 || r->ntests != k->n)
		return policy_fail(err, &r->pos,
				   "not a line that weir policy learn writes for %s under this policy; leave it out and run learn again",
				   syscall_name(lr->nr));
	for (unsigned i = 0; i < total; i++) {
		uint64_t v[RECORDER_PARTS] = { 0 };
		unsigned rest = i;

		for (unsigned p = 0; p < k->n; rest /= n[p++])
			v[p] = value[p][rest % n[p]];
		learnt_add(l, lr->nr, v);
	}
	return 0;
}

static bool same_test(const struct policy_test *a, const struct policy_test *b)
{
	return a->arg == b->arg && a->op == b->op && a->nvalues == b->nvalues &&
	       (a->op != TEST_MASKED_EQ || a->mask == b->mask) &&
	       !memcmp(a->value, b->value, a->nvalues * sizeof(a->value[0]));
}

static bool same_rules(const struct lanes *a, const struct lanes *b, int nr)
{
	unsigned n = a->first[nr + 1] - a->first[nr];

	if (n != b->first[nr + 1] - b->first[nr])
		return false;
	for (unsigned i = 0; i < n; i++) {
		const struct lane_rule *ra = &a->rule[a->first[nr] + i], *rb = &b->rule[b->first[nr] + i];

		if (ra->lane != rb->lane || ra->err != rb->err || ra->rule->ntests != rb->rule->ntests)
			return false;
		for (unsigned k = 0; k < ra->rule->ntests; k++)
			if (!same_test(&ra->rule->test[k], &rb->rule->test[k]))
				return false;
	}
	return true;
}

int learnt_merge(struct learnt *l, const struct lanes *lanes, const char *file,
		 struct policy_error *err)
{
	for (int nr = 0; nr < LANES_MAX_NR; nr++) {
		if (!lanes_constant_rule(l->base, nr) && same_rules(l->base, lanes, nr)) {
			learnt_add_many(l, nr);
			continue;
		}
		for (unsigned i = lanes->first[nr]; i < lanes->first[nr + 1]; i++) {
			int r = streq(lanes->rule[i].pos->file, file) ?
					merge_rule(l, &lanes->rule[i], err) : 0;

			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* ---- the policy ----------------------------------------------------------- */

/* Tests for the combinations from @first on that differ in the last part only, as many
 * as one rule can hold. Return: how many. */
static unsigned make_tests(const struct learnt_call *c, const struct combination *first, unsigned n,
			   int nr, struct policy_test *test)
{
	unsigned last = c->key.n - 1, same;
	struct call_arg arg;

	for (unsigned i = 0; i < c->key.n; i++) {
		call_arg_at(nr, c->key.part[i].arg, &arg);
		test[i] = (struct policy_test){
			.arg = arg.index, .width = arg.width, .op = TEST_EQ, .nvalues = 1,
			.value = { first->value[i] }, .mask = c->key.part[i].mask,
		};
		if (test[i].mask != width_mask(arg.width))
			test[i].op = TEST_MASKED_EQ;
	}
	for (same = 1; same < n && same < POLICY_MAX_SET && test[last].op != TEST_MASKED_EQ; same++) {
		if (memcmp(first->value, first[same].value, last * sizeof(first->value[0])))
			break;
		test[last].value[test[last].nvalues++] = first[same].value[last];
		test[last].op = TEST_IN;
	}
	return same;
}

/* The combinations of a call that are in one lane. */
static void write_lane(const struct learnt *l, int nr, const struct lane_rule *like, FILE *f)
{
	const struct learnt_call *c = &l->call[nr];
	struct policy_test test[RECORDER_PARTS];
	struct combination in[ROOM];
	unsigned n = 0;

	for (unsigned i = 0; i < c->n; i++) {
		const struct lane_rule *r = decides(l, nr, &c->c[i]);

		if (r->lane == like->lane && r->err == like->err)
			in[n++] = c->c[i];
	}
	if (c->key.n == 0)
		policy_write_rule(f, syscall_name(nr), like->lane, like->err, NULL, 0);
	for (unsigned i = 0; c->key.n && i < n;) {
		i += make_tests(c, &in[i], n - i, nr, test);
		policy_write_rule(f, syscall_name(nr), like->lane, like->err, test, c->key.n);
	}
}

static void write_call(const struct learnt *l, int nr, bool refused, FILE *f)
{
	const struct learnt_call *c = &l->call[nr];

	if (as_inherited(l, nr)) {
		if (!refused)
			policy_write_call(f, l->base, nr);
		return;
	}
	for (unsigned i = 0; i < c->n; i++) {
		const struct lane_rule *r = decides(l, nr, &c->c[i]);
		bool again = false;

		for (unsigned k = 0; k < i; k++)
			again |= decides(l, nr, &c->c[k])->lane == r->lane &&
				 decides(l, nr, &c->c[k])->err == r->err;
		if (again || refuses(r) != refused)
			continue;
		if (refused)
			fprintf(f, "# refused by %s\n", POS_TEXT(r->pos));
		write_lane(l, nr, r, f);
	}
}

/* Groups all of whose calls were made, the largest that is left first. */
static void write_groups(const struct learnt *l, struct call_set *done, FILE *f)
{
	for (;;) {
		const struct call_group *best = NULL;
		struct call_set set, best_set;
		unsigned most = 1;

		for (unsigned i = 0; call_group_at(i); i++) {
			unsigned n = 0, missing = 0;

			call_group_expand(call_group_at(i), &set);
			for (int nr = 0; nr < CALL_MAX_NR; nr++)
				if (call_set_has(&set, nr) && !(l->call[nr].n && passes(l, nr)))
					missing++;
				else if (call_set_has(&set, nr) && !call_set_has(done, nr))
					n++;
			if (missing || n <= most)
				continue;
			most = n;
			best = call_group_at(i);
			best_set = set;
		}
		if (!best)
			return;
		policy_write_rule(f, best->name, LANE_PASS, 0, NULL, 0);
		for (size_t i = 0; i < ARRAY_SIZE(done->word); i++)
			done->word[i] |= best_set.word[i];
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(syscall_name(*(const int *)a), syscall_name(*(const int *)b));
}

void learnt_write(const struct learnt *l, const char *inherit, FILE *f)
{
	struct call_set done = { 0 };
	int order[LANES_MAX_NR], nr;
	const uint64_t *value;
	unsigned at = 0;
	size_t n = 0;

	for (nr = 0; nr < LANES_MAX_NR; nr++)
		if (call_known(nr))
			order[n++] = nr;
	qsort(order, n, sizeof(order[0]), by_name);
	fprintf(f, "# Written by weir policy learn: the calls that were made, and no others.\n\n"
		   "[policy]\ninherit = %s\n\n[syscalls]\n# Only what is named below.\n"
		   "@known = default\n", inherit);
	write_groups(l, &done, f);
	for (size_t i = 0; i < n; i++)
		if (!call_set_has(&done, order[i]))
			write_call(l, order[i], false, f);
	if (learnt_refused(l, &at, &nr, &value))
		fputs("\n## Wanted and refused ##\n", f);
	for (size_t i = 0; i < n; i++)
		write_call(l, order[i], true, f);
}
