/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_import.c - an OCI profile as a policy that inherits another
 *
 * The result allows what both allow: a rule of the profile that lets a call
 * pass is joined with each rule of the inherited policy, whose lane it then
 * has; a rule that refuses is written behind them, so it comes first. Calls
 * that the profile does not name are forgotten ("@known = default") and left
 * to the default, which is the profile's.
 */
#include <errno.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy/cube.h"
#include "passthrough/policy/groups.h"
#include "passthrough/policy/oci.h"
#include "passthrough/policy/policy_impl.h"
#include "passthrough/policy/policy_write.h"

#define MAX_LINES 512	/* of one call */
#define MANY 8	/* rules that allow one call: more than a reader wants to see */

/* A line of the call that is being written. */
struct line {
	enum lane lane;
	int err;
	unsigned ntests;
	struct policy_test test[POLICY_MAX_TESTS];
	const struct lane_rule *instead;	/* of what the profile says; NULL: it says this */
};

struct writer {
	const struct oci_profile *p;
	const struct lanes *base;
	struct call_set twins;	/* to be denied: they would do what another call may not */
	FILE *f;
	struct line line[MAX_LINES];
	unsigned n;
	bool overflow;
};

static bool allows(enum lane lane)
{
	return lane_passes(lane);
}

static bool same_tests(const struct oci_rule *a, const struct oci_rule *b)
{
	return a->ntests == b->ntests && !memcmp(a->test, b->test, a->ntests * sizeof(a->test[0]));
}

/* Is there a stricter rule that makes this one pointless? */
static bool hidden(const struct oci_profile *p, const struct oci_rule *r)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct oci_rule *o = &p->rule[i];

		if (o == r || o->nr != r->nr)
			continue;
		if (!allows(o->lane) && allows(r->lane) && (o->ntests == 0 || same_tests(o, r)))
			return true;
		if (allows(o->lane) == allows(r->lane) && same_tests(o, r) && o < r)
			return true;
		if (allows(o->lane) && allows(r->lane) && o->ntests == 0 && r->ntests)
			return true;
		if (!allows(o->lane) && !allows(r->lane) && o->ntests == 0 && r->ntests)
			return true;
	}
	return false;
}

/* The line written last comes first: it replaces one with the same tests. */
static void put_line(struct writer *w, const struct line *line)
{
	for (unsigned i = 0; i < w->n; i++)
		if (w->line[i].ntests == line->ntests &&
		    !memcmp(w->line[i].test, line->test, line->ntests * sizeof(line->test[0]))) {
			memmove(&w->line[i], &w->line[i + 1], (w->n - i - 1) * sizeof(*line));
			w->n--;
			break;
		}
	if (w->n == MAX_LINES)
		w->overflow = true;
	else
		w->line[w->n++] = *line;
}

static void put_rule(struct writer *w, enum lane lane, int err, const struct policy_test *test,
		     unsigned ntests, const struct lane_rule *instead)
{
	struct line line = { .lane = lane, .err = err, .ntests = ntests, .instead = instead };

	if (ntests)
		memcpy(line.test, test, ntests * sizeof(test[0]));
	put_line(w, &line);
}

static void write_lines(struct writer *w, int nr)
{
	for (unsigned i = 0; i < w->n; i++) {
		const struct line *l = &w->line[i];

		if (l->instead)
			fprintf(w->f, "# the profile lets it pass; %s by %s\n",
				l->lane == LANE_DENY || l->lane == LANE_KILL ? "refused" :
									      "done by the guest kernel",
				POS_TEXT(l->instead->pos));
		policy_write_rule(w->f, syscall_name(nr), l->lane, l->err, l->test, l->ntests);
	}
	w->n = 0;
}

static bool is_list(const struct policy_test *t)
{
	return t->op == TEST_EQ || t->op == TEST_IN;
}

/* The bits of an argument that can have one value only. */
static uint64_t certain_bits(const struct policy_test *t)
{
	if (t->op == TEST_MASKED_EQ)
		return t->mask;
	return t->op == TEST_EQ ? width_mask(t->width) : 0;
}

/* Keep the values of @t that @other has too. */
static void intersect(struct policy_test *t, const struct policy_test *other)
{
	struct policy_test both = *t;

	memset(both.value, 0, sizeof(both.value));
	both.nvalues = 0;
	for (unsigned i = 0; i < t->nvalues; i++)
		for (unsigned k = 0; k < other->nvalues; k++)
			if (t->value[i] == other->value[k]) {
				both.value[both.nvalues++] = t->value[i];
				break;
			}
	both.op = both.nvalues == 1 ? TEST_EQ : TEST_IN;
	*t = both;
}

