/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_policy.c - weir policy check | show | explain | diff
 *
 * None of them starts anything: they read policies, build the lane table and
 * the mask, and print what they mean.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <linux/audit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "kernel/util.h"
#include "passthrough/groups.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/mask.h"
#include "passthrough/policy_impl.h"

#define MAX_SETS 64
#define MAX_RULES 256	/* of one call; printing more would help nobody */

struct options {
	const char *policy;
	char *set[MAX_SETS];
	size_t nset;
	bool json;
};

/* A policy with its lane table. */
struct table {
	struct policy *policy;
	struct lanes *lanes;
};

static int table_load(struct table *t, const char *name, const struct options *o,
		      struct policy_error *err)
{
	int r = policy_load(name, o->set, o->nset, &t->policy, err);

	if (r < 0)
		return r;
	r = lanes_build(t->policy, &t->lanes, err);
	if (r < 0)
		policy_free(t->policy);
	return r;
}

static void table_free(struct table *t)
{
	lanes_free(t->lanes);
	policy_free(t->policy);
}

static int print_json(json_t *j)
{
	json_dumpf(j, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(j);
	return EXIT_SUCCESS;
}

/* "deny EPERM" */
static const char *lane_text(const struct lane_rule *r, char *buf, size_t size)
{
	const char *name = policy_errno_name(r->err);

	if (r->lane == LANE_DENY)
		snprintf(buf, size, "deny %s", name ? name : "?");
	else
		snprintf(buf, size, "%s", lane_str[r->lane]);
	return buf;
}

/* The tests of a rule as written, "" without. */
static const char *test_text(const struct lane_rule *r)
{
	const char *s = r->rule && r->rule->ntests ? strstr(r->rule->text, " if ") : NULL;

	return s ? s + strlen(" if ") : "";
}

static bool decided_by_number(const struct lanes *l, int nr)
{
	return l->first[nr] == l->first[nr + 1] || lane_rule_always(&l->rule[l->first[nr]]);
}

/* The rules of a call in the order they are tried; the last always holds. */
static unsigned call_rules(const struct lanes *l, int nr, const struct lane_rule **ret,
			   unsigned max)
{
	unsigned n = 0;

	for (unsigned i = l->first[nr]; i < l->first[nr + 1] && n < max - 1; i++)
		ret[n++] = &l->rule[i];
	if (n == 0 || !lane_rule_always(ret[n - 1]))
		ret[n++] = &l->rule[LANES_DEFAULT];
	return n;
}

/* check */

struct counts {
	unsigned lane[NUM_LANES], by_arguments;
};

static void count_calls(const struct lanes *l, struct counts *ret)
{
	*ret = (struct counts){ 0 };
	for (int nr = 0; nr < LANES_MAX_NR; nr++) {
		bool named = l->first[nr] < l->first[nr + 1];

		if (!call_known(nr))
			continue;
		if (!decided_by_number(l, nr))
			ret->by_arguments++;
		else
			ret->lane[l->rule[named ? l->first[nr] : LANES_DEFAULT].lane]++;
	}
}

static void print_counts(const char *file, const struct counts *c, unsigned insns)
{
	const char *comma = "";

	printf("%s: ok (", file);
	for (int i = 0; i < NUM_LANES; i++)
		if (c->lane[i]) {
			printf("%s%u %s%s", comma, c->lane[i], *comma ? "" : "calls ", lane_str[i]);
			comma = ", ";
		}
	if (c->by_arguments)
		printf("%s%u by their arguments", comma, c->by_arguments);
	printf("; %u instructions)\n", insns);
}

static json_t *counts_json(const char *file, const struct counts *c, unsigned insns)
{
	json_t *calls = json_object();

	for (int i = 0; i < NUM_LANES; i++)
		json_object_set_new(calls, lane_str[i], json_integer(c->lane[i]));
	json_object_set_new(calls, "by_arguments", json_integer(c->by_arguments));
	return json_pack("{s:s, s:b, s:o, s:i}", "file", file, "ok", 1, "calls", calls,
			 "instructions", insns);
}

static int check_one(const char *file, const struct options *o, json_t *all)
{
	struct policy_error err;
	struct counts counts;
	struct table t;
	struct mask mask;
	char here[256];
	int r;

	/* A name has no suffix: this is a file here. */
	snprintf(here, sizeof(here), "./%s", file);
	r = table_load(&t, !strchr(file, '/') && strstr(file, ".policy") ? here : file, o, &err);
	if (r == 0) {
		r = mask_compile(t.lanes, &mask, &err);
		if (r < 0)
			table_free(&t);
	}
	if (r < 0) {
		if (all)
			json_array_append_new(all, json_pack("{s:s, s:b, s:s}", "file", file, "ok",
							     0, "error", err.text));
		return all ? EXIT_USAGE : cmd_fail(EXIT_USAGE, "%s", err.text);
	}
	count_calls(t.lanes, &counts);
	if (all)
		json_array_append_new(all, counts_json(file, &counts, mask.len));
	else
		print_counts(file, &counts, mask.len);
	mask_free(&mask);
	table_free(&t);
	return EXIT_SUCCESS;
}

static int check(int argc, char **argv, const struct options *o)
{
	json_t *all = o->json ? json_array() : NULL;
	int ret = EXIT_SUCCESS;

	if (argc == 0)
		return cmd_fail(EXIT_USAGE, "policy check: which file? weir policy check FILE...");
	for (int i = 0; i < argc; i++) {
		int r = check_one(argv[i], o, all);

		if (r != EXIT_SUCCESS)
			ret = r;
	}
	if (all)
		print_json(all);
	return ret;
}

/* What a rule costs a call. */
static const char *cost(const struct lanes *l, int nr, enum lane lane)
{
	switch (lane) {
	case LANE_PASS:
		return decided_by_number(l, nr) ?
			       "+15-35 ns: answered from the kernel's per-call bitmap" :
			       "+45-90 ns: the filter looks at the arguments";
	case LANE_FIX:
	case LANE_TRAP:
		return "about 4 us on one CPU: the guest kernel answers";
	case LANE_WATCH:
		return "about 4 us on one CPU: stops, is counted, goes on";
	case LANE_DENY:
		return "in the filter: fails without a stop";
	default:
		return "in the filter: ends the task";
	}
}

static json_t *rule_json(const struct lanes *l, int nr, const struct lane_rule *r)
{
	const char *err = policy_errno_name(r->err);
	json_t *j;

	j = json_pack("{s:s, s:s, s:s, s:s}", "lane", lane_str[r->lane], "rule", POS_TEXT(r->pos), "text",
		      r->rule ? r->rule->text : "default", "cost", cost(l, nr, r->lane));
	if (r->lane == LANE_DENY && err)
		json_object_set_new(j, "errno", json_string(err));
	if (test_text(r)[0])
		json_object_set_new(j, "if", json_string(test_text(r)));
	return j;
}

/* The rules of a call in the order they are tried. */
static json_t *call_json(const struct table *t, int nr)
{
	const struct lane_rule *rule[MAX_RULES];
	unsigned n = call_rules(t->lanes, nr, rule, ARRAY_SIZE(rule));
	json_t *list = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, rule_json(t->lanes, nr, rule[i]));
	return list;
}

