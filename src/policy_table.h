/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_table.h - what the commands of weir policy share: a policy with its
 * lane table, and the words for what is in it
 */
#ifndef WEIR_POLICY_TABLE_H
#define WEIR_POLICY_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "passthrough/lanes.h"

#define MAX_SETS 64
#define MAX_RULES 256	/* of one call; printing more would help nobody */

struct policy_options {
	const char *policy;
	char *set[MAX_SETS];
	size_t nset;
	bool json;
	bool audit;		/* check */
	const char *profile;	/* of check --audit: an OCI profile to compare with */
};

/* A policy with its lane table. */
struct policy_table {
	struct policy *policy;
	struct lanes *lanes;
};

/* Return: 0, to be freed by policy_table_free(), or a negative errno with @err. */
int policy_table_load(struct policy_table *t, const char *name, const struct policy_options *o,
		      struct policy_error *err);
void policy_table_free(struct policy_table *t);

/* To standard output; takes @j. Return: EXIT_SUCCESS. */
int policy_print_json(json_t *j);

/* "deny EPERM", in @buf. */
const char *rule_lane_text(const struct lane_rule *r, char *buf, size_t size);

/* The tests of a rule as written, "" without. */
const char *rule_test_text(const struct lane_rule *r);

/* What a rule costs a call. */
const char *rule_cost(const struct lanes *l, int nr, enum lane lane);

/* The rules of a call in the order they are tried; the last always holds.
 * Return: how many, at most @max. */
unsigned call_rules(const struct lanes *l, int nr, const struct lane_rule **ret, unsigned max);

/* A rule, all rules of a call; the caller's references. */
json_t *rule_json(const struct lanes *l, int nr, const struct lane_rule *r);
json_t *call_json(const struct policy_table *t, int nr);

/* policy_explain.c: weir policy explain. */
int policy_explain(int argc, char **argv, const struct policy_options *o);

/* policy_audit.c: weir policy check --audit. */
int policy_audit(int argc, char **argv, const struct policy_options *o);

/* policy_learn.c, policy_test.c: they run a guest. argv[0] is the command's name. */
int policy_learn(int argc, char **argv);
int policy_test(int argc, char **argv);

/* policy_oci.c: OCI seccomp profiles. */
int policy_import(int argc, char **argv);
int policy_export(int argc, char **argv);

#endif
