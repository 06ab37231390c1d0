/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_table.c - a policy with its lane table, and the words for what is in it
 */
#include "policy_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/util.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy/groups.h"
#include "passthrough/policy/policy_impl.h"

int policy_table_load(struct policy_table *t, const char *name, const struct policy_options *o,
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

void policy_table_free(struct policy_table *t)
{
	lanes_free(t->lanes);
	policy_free(t->policy);
}

int policy_print_json(json_t *j)
{
	json_dumpf(j, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(j);
	return EXIT_SUCCESS;
}

/* "deny EPERM" */
const char *rule_lane_text(const struct lane_rule *r, char *buf, size_t size)
{
	const char *name = policy_errno_name(r->err);

	if (r->lane == LANE_DENY)
		snprintf(buf, size, "deny %s", name ? name : "?");
	else
		snprintf(buf, size, "%s", lane_str[r->lane]);
	return buf;
}

/* The tests of a rule as written, "" without. */
const char *rule_test_text(const struct lane_rule *r)
{
	const char *s = r->rule && r->rule->ntests ? strstr(r->rule->text, " if ") : NULL;

	return s ? s + strlen(" if ") : "";
}

/* The rules of a call in the order they are tried; the last always holds. */
unsigned call_rules(const struct lanes *l, int nr, const struct lane_rule **ret,
			   unsigned max)
{
	unsigned n = 0;

	for (unsigned i = l->first[nr]; i < l->first[nr + 1] && n < max - 1; i++)
		ret[n++] = &l->rule[i];
	if (n == 0 || !lane_rule_always(ret[n - 1]))
		ret[n++] = &l->rule[LANES_DEFAULT];
	return n;
}

/* What a rule costs a call. */
const char *rule_cost(const struct lanes *l, int nr, enum lane lane)
{
	switch (lane) {
	case LANE_PASS:
		return lanes_constant_rule(l, nr) ?
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

json_t *rule_json(const struct lanes *l, int nr, const struct lane_rule *r)
{
	const char *err = policy_errno_name(r->err);
	json_t *j;

	j = json_pack("{s:s, s:s, s:s, s:s}", "lane", lane_str[r->lane], "rule", POS_TEXT(r->pos), "text",
		      r->rule ? r->rule->text : "default", "cost", rule_cost(l, nr, r->lane));
	if (r->lane == LANE_DENY && err)
		json_object_set_new(j, "errno", json_string(err));
	if (rule_test_text(r)[0])
		json_object_set_new(j, "if", json_string(rule_test_text(r)));
	return j;
}

/* The rules of a call in the order they are tried. */
json_t *call_json(const struct policy_table *t, int nr)
{
	const struct lane_rule *rule[MAX_RULES];
	unsigned n = call_rules(t->lanes, nr, rule, ARRAY_SIZE(rule));
	json_t *list = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, rule_json(t->lanes, nr, rule[i]));
	return list;
}

/* show */