/* show */

static json_t *policy_json(const struct table *t)
{
	const struct policy *p = t->policy;
	json_t *calls = json_object(), *env = json_array(), *ns = json_object();
	json_t *j;

	for (char *const *e = p->env; *e; e++)
		json_array_append_new(env, json_string(*e));
	for (int i = 0; i < POLICY_NUM_NS; i++)
		json_object_set_new(ns, policy_ns_str[i],
				    json_string(p->ns[i].mode == NS_MODE_NEW  ? "new" :
						p->ns[i].mode == NS_MODE_HOST ? "host" :
										p->ns[i].path));
	for (int nr = 0; nr < LANES_MAX_NR; nr++)
		if (call_known(nr))
			json_object_set_new(calls, syscall_name(nr), call_json(t, nr));
	j = json_pack("{s:s, s:s?, s:s, s:s?, s:i, s:I, s:s?, s:o, s:o, s:I, s:b, s:o}", "name", p->name,
		      "description", p->description, "init", p->init, "hostname", p->hostname,
		      "vcpus", p->vcpus, "memory_bytes", (json_int_t)p->memory, "kernel_release",
		      p->kernel_release, "env", env, "namespaces", ns, "caps",
		      (json_int_t)p->caps, "no_new_privs", p->no_new_privs, "syscalls", calls);
	return j;
}

static int show(int argc, char **argv, const struct options *o)
{
	const char *name = argc > 0 ? argv[0] : o->policy;
	struct policy_error err;
	struct table t;

	if (argc > 1)
		return cmd_fail(EXIT_USAGE, "policy show: one policy at a time");
	if (table_load(&t, name, o, &err) < 0)
		return cmd_fail(EXIT_USAGE, "%s", err.text);
	if (o->json)
		print_json(policy_json(&t));
	else
		policy_show(t.policy, stdout);
	table_free(&t);
	return EXIT_SUCCESS;
}

/* explain */

/* Is a line of the policy in the table, or hidden by a later one? */
static bool in_table(const struct lanes *l, const struct policy_rule *r)
{
	for (unsigned i = l->first[r->nr]; i < l->first[r->nr + 1]; i++)
		if (l->rule[i].rule == r)
			return true;
	return false;
}

