/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_audit.c - weir policy check --audit: what a policy opens, on one page
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "cmd.h"
#include "kernel/util.h"
#include "passthrough/continues.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy/groups.h"
#include "passthrough/policy/policy_impl.h"
#include "policy_audit.h"

static bool has_lane(const struct lanes *l, int nr, bool (*is)(enum lane lane))
{
	const struct lane_rule *rule[MAX_RULES];
	unsigned n = call_rules(l, nr, rule, ARRAY_SIZE(rule));

	for (unsigned i = 0; i < n; i++)
		if (is(rule[i]->lane))
			return true;
	return false;
}

static bool is_trap(enum lane lane)
{
	return lane == LANE_TRAP || lane == LANE_FIX;
}

static bool is_watch(enum lane lane)
{
	return lane == LANE_WATCH;
}


bool call_traps(const struct lanes *l, int nr)
{
	return has_lane(l, nr, is_trap);
}

bool call_passes(const struct lanes *l, int nr)
{
	return has_lane(l, nr, lane_passes);
}

/* Calls that pass whatever their arguments; those with tests; those that stop. */
static json_t *passes_json(const struct lanes *l)
{
	json_t *list = json_array();

	for (int nr = 0; nr < LANES_MAX_NR; nr++) {
		const struct lane_rule *r = lanes_constant_rule(l, nr);

		if (call_known(nr) && r && lane_passes(r->lane))
			json_array_append_new(list, json_string(syscall_name(nr)));
	}
	return list;
}

static json_t *by_arguments_json(const struct policy_table *t)
{
	json_t *list = json_array();

	for (int nr = 0; nr < LANES_MAX_NR; nr++)
		if (call_known(nr) && !lanes_constant_rule(t->lanes, nr))
			json_array_append_new(list, json_pack("{s:s, s:o}", "call", syscall_name(nr),
							      "rules", call_json(t, nr)));
	return list;
}

static json_t *traps_json(const struct policy_table *t)
{
	json_t *list = json_array();

	for (unsigned i = LANES_FIRST; i < t->lanes->nrules; i++) {
		const struct lane_rule *r = &t->lanes->rule[i];

		if (is_trap(r->lane))
			json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "call",
							      syscall_name(r->nr), "lane", lane_str[r->lane],
							      "if", rule_test_text(r), "rule",
							      POS_TEXT(r->pos)));
	}
	return list;
}

static bool watches(const struct lanes *l)
{
	for (unsigned i = 0; i < l->nrules; i++)
		if (is_watch(l->rule[i].lane))
			return true;
	return false;
}

static bool reaches(const struct lanes *l, const struct continue_place *c)
{
	int nr;

	switch (c->when) {
	case CONTINUES_WATCH:
		return watches(l);
	case CONTINUES_IDS:
		return policy_keeps_ids(l->policy);
	case CONTINUES_CLOCKS:
		return policy_clock_on(&l->policy->clock);
	default:
		nr = syscall_number(c->call);
		return nr >= 0 && has_lane(l, nr, is_trap);
	}
}

/* Handlers that this policy can reach and that may let the host go on. */
static json_t *continues_json(const struct lanes *l)
{
	json_t *list = json_array();

	for (const struct continue_place *c = continue_places; c->file; c++)
		if (reaches(l, c))
			json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "call", c->call,
							      "file", c->file, "why", c->why));
	return list;
}

static json_t *audit_json(const struct policy_table *t, const char *profile, struct policy_error *err)
{
	json_t *compare = compare_json(t, profile, err);

	if (!compare)
		return NULL;
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "policy", t->policy->name, "passes",
			 passes_json(t->lanes), "by_arguments", by_arguments_json(t), "traps",
			 traps_json(t), "continues", continues_json(t->lanes), "reach",
			 reach_json(t), "compare", compare);
}

/* ---- as text -------------------------------------------------------------- */

static const char *text(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* Words, indented and in lines of bearable length. */
static void print_words(json_t *list)
{
	size_t i, column = 0;
	json_t *v;

	json_array_foreach(list, i, v) {
		const char *word = json_string_value(v);

		if (column == 0 || column + strlen(word) > 88)
			column = printf("%s   ", column ? "\n" : "") - 1;
		column += printf(" %s", word);
	}
	puts(column ? "" : "    none");
}

static void print_rules(json_t *list)
{
	json_t *v, *r;
	size_t i, k;

	json_array_foreach(list, i, v) {
		printf("    %s\n", text(v, "call"));
		json_array_foreach(json_object_get(v, "rules"), k, r)
			printf("        %s%s%s%s%s  (%s)\n", text(r, "lane"),
			       *text(r, "errno") ? " " : "", text(r, "errno"),
			       *text(r, "if") ? " if " : "", text(r, "if"), text(r, "rule"));
	}
}

static void print_audit(json_t *a)
{
	json_t *v;
	size_t i;

	printf("%s\n\nPass, whatever their arguments: %zu calls\n", text(a, "policy"),
	       json_array_size(json_object_get(a, "passes")));
	print_words(json_object_get(a, "passes"));
	printf("\nDecided by their arguments, the first rule that holds:\n");
	print_rules(json_object_get(a, "by_arguments"));
	printf("\nStop, and the guest kernel answers:\n");
	json_array_foreach(json_object_get(a, "traps"), i, v)
		printf("    %s%s%s  (%s)\n", text(v, "call"), *text(v, "if") ? " if " : "", text(v, "if"),
		       text(v, "rule"));
	printf("\nOf those, may go on to the host after a look, and why that is harmless:\n");
	if (json_array_size(json_object_get(a, "continues")) == 0)
		printf("    none\n");
	json_array_foreach(json_object_get(a, "continues"), i, v)
		printf("    %s: %s (%s)\n", text(v, "call"), text(v, "why"), text(v, "file"));
	printf("\nWithin reach of the host's kernel:\n");
	json_array_foreach(json_object_get(a, "reach"), i, v)
		printf("    %-8s %s: %s\n", text(v, "state"), text(v, "subsystem"), text(v, "by"));
	json_array_foreach(json_object_get(a, "compare"), i, v) {
		printf("\nBeside %s", text(v, "with"));
		if (*text(v, "missing")) {
			printf(": not compared: %s\n", text(v, "missing"));
			continue;
		}
		printf(":\n  lets pass, and this policy refuses:\n");
		print_words(json_object_get(v, "theirs"));
		printf("  lets pass, and here the guest kernel does:\n");
		print_words(json_object_get(v, "guarded"));
		printf("  does not let pass, and this policy does, if only with some arguments:\n");
		print_words(json_object_get(v, "ours"));
	}
}

int policy_audit(int argc, char **argv, const struct policy_options *o)
{
	cleanup_json json_t *audit = NULL;
	struct policy_error err;
	struct policy_table t;

	if (argc != 1)
		return cmd_fail(EXIT_USAGE, "policy check: --audit takes one policy");
	if (policy_table_load(&t, argv[0], o, &err) < 0)
		return cmd_fail(EXIT_USAGE, "%s", err.text);
	audit = audit_json(&t, o->profile, &err);
	policy_table_free(&t);
	if (!audit)
		return cmd_fail(EXIT_USAGE, "policy check: %s", err.text);
	if (o->json)
		return policy_print_json(json_incref(audit));
	print_audit(audit);
	return EXIT_SUCCESS;
}
