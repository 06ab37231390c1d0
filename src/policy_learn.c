/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_learn.c - weir policy learn: the policy that allows what a command did
 */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/policy/groups.h"
#include "passthrough/policy/policy_impl.h"
#include "passthrough/policy/policy_learnt.h"
#include "policy_observe.h"
#include "policy_table.h"

static int merge_one(struct learnt *l, const char *name)
{
	static const struct policy_options plain = { 0 };
	char path[PATH_MAX];
	struct policy_error err;
	struct policy_table t;
	int r;

	snprintf(path, sizeof(path), "%s%s", strchr(name, '/') ? "" : "./", name);
	if (policy_table_load(&t, path, &plain, &err) < 0)
		return cmd_fail(EXIT_USAGE, "policy learn: --merge: %s", err.text);
	r = learnt_merge(l, t.lanes, path, &err);
	policy_table_free(&t);
	return r < 0 ? cmd_fail(EXIT_USAGE, "policy learn: --merge: %s", err.text) : 0;
}

static void take_records(const struct observation *o, struct learnt *l)
{
	const struct record *rec;

	for (unsigned i = 0; (rec = recorder_at(o->recorder, i)); i++) {
		enum lane lane = lanes_rule(o->run->lanes, rec->rule)->lane;

		if (rec->nr < 0 || rec->nr >= LANES_MAX_NR || !call_known(rec->nr))
			continue;
		if (!rec->many)
			learnt_add(l, rec->nr, rec->value);
		else if (lane != LANE_DENY && lane != LANE_KILL)
			learnt_add_many(l, rec->nr);
	}
}

/* "domain 0x10, protocol 9" */
static void describe(const struct learnt *l, int nr, const uint64_t *value, FILE *f)
{
	const struct record_key *k = learnt_key(l, nr);
	struct call_arg arg;

	for (unsigned i = 0; i < k->n; i++)
		if (call_arg_at(nr, k->part[i].arg, &arg) == 0)
			fprintf(f, "%s%s %#llx", i ? ", " : " with ", arg.name,
				(unsigned long long)value[i]);
}

static void say_refused(const struct learnt *l)
{
	const struct lane_rule *r;
	const uint64_t *value;
	unsigned at = 0;
	char lane[40];
	int nr;

	while ((r = learnt_refused(l, &at, &nr, &value))) {
		fprintf(stderr, "weir: policy learn: wanted and refused: %s", syscall_name(nr));
		describe(l, nr, value, stderr);
		fprintf(stderr, ": %s by %s\n", rule_lane_text(r, lane, sizeof(lane)),
			POS_TEXT(r->pos));
	}
}

static json_t *refused_json(const struct learnt *l)
{
	json_t *list = json_array();
	const struct lane_rule *r;
	const uint64_t *value;
	unsigned at = 0;
	int nr;

	while ((r = learnt_refused(l, &at, &nr, &value))) {
		const struct record_key *k = learnt_key(l, nr);
		json_t *args = json_object();
		struct call_arg arg;

		for (unsigned i = 0; i < k->n; i++)
			if (call_arg_at(nr, k->part[i].arg, &arg) == 0)
				json_object_set_new(args, arg.name, json_integer((json_int_t)value[i]));
		json_array_append_new(list, json_pack("{s:s, s:o, s:s, s:s}", "call", syscall_name(nr),
						      "arguments", args, "lane", lane_str[r->lane],
						      "rule", POS_TEXT(r->pos)));
	}
	return list;
}

/* A policy is inherited by name, or by a path that holds wherever the new file lies. */
static int inherited(const char *name, char *path)
{
	if (!strchr(name, '/'))
		snprintf(path, PATH_MAX, "%s", name);
	else if (!realpath(name, path))
		return cmd_fail(1, "policy learn: %s is gone", name);
	return 0;
}

/* What is written must be a policy that holds; anything else is an error of ours. */
static int check(const char *text, size_t len)
{
	struct policy_error err;
	struct policy *p;
	struct lanes *lanes;
	int r = policy_load_text("learnt.policy", text, len, &p, &err);

	if (r == 0) {
		r = lanes_build(p, &lanes, &err);
		if (r == 0)
			lanes_free(lanes);
		policy_free(p);
	}
	return r < 0 ? cmd_fail(1, "policy learn: what was learnt is no policy: %s", err.text) : 0;
}

static int write_learnt(struct observation *o, const struct learnt *l, int status)
{
	cleanup_free char *text = NULL;
	char path[PATH_MAX];
	FILE *f, *result;
	size_t len;
	int r = inherited(o->run->opt.policy, path);

	if (r)
		return r;
	f = open_memstream(&text, &len);
	if (f)
		learnt_write(l, path, f);
	if (!f || fclose(f) != 0)
		return cmd_fail(1, "policy learn: no memory for the policy");
	r = check(text, len);
	if (r)
		return r;
	result = observe_result(o);
	if (!result)
		return cmd_fail(1, "policy learn: no memory for the policy");
	if (o->json) {
		json_t *j = json_pack("{s:s, s:i, s:o, s:I}", "policy", text, "status", status,
				      "refused", refused_json(l), "lost",
				      (json_int_t)recorder_lost(o->recorder));

		json_dumpf(j, result, JSON_INDENT(2));
		fputc('\n', result);
		json_decref(j);
	} else {
		fwrite(text, 1, len, result);
	}
	r = observe_deliver(o);
	if (r == 0 && recorder_lost(o->recorder))
		r = cmd_fail(1, "policy learn: %llu calls were not recorded: too many different ones",
			     (unsigned long long)recorder_lost(o->recorder));
	return r;
}

static int learn(struct observation *o, struct learnt *l)
{
	bool ran;
	int r = 0, status;

	for (size_t i = 0; i < o->nmerge && r == 0; i++)
		r = merge_one(l, o->merge[i]);
	if (r)
		return r;
	for (int nr = 0; nr < LANES_MAX_NR; nr++)
		recorder_tell_apart(o->recorder, nr, learnt_key(l, nr));
	status = observe_run(o, &ran);
	if (!ran)
		return status;
	take_records(o, l);
	r = write_learnt(o, l, status);
	if (r == 0)
		say_refused(l);
	return r ? r : status;
}

int policy_learn(int argc, char **argv)
{
	static struct run run = RUN_INIT;
	struct observation o = { .cmd = "learn", .run = &run };
	struct learnt *l = NULL;
	int r;

	run.opt.policy = "base";
	r = observe_options(&o, argc, argv);
	if (r == 0)
		r = observe_prepare(&o);
	if (r == 0 && learnt_create(run.lanes, &l) < 0)
		r = cmd_fail(1, "policy learn: no memory");
	if (r == 0)
		r = learn(&o, l);
	learnt_destroy(l);
	observe_free(&o);
	return r;
}
