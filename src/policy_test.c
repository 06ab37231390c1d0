/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_test.c - weir policy test: which calls of a command a policy refuses
 *
 * The guest kernel stops every call, so that it sees those that the filter
 * would have refused alone, and answers with the errno of the rule. A task
 * that a rule kills ends by SIGKILL.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/policy/policy_impl.h"
#include "policy_observe.h"
#include "policy_table.h"

/* What the report has a line for. */
struct refusal {
	const struct lane_rule *rule;
	const struct record *record;
};

static int by_call(const void *va, const void *vb)
{
	const struct refusal *a = va, *b = vb;
	int r = a->record->nr - b->record->nr;

	if (r == 0)
		r = (int)a->rule->id - (int)b->rule->id;
	return r ? r : strcmp(a->record->comm, b->record->comm);
}

/* The refused calls, sorted. Return: how many, or -1 without memory. */
static long collect(const struct observation *o, struct refusal **ret)
{
	size_t n = 0;

	while (recorder_at(o->recorder, n))
		n++;
	*ret = calloc(n + 1, sizeof(**ret));
	if (!*ret)
		return -1;
	n = 0;
	for (unsigned i = 0; recorder_at(o->recorder, i); i++) {
		const struct record *rec = recorder_at(o->recorder, i);
		const struct lane_rule *rule = lanes_rule(o->run->lanes, rec->rule);

		if (rule->lane == LANE_DENY || rule->lane == LANE_KILL)
			(*ret)[n++] = (struct refusal){ rule, rec };
	}
	qsort(*ret, n, sizeof(**ret), by_call);
	return n;
}

static const char *rule_text(const struct lane_rule *r)
{
	return r->rule ? r->rule->text : "default";
}

static json_t *refusals_json(const struct observation *o, const struct refusal *r, long n, int status)
{
	json_t *list = json_array();

	for (long i = 0; i < n; i++) {
		const char *err = policy_errno_name(r[i].rule->err);
		json_t *j = json_pack("{s:s, s:i, s:s, s:I, s:s, s:s, s:s}", "call",
				      syscall_name(r[i].record->nr), "number", r[i].record->nr, "lane",
				      lane_str[r[i].rule->lane], "count",
				      (json_int_t)r[i].record->count, "task", r[i].record->comm,
				      "rule", POS_TEXT(r[i].rule->pos), "text", rule_text(r[i].rule));

		if (r[i].rule->lane == LANE_DENY && err)
			json_object_set_new(j, "errno", json_string(err));
		json_array_append_new(list, j);
	}
	return json_pack("{s:s, s:i, s:o, s:I}", "policy", o->run->policy->name, "status", status,
			 "refused", list, "lost", (json_int_t)recorder_lost(o->recorder));
}

static void print_refusals(FILE *f, const struct observation *o, const struct refusal *r, long n)
{
	char lane[40];

	for (long i = 0; i < n; i++)
		fprintf(f, "%-18s %8llu  %-15s  %-16s  %s: %s\n", syscall_name(r[i].record->nr),
			(unsigned long long)r[i].record->count, r[i].record->comm,
			rule_lane_text(r[i].rule, lane, sizeof(lane)), POS_TEXT(r[i].rule->pos),
			rule_text(r[i].rule));
	if (n == 0)
		fprintf(f, "%s: no call was refused\n", o->run->policy->name);
}

static int report(struct observation *o, int status)
{
	cleanup_free struct refusal *r = NULL;
	long n = collect(o, &r);
	FILE *f = n < 0 ? NULL : observe_result(o);
	int ret;

	if (!f)
		return cmd_fail(1, "policy test: no memory for the report");
	if (o->json) {
		json_t *j = refusals_json(o, r, n, status);

		json_dumpf(j, f, JSON_INDENT(2));
		fputc('\n', f);
		json_decref(j);
	} else {
		print_refusals(f, o, r, n);
	}
	ret = observe_deliver(o);
	if (ret == 0 && recorder_lost(o->recorder))
		ret = cmd_fail(1, "policy test: %llu calls were not recorded: too many different ones",
			       (unsigned long long)recorder_lost(o->recorder));
	if (ret)
		return ret;
	/* A command that could not be run was not tested. */
	return status >= EXIT_NOSTART && status <= 127 ? status : n > 0;
}

int policy_test(int argc, char **argv)
{
	static struct run run = RUN_INIT;
	struct observation o = { .cmd = "test", .run = &run };
	bool ran;
	int r = observe_options(&o, argc, argv);

	if (r == 0)
		r = observe_prepare(&o);
	if (r == 0) {
		r = observe_run(&o, &ran);
		if (ran)
			r = report(&o, r);
	}
	observe_free(&o);
	return r;
}
