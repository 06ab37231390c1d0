/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_explain.c - weir policy explain: what happens to a call, and which line
 * of which file says so
 */
#include <errno.h>
#include <jansson.h>
#include <linux/audit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "id_request.h"
#include "kernel/util.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy/groups.h"
#include "passthrough/policy/policy_impl.h"
#include "policy_table.h"

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

	printf("%s%s\n    %s: %s\n    %s\n", mark, rule_lane_text(r, lane, sizeof(lane)), POS_TEXT(r->pos),
	       r->rule ? r->rule->text : "default", rule_cost(l, nr, r->lane));
}

/* Was a line overridden? @arg: by what decides a call with these arguments. */
static bool overridden(const struct policy_table *t, const struct policy_rule *r,
		       const struct lane_rule *decided, const uint64_t *arg)
{
	if (!in_table(t->lanes, r))
		return true;
	return decided && decided->rule != r && decided->rule > r && policy_rule_holds(r, arg);
}

static void explain_overridden(const struct policy_table *t, int nr, const struct lane_rule *decided,
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

static json_t *overridden_json(const struct policy_table *t, int nr, const struct lane_rule *decided,
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

static int explain_json(const struct policy_table *t, int nr, const struct lane_rule *decided,
			const uint64_t *arg)
{
	json_t *j = json_pack("{s:s, s:s, s:i, s:o, s:o}", "policy", t->policy->name, "call",
			      syscall_name(nr), "number", nr, "rules", call_json(t, nr), "overridden",
			      overridden_json(t, nr, decided, arg));
	if (decided)
		json_object_set_new(j, "decided", rule_json(t->lanes, nr, decided));
	return policy_print_json(j);
}

static void explain_text(const struct policy_table *t, int nr, const struct lane_rule *decided,
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

int policy_explain(int argc, char **argv, const struct policy_options *o)
{
	const struct lane_rule *decided = NULL;
	struct policy_error err;
	uint64_t arg[6] = { 0 }, nr;
	struct policy_table t;

	if (argc == 0 || argc > 7)
		return cmd_fail(EXIT_USAGE,
				"policy explain: weir policy explain [-p POLICY] CALL [ARG0 ...]");
	if (streq(argv[0], "ids") && argc == 1) {
		int status;

		if (policy_table_load(&t, o->policy, o, &err) < 0)
			return cmd_fail(EXIT_USAGE, "%s", err.text);
		status = policy_explain_ids(t.policy, o->json);
		policy_table_free(&t);
		return status;
	}
	nr = syscall_number(argv[0]);
	if ((int)nr < 0 && (policy_parse_u64(argv[0], &nr) < 0 || nr >= LANES_MAX_NR))
		return cmd_fail(EXIT_USAGE, "policy explain: %s is not a system call of x86-64; write its name or number",
				argv[0]);
	for (int i = 1; i < argc; i++)
		if (read_argument(argv[i], &arg[i - 1]) < 0)
			return cmd_fail(EXIT_USAGE, "policy explain: argument %s is not a number nor a constant of weir-policy(5)",
					argv[i]);
	if (policy_table_load(&t, o->policy, o, &err) < 0)
		return cmd_fail(EXIT_USAGE, "%s", err.text);
	if (argc > 1)
		decided = lanes_lookup(t.lanes, AUDIT_ARCH_X86_64, nr, arg);
	if (o->json)
		explain_json(&t, nr, decided, arg);
	else
		explain_text(&t, nr, decided, arg);
	policy_table_free(&t);
	return EXIT_SUCCESS;
}