static void explain_rule(const struct lanes *l, int nr, const struct lane_rule *r, const char *mark)
{
	char lane[40];

	printf("%s%s\n    %s: %s\n    %s\n", mark, lane_text(r, lane, sizeof(lane)), POS_TEXT(r->pos),
	       r->rule ? r->rule->text : "default", cost(l, nr, r->lane));
}

/* Was a line overridden? @arg: by what decides a call with these arguments. */
static bool overridden(const struct table *t, const struct policy_rule *r,
		       const struct lane_rule *decided, const uint64_t *arg)
{
	if (!in_table(t->lanes, r))
		return true;
	return decided && decided->rule != r && decided->rule > r && policy_rule_holds(r, arg);
}

static void explain_overridden(const struct table *t, int nr, const struct lane_rule *decided,
			       const uint64_t *arg)
{
	bool any = false;

	for (size_t i = t->policy->nrules; i > 0; i--) {
		const struct policy_rule *r = &t->policy->rule[i - 1];

		if (r->nr != nr || !overridden(t, r, decided, arg))
			continue;
		printf("%s    %s: %s\n", any ? "" : "  overridden\n", POS_TEXT(&r->pos), r->text);
		any = true;
	}
}

static json_t *overridden_json(const struct table *t, int nr, const struct lane_rule *decided,
			       const uint64_t *arg)
{
	json_t *list = json_array();

	for (size_t i = t->policy->nrules; i > 0; i--) {
		const struct policy_rule *r = &t->policy->rule[i - 1];

		if (r->nr != nr || !overridden(t, r, decided, arg))
			continue;
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "lane", lane_str[r->lane],
						      "rule", POS_TEXT(&r->pos), "text", r->text));
	}
	return list;
}

static int explain_json(const struct table *t, int nr, const struct lane_rule *decided,
			const uint64_t *arg)
{
	json_t *j = json_pack("{s:s, s:s, s:i, s:o, s:o}", "policy", t->policy->name, "call",
			      syscall_name(nr), "number", nr, "rules", call_json(t, nr), "overridden",
			      overridden_json(t, nr, decided, arg));
	if (decided)
		json_object_set_new(j, "decided", rule_json(t->lanes, nr, decided));
	return print_json(j);
}

static void explain_text(const struct table *t, int nr, const struct lane_rule *decided,
			 const uint64_t *arg)
{
	const struct lane_rule *rule[MAX_RULES];
	unsigned n = call_rules(t->lanes, nr, rule, ARRAY_SIZE(rule));

	printf("%s, call %d of x86-64, in policy %s\n", syscall_name(nr), nr, t->policy->name);
	if (decided) {
		explain_rule(t->lanes, nr, decided, "  ");
	} else {
		if (n > 1)
			printf("  by its arguments, the first that holds:\n");
		for (unsigned i = 0; i < n; i++)
			explain_rule(t->lanes, nr, rule[i],
				     n == 1	? "  " :
				     i == n - 1 ? "  otherwise: " :
						  "  - ");
	}
	explain_overridden(t, nr, decided, arg);
}

/* A number or a constant of weir-policy(5), perhaps negative, perhaps several joined by |. */
static int read_argument(const char *text, uint64_t *ret)
{
	char word[64];

	*ret = 0;
	for (const char *s = text;; s++) {
		size_t len = strcspn(s, "|");
		bool negative = *s == '-';
		uint64_t v;

		snprintf(word, sizeof(word), "%.*s", (int)len, s);
		if (len >= sizeof(word) || (policy_parse_u64(word + negative, &v) < 0 &&
					    policy_constant(word, &v) < 0))
			return -EINVAL;
		*ret |= negative ? -v : v;
		s += len;
		if (!*s)
			return 0;
	}
}

static int explain(int argc, char **argv, const struct options *o)
{
	const struct lane_rule *decided = NULL;
	struct policy_error err;
	uint64_t arg[6] = { 0 }, nr;
	struct table t;

	if (argc == 0 || argc > 7)
		return cmd_fail(EXIT_USAGE,
				"policy explain: weir policy explain [-p POLICY] CALL [ARG0 ...]");
	nr = syscall_number(argv[0]);
	if ((int)nr < 0 && (policy_parse_u64(argv[0], &nr) < 0 || nr >= LANES_MAX_NR))
		return cmd_fail(EXIT_USAGE, "policy explain: %s is not a system call of x86-64; write its name or number",
				argv[0]);
	for (int i = 1; i < argc; i++)
		if (read_argument(argv[i], &arg[i - 1]) < 0)
			return cmd_fail(EXIT_USAGE, "policy explain: argument %s is not a number nor a constant of weir-policy(5)",
					argv[i]);
	if (table_load(&t, o->policy, o, &err) < 0)
		return cmd_fail(EXIT_USAGE, "%s", err.text);
	if (argc > 1)
		decided = lanes_lookup(t.lanes, AUDIT_ARCH_X86_64, nr, arg);
	if (o->json)
		explain_json(&t, nr, decided, arg);
	else
		explain_text(&t, nr, decided, arg);
	table_free(&t);
	return EXIT_SUCCESS;
}

