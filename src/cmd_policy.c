/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_policy.c - weir policy check | show | diff, and explain, which is policy_explain.c
 *
 * None of them starts anything: they read policies, build the lane table and
 * the mask, and print what they mean.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "kernel/util.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/mask.h"
#include "passthrough/policy/groups.h"
#include "passthrough/policy/policy_impl.h"
#include "policy_table.h"

/* check */

struct counts {
	unsigned lane[NUM_LANES], by_arguments;
};

static void count_calls(const struct lanes *l, struct counts *ret)
{
	*ret = (struct counts){ 0 };
	for (int nr = 0; nr < LANES_MAX_NR; nr++) {
		const struct lane_rule *rule = lanes_constant_rule(l, nr);

		if (!call_known(nr))
			continue;
		if (rule)
			ret->lane[rule->lane]++;
		else
			ret->by_arguments++;
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

static int check_one(const char *file, const struct policy_options *o, json_t *all)
{
	struct policy_error err;
	struct counts counts;
	struct policy_table t;
	struct mask mask;
	char here[256];
	int r;

	/* A name has no suffix: this is a file here. */
	snprintf(here, sizeof(here), "./%s", file);
	r = policy_table_load(&t, !strchr(file, '/') && strstr(file, ".policy") ? here : file, o, &err);
	if (r == 0) {
		r = mask_compile(t.lanes, &mask, &err);
		if (r < 0)
			policy_table_free(&t);
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
	policy_table_free(&t);
	return EXIT_SUCCESS;
}

static int check(int argc, char **argv, const struct policy_options *o)
{
	json_t *all = o->json && !o->audit ? json_array() : NULL;
	int ret = EXIT_SUCCESS;

	if (argc == 0)
		return cmd_fail(EXIT_USAGE, "policy check: which file? weir policy check FILE...");
	if (o->audit)
		return policy_audit(argc, argv, o);
	for (int i = 0; i < argc; i++) {
		int r = check_one(argv[i], o, all);

		if (r != EXIT_SUCCESS)
			ret = r;
	}
	if (all)
		policy_print_json(all);
	return ret;
}

static json_t *memory_json(const struct policy_memory *m)
{
	return json_pack("{s:s, s:b, s:I, s:b, s:i}", "budget", policy_budget_str[m->budget], "release",
			 m->release, "floor_bytes", (json_int_t)m->floor, "merge", m->merge, "weight",
			 (int)m->weight);
}

static json_t *policy_json(const struct policy_table *t)
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
	j = json_pack("{s:s, s:s?, s:s, s:s?, s:i, s:I, s:o, s:s?, s:o, s:o, s:I, s:b, s:o}", "name", p->name,
		      "description", p->description, "init", p->init, "hostname", p->hostname,
		      "vcpus", p->vcpus, "memory_bytes", (json_int_t)p->memory, "memory",
		      memory_json(&p->mem), "kernel_release",
		      p->kernel_release, "env", env, "namespaces", ns, "caps",
		      (json_int_t)p->caps, "no_new_privs", p->no_new_privs, "syscalls", calls);
	return j;
}

static int show(int argc, char **argv, const struct policy_options *o)
{
	const char *name = argc > 0 ? argv[0] : o->policy;
	struct policy_error err;
	struct policy_table t;

	if (argc > 1)
		return cmd_fail(EXIT_USAGE, "policy show: one policy at a time");
	if (policy_table_load(&t, name, o, &err) < 0)
		return cmd_fail(EXIT_USAGE, "%s", err.text);
	if (o->json)
		policy_print_json(policy_json(&t));
	else
		policy_show(t.policy, stdout);
	policy_table_free(&t);
	return EXIT_SUCCESS;
}

/* diff */

static bool same_rule(const struct lane_rule *a, const struct lane_rule *b)
{
	unsigned na = a->rule ? a->rule->ntests : 0, nb = b->rule ? b->rule->ntests : 0;

	return a->lane == b->lane && a->err == b->err && na == nb &&
	       (na == 0 || !memcmp(a->rule->test, b->rule->test, na * sizeof(a->rule->test[0])));
}

static bool same_call(const struct policy_table *a, const struct policy_table *b, int nr)
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

static void print_call(const struct policy_table *t, int nr)
{
	const struct lane_rule *rule[MAX_RULES];
	unsigned n = call_rules(t->lanes, nr, rule, ARRAY_SIZE(rule));
	char lane[40];

	for (unsigned i = 0; i < n; i++)
		printf("%s%s%s%s", i ? "; " : "", rule_lane_text(rule[i], lane, sizeof(lane)),
		       rule_test_text(rule[i])[0] ? " if " : "", rule_test_text(rule[i]));
	putchar('\n');
}

static void diff_tables(const struct policy_table *a, const struct policy_table *b, json_t *list)
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

static int diff(int argc, char **argv, const struct policy_options *o)
{
	struct policy_error err;
	struct policy_table a, b;
	json_t *list = NULL;

	if (argc != 2)
		return cmd_fail(EXIT_USAGE, "policy diff: which two? weir policy diff A B");
	if (policy_table_load(&a, argv[0], o, &err) < 0)
		return cmd_fail(EXIT_USAGE, "%s", err.text);
	if (policy_table_load(&b, argv[1], o, &err) < 0) {
		policy_table_free(&a);
		return cmd_fail(EXIT_USAGE, "%s", err.text);
	}
	if (o->json)
		list = json_array();
	diff_tables(&a, &b, list);
	if (list)
		policy_print_json(list);
	policy_table_free(&a);
	policy_table_free(&b);
	return EXIT_SUCCESS;
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv, const struct policy_options *o);
	int (*main)(int argc, char **argv);	/* instead: reads its options itself */
} commands[] = {
	{ "check", .run = check },
	{ "show", .run = show },
	{ "explain", .run = policy_explain },
	{ "diff", .run = diff },
	{ "learn", .main = policy_learn },
	{ "test", .main = policy_test },
	{ "import", .main = policy_import },
	{ "export", .main = policy_export },
};

static int read_options(int argc, char **argv, struct policy_options *o)
{
	static const struct option longs[] = {
		{ "audit", no_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' },
		{ "policy", required_argument, NULL, 'p' },
		{ "profile", required_argument, NULL, 'P' },
		{ "set", required_argument, NULL, 's' },
		{ 0 },
	};
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, ":p:", longs, NULL)) != -1) {
		switch (c) {
		case 'a':
			o->audit = true;
			break;
		case 'j':
			o->json = true;
			break;
		case 'P':
			o->profile = optarg;
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
	struct policy_options o = { .policy = "hosting" };
	int r;

	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++) {
		if (!streq(argv[1], commands[i].name))
			continue;
		if (commands[i].main)
			return commands[i].main(argc - 1, argv + 1);
		r = read_options(argc - 1, argv + 1, &o);
		if (r)
			return r;
		return commands[i].run(argc - 1 - optind, argv + 1 + optind, &o);
	}
	return cmd_fail(EXIT_USAGE, "policy: weir policy check FILE... | show NAME | explain CALL [ARG...] | diff A B | "
				    "learn -- CMD | test POLICY -- CMD | import FILE | export NAME");
}