/* Add a test to others. Return: how many there are, 0 if they never hold together. */
static unsigned add_test(struct policy_test *test, unsigned n, const struct policy_test *t)
{
	for (unsigned k = 0; k < n; k++) {
		if (test[k].arg != t->arg)
			continue;
		if (!memcmp(&test[k], t, sizeof(*t)))
			return n;
		if (is_list(&test[k]) && is_list(t)) {
			intersect(&test[k], t);
			return test[k].nvalues ? n : 0;
		}
		if ((test[k].value[0] ^ t->value[0]) & certain_bits(&test[k]) & certain_bits(t))
			return 0;
	}
	test[n] = *t;
	return n + 1;
}

/* A rule of the profile that allows, where one of the inherited policy decides. Return: was
 * a line written? */
static bool write_joined(struct writer *w, const struct oci_rule *r, const struct lane_rule *b,
			 bool leading)
{
	unsigned n = b->rule ? b->rule->ntests : 0;
	struct policy_test test[2 * POLICY_MAX_TESTS];
	bool refuses = b->lane == LANE_DENY || b->lane == LANE_KILL;

	/* The default behind all refuses as well. */
	if (refuses && leading && r->ntests)
		return false;
	if (n)
		memcpy(test, b->rule->test, n * sizeof(test[0]));
	for (unsigned i = 0; i < r->ntests; i++) {
		n = add_test(test, n, &r->test[i]);
		if (n == 0)
			return false;
	}
	if (n > POLICY_MAX_TESTS) {
		fprintf(w->f, "# %s: the profile's tests and those of %s are too many for one rule: denied\n",
			syscall_name(r->nr), POS_TEXT(b->pos));
		return false;
	}
	put_rule(w, lane_passes(b->lane) ? r->lane : b->lane, b->err, test, n,
		 lane_passes(b->lane) ? NULL : b);
	return true;
}

static void write_allowed(struct writer *w, const struct oci_rule *rules, size_t n, int nr)
{
	const struct lanes *l = w->base;
	unsigned last = l->first[nr + 1];
	bool leading = true;

	/* What is tried last is written first. */
	if (last == l->first[nr] || !lane_rule_always(&l->rule[last - 1]))
		for (size_t i = 0; i < n; i++)
			leading &= !write_joined(w, &rules[i], &l->rule[LANES_DEFAULT], leading);
	for (unsigned b = last; b > l->first[nr]; b--) {
		bool any = false;

		for (size_t i = 0; i < n; i++)
			any |= write_joined(w, &rules[i], &l->rule[b - 1], leading);
		leading &= !any;
	}
}

/* ---- what is refused, where that is less to write than what is allowed ------ */

static void rule_of_cube(const struct cube *c, int nr, struct oci_rule *ret)
{
	struct call_arg arg;

	for (unsigned i = 0; i < 6; i++) {
		struct policy_test *t = &ret->test[ret->ntests];

		if (!c->mask[i] || call_arg_at(nr, i, &arg) < 0)
			continue;
		*t = (struct policy_test){ .arg = i, .width = arg.width, .op = TEST_MASKED_EQ,
					   .mask = c->mask[i], .value = { c->value[i] }, .nvalues = 1 };
		if (t->mask == width_mask(arg.width)) {
			t->op = TEST_EQ;
			t->mask = 0;
		}
		ret->ntests++;
	}
}

/* The arguments that no rule allows. @own: room. Return: false if that is not to be had. */
static bool complement(const struct oci_rule *rules, size_t n, struct cubes *ret, struct cubes *own)
{
	cubes_all(ret);
	for (size_t i = 0; i < n; i++) {
		cubes_of_rule(own, rules[i].test, rules[i].ntests);
		for (unsigned k = 0; k < own->n; k++)
			cubes_subtract(ret, &own->c[k]);
		if (own->overflow || ret->overflow)
			return false;
	}
	return true;
}

/* Does an entry of the profile refuse all of this? */
static bool refused(const struct oci_profile *p, const struct oci_rule *r)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->rule[i].nr == r->nr && !allows(p->rule[i].lane) && same_tests(&p->rule[i], r))
			return true;
	return false;
}

static bool one_lane(const struct oci_rule *rules, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (rules[i].lane != rules[0].lane)
			return false;
	return true;
}

/* Return: were the rules of a call written so? */
static bool write_refused(struct writer *w, const struct oci_rule *rules, size_t n, int nr)
{
	cleanup_free struct cubes *rest = malloc(sizeof(*rest)), *own = malloc(sizeof(*own));
	struct oci_rule all = { .nr = nr, .lane = rules[0].lane };

	if (!rest || !own || !one_lane(rules, n) || !complement(rules, n, rest, own) || rest->n >= n)
		return false;
	write_allowed(w, &all, 1, nr);
	for (unsigned i = 0; i < rest->n; i++) {
		struct oci_rule r = { .nr = nr };

		rule_of_cube(&rest->c[i], nr, &r);
		if (!refused(w->p, &r))
			put_rule(w, w->p->default_lane, w->p->default_err, r.test, r.ntests, NULL);
	}
	return true;
}