/* diff */

static bool same_rule(const struct lane_rule *a, const struct lane_rule *b)
{
	unsigned na = a->rule ? a->rule->ntests : 0, nb = b->rule ? b->rule->ntests : 0;

	return a->lane == b->lane && a->err == b->err && na == nb &&
	       (na == 0 || !memcmp(a->rule->test, b->rule->test, na * sizeof(a->rule->test[0])));
}

static bool same_call(const struct table *a, const struct table *b, int nr)
{
	const struct lane_rule *ra[MAX_RULES], *rb[MAX_RULES];
	unsigned n = call_rules(a->lanes, nr, ra, ARRAY_SIZE(ra));

	if (n != call_rules(b->lanes, nr, rb, ARRAY_SIZE(rb)))
		return false;
	for (unsigned i = 0; i < n; i++)
		if (!same_rule(ra[i], rb[i]))
			return false;
	return true;
}

static void print_call(const struct table *t, int nr)
{
	const struct lane_rule *rule[MAX_RULES];
	unsigned n = call_rules(t->lanes, nr, rule, ARRAY_SIZE(rule));
	char lane[40];

	for (unsigned i = 0; i < n; i++)
		printf("%s%s%s%s", i ? "; " : "", lane_text(rule[i], lane, sizeof(lane)),
		       test_text(rule[i])[0] ? " if " : "", test_text(rule[i]));
	putchar('\n');
}

static void diff_tables(const struct table *a, const struct table *b, json_t *list)
{
	for (int nr = 0; nr < LANES_MAX_NR; nr++) {
		if (!call_known(nr) || same_call(a, b, nr))
			continue;
		if (list) {
			json_array_append_new(list,
					      json_pack("{s:s, s:o, s:o}", "call", syscall_name(nr),
							"a", call_json(a, nr), "b", call_json(b, nr)));
			continue;
		}
		printf("%s\n  %s: ", syscall_name(nr), a->policy->name);
		print_call(a, nr);
		printf("  %s: ", b->policy->name);
		print_call(b, nr);
	}
}

static int diff(int argc, char **argv, const struct options *o)
{
	struct policy_error err;
	struct table a, b;
	json_t *list = NULL;

	if (argc != 2)
		return cmd_fail(EXIT_USAGE, "policy diff: which two? weir policy diff A B");
	if (table_load(&a, argv[0], o, &err) < 0)
		return cmd_fail(EXIT_USAGE, "%s", err.text);
	if (table_load(&b, argv[1], o, &err) < 0) {
		table_free(&a);
		return cmd_fail(EXIT_USAGE, "%s", err.text);
	}
	if (o->json)
		list = json_array();
	diff_tables(&a, &b, list);
	if (list)
		print_json(list);
	table_free(&a);
	table_free(&b);
	return EXIT_SUCCESS;
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv, const struct options *o);
} commands[] = {
	{ "check", check },
	{ "show", show },
	{ "explain", explain },
	{ "diff", diff },
};

static int read_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "policy", required_argument, NULL, 'p' },
		{ "set", required_argument, NULL, 's' },
		{ 0 },
	};
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, ":p:", longs, NULL)) != -1) {
		switch (c) {
		case 'j':
			o->json = true;
			break;
		case 'p':
			o->policy = optarg;
			break;
		case 's':
			if (o->nset == MAX_SETS)
				return cmd_fail(EXIT_USAGE, "policy: more than %d --set", MAX_SETS);
			o->set[o->nset++] = optarg;
			break;
		case ':':
			return cmd_fail(EXIT_USAGE, "policy: %s wants a value", argv[optind - 1]);
		default:
			/* explain takes negative numbers as arguments. */
			return cmd_fail(EXIT_USAGE, "policy: unknown option %s; write -- before a negative argument",
					argv[optind - 1]);
		}
	}
	return 0;
}

int cmd_policy(int argc, char **argv)
{
	struct options o = { .policy = "hosting" };
	int r;

	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++) {
		if (!streq(argv[1], commands[i].name))
			continue;
		r = read_options(argc - 1, argv + 1, &o);
		if (r)
			return r;
		return commands[i].run(argc - 1 - optind, argv + 1 + optind, &o);
	}
	return cmd_fail(EXIT_USAGE, "policy: weir policy check FILE... | show NAME | explain CALL [ARG...] | diff A B");
}