static int write_call(struct writer *w, int nr)
{
	cleanup_free struct oci_rule *allowed = calloc(w->p->n + 1, sizeof(*allowed));
	struct oci_rule any = { .nr = nr, .lane = w->p->default_lane };
	bool named = false;
	size_t n = 0;

	if (!allowed)
		return -ENOMEM;
	for (size_t i = 0; i < w->p->n; i++) {
		named |= w->p->rule[i].nr == nr && w->p->rule[i].ntests == 0;
		if (w->p->rule[i].nr == nr && allows(w->p->rule[i].lane) && !hidden(w->p, &w->p->rule[i]))
			allowed[n++] = w->p->rule[i];
	}
	if (allows(any.lane) && !named) {
		allowed[0] = any;
		n = 1;
	}
	if (n && call_set_has(&w->twins, nr)) {
		fprintf(w->f, "# the profile lets it pass, but it does what another call may not\n");
		policy_write_rule(w->f, syscall_name(nr), LANE_DENY, EPERM, NULL, 0);
		return 0;
	}
	if (n < MANY || !write_refused(w, allowed, n, nr))
		write_allowed(w, allowed, n, nr);
	for (size_t i = 0; i < w->p->n; i++) {
		const struct oci_rule *r = &w->p->rule[i];

		if (r->nr == nr && !allows(r->lane) && !hidden(w->p, r))
			put_rule(w, r->lane, r->err, r->test, r->ntests, NULL);
	}
	write_lines(w, nr);
	return w->overflow ? -E2BIG : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(syscall_name(*(const int *)a), syscall_name(*(const int *)b));
}

static void write_notes(struct writer *w)
{
	for (const char *s = w->p->notes; s && *s;) {
		size_t len = strcspn(s, "\n");

		fprintf(w->f, "# %.*s\n", (int)len, s);
		s += len + !!s[len];
	}
}

static void write_default(struct writer *w)
{
	const char *err = policy_errno_name(w->p->default_err);

	if (allows(w->p->default_lane))
		fprintf(w->f, "# The profile lets pass what it does not name; what weir does not know stays denied.\n"
			      "default = deny ENOSYS\n");
	else if (w->p->default_lane == LANE_KILL)
		fprintf(w->f, "default = kill\n");
	else
		fprintf(w->f, "default = deny %s\n", err ? err : "EPERM");
	fprintf(w->f, "# Only what is named below.\n@known = default\n");
}

static int write_policy(struct writer *w, const char *inherit, char **ret)
{
	int order[CALL_MAX_NR], r = 0;
	size_t n = 0, size;

	*ret = NULL;
	w->f = open_memstream(ret, &size);
	if (!w->f)
		return -ENOMEM;
	for (int nr = 0; nr < CALL_MAX_NR; nr++)
		if (call_known(nr))
			order[n++] = nr;
	qsort(order, n, sizeof(order[0]), by_name);
	fprintf(w->f, "# Written by weir policy import: what an OCI seccomp profile allows, and %s with it.\n",
		inherit);
	write_notes(w);
	fprintf(w->f, "\n[policy]\ninherit = %s\n\n[syscalls]\n", inherit);
	write_default(w);
	for (size_t i = 0; i < n && r == 0; i++)
		r = write_call(w, order[i]);
	if (fclose(w->f) != 0)
		r = -ENOMEM;
	return r;
}

/* Is the text a policy that holds? @ret_twin: -1, or the passing twin that it may not have. */
static int check(const char *file, const char *text, int *ret_twin, struct policy_error *err)
{
	struct lanes *l = NULL;
	struct policy *p;
	int r = policy_load_text(file, text, strlen(text), &p, err);

	*ret_twin = -1;
	if (r < 0)
		return r;
	r = lanes_resolve(p, &l, err);
	if (r == 0)
		r = family_find(l, ret_twin, err);
	lanes_free(l);
	l = NULL;
	if (r == 0)
		r = lanes_build(p, &l, err);
	lanes_free(l);
	policy_free(p);
	return r;
}

int oci_import(const char *file, const struct oci_profile *p, const struct lanes *base,
	       const char *inherit, char **ret, struct policy_error *err)
{
	cleanup_free struct writer *w = calloc(1, sizeof(*w));
	char *text = NULL;
	int r, twin;

	if (!w)
		return policy_no_memory(err);
	w->p = p;
	w->base = base;
	/* Each turn denies one more call. */
	do {
		free(text);
		r = write_policy(w, inherit, &text);
		if (r == -E2BIG)
			snprintf(err->text, sizeof(err->text),
				 "%s: more than %d rules for one call; use fewer", file, MAX_LINES);
		if (r < 0) {
			free(text);
			return r == -E2BIG ? r : policy_no_memory(err);
		}
		r = check(file, text, &twin, err);
		if (r < 0 && twin >= 0 && call_set_has(&w->twins, twin))
			break;
		if (twin >= 0)
			call_set_add(&w->twins, twin);
	} while (r < 0 && twin >= 0);
	if (r < 0)
		free(text);
	else
		*ret = text;
	return r;
}
