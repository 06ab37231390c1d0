/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_export.c - a policy as an OCI seccomp profile
 *
 * A profile has no order and no exceptions, and a runtime takes two conditions
 * on one argument for alternatives. So the rules of a call, of which the first
 * that holds decides, are cut into cubes that do not overlap, each with one
 * masked comparison of an argument: whatever order a runtime puts them into,
 * they mean the same. Comparisons are masked to the width that the host looks
 * at: junk in the high half changes nothing.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy/cube.h"
#include "passthrough/policy/groups.h"
#include "passthrough/policy/oci.h"
#include "passthrough/policy/policy_impl.h"

#define MANY 24	/* entries that would change nothing but the errno of one rule */

struct exporter {
	const struct lanes *l;
	json_t *entries;
	FILE *notes;
	struct policy_error *err;
};

/* What a lane is in a profile. What the guest kernel does, another runtime can
 * only refuse. */
struct outcome {
	const char *action;
	int err;
};

static struct outcome outcome_of(const struct lane_rule *r)
{
	switch (r->lane) {
	case LANE_PASS:
		return (struct outcome){ "SCMP_ACT_ALLOW", 0 };
	case LANE_WATCH:
		return (struct outcome){ "SCMP_ACT_LOG", 0 };
	case LANE_KILL:
		return (struct outcome){ "SCMP_ACT_KILL_PROCESS", 0 };
	case LANE_DENY:
		return (struct outcome){ "SCMP_ACT_ERRNO", r->err };
	default:
		return (struct outcome){ "SCMP_ACT_ERRNO", EPERM };
	}
}

static bool same_outcome(struct outcome a, struct outcome b)
{
	return streq(a.action, b.action) && a.err == b.err;
}

static json_t *entry(struct outcome o, json_t *names)
{
	json_t *j = json_pack("{s:o, s:s}", "names", names, "action", o.action);

	if (o.err)
		json_object_set_new(j, "errnoRet", json_integer(o.err));
	return j;
}

/* All calls with the same answer for any arguments are one entry. */
static void add_constant(struct exporter *x, struct outcome o, const char *name)
{
	json_t *v, *errno_ret;
	size_t i;

	json_array_foreach(x->entries, i, v) {
		errno_ret = json_object_get(v, "errnoRet");
		if (!json_object_get(v, "args") &&
		    streq(json_string_value(json_object_get(v, "action")), o.action) &&
		    json_integer_value(errno_ret) == o.err) {
			json_array_append_new(json_object_get(v, "names"), json_string(name));
			return;
		}
	}
	json_array_append_new(x->entries, entry(o, json_pack("[s]", name)));
}

static int add_cube(struct exporter *x, struct outcome o, int nr, const struct cube *c)
{
	json_t *e = entry(o, json_pack("[s]", syscall_name(nr))), *args = json_array();

	json_object_set_new(e, "args", args);
	json_array_append_new(x->entries, e);
	for (unsigned i = 0; i < 6; i++) {
		bool whole = c->mask[i] == UINT64_MAX;

		if (!c->mask[i])
			continue;
		if ((!whole && c->mask[i] > INT64_MAX) || c->value[i] > INT64_MAX) {
			snprintf(x->err->text, sizeof(x->err->text),
				 "the tests on argument %u of %s need numbers that JSON has not; use smaller ones",
				 i, syscall_name(nr));
			return -ERANGE;
		}
		json_array_append_new(args, whole ?
			json_pack("{s:i, s:I, s:s}", "index", (int)i, "value",
				  (json_int_t)c->value[i], "op", "SCMP_CMP_EQ") :
			json_pack("{s:i, s:I, s:I, s:s}", "index", (int)i, "value",
				  (json_int_t)c->mask[i], "valueTwo", (json_int_t)c->value[i], "op",
				  "SCMP_CMP_MASKED_EQ"));
	}
	return 0;
}

static unsigned pieces(const struct cubes *left, const struct cubes *own)
{
	struct cube both;
	unsigned n = 0;

	for (unsigned i = 0; i < left->n; i++)
		for (unsigned k = 0; k < own->n; k++)
			n += cube_intersect(&left->c[i], &own->c[k], &both);
	return n;
}

/* Where one rule decides: what of it is left by those before it. */
static int add_decided(struct exporter *x, const struct lane_rule *r, int nr, struct cubes *left,
		       struct cubes *own)
{
	struct outcome o = outcome_of(r), otherwise = outcome_of(&x->l->rule[LANES_DEFAULT]);
	struct cube both;

	cubes_of_rule(own, r->rule ? r->rule->test : NULL, r->rule ? r->rule->ntests : 0);
	if (streq(o.action, "SCMP_ACT_ERRNO") && streq(otherwise.action, o.action) &&
	    o.err != otherwise.err && pieces(left, own) > MANY) {
		fprintf(x->notes, "%s: refused with %s where %s says %s\n", syscall_name(nr),
			policy_errno_name(otherwise.err), POS_TEXT(r->pos), policy_errno_name(o.err));
		o = otherwise;
	}
	for (unsigned k = 0; k < own->n; k++) {
		for (unsigned i = 0; i < left->n && !same_outcome(o, otherwise); i++) {
			int ret = cube_intersect(&left->c[i], &own->c[k], &both) ?
					  add_cube(x, o, nr, &both) : 0;

			if (ret < 0)
				return ret;
		}
		cubes_subtract(left, &own->c[k]);
	}
	if (!left->overflow && !own->overflow)
		return 0;
	snprintf(x->err->text, sizeof(x->err->text),
		 "%s: the tests on %s are too many for a profile; use fewer", POS_TEXT(r->pos),
		 syscall_name(nr));
	return -E2BIG;
}

static int add_tested(struct exporter *x, int nr)
{
	cleanup_free struct cubes *left = malloc(sizeof(*left)), *own = malloc(sizeof(*own));
	int r = 0;

	if (!left || !own)
		return policy_no_memory(x->err);
	cubes_all(left);
	for (unsigned i = x->l->first[nr]; i < x->l->first[nr + 1] && r == 0; i++)
		r = add_decided(x, &x->l->rule[i], nr, left, own);
	return r;
}

static void note_lanes(struct exporter *x, int nr)
{
	for (unsigned i = x->l->first[nr]; i < x->l->first[nr + 1]; i++)
		if (x->l->rule[i].lane == LANE_TRAP || x->l->rule[i].lane == LANE_FIX) {
			fprintf(x->notes, "%s: the guest kernel does it, another runtime answers EPERM\n",
				syscall_name(nr));
			return;
		}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(syscall_name(*(const int *)a), syscall_name(*(const int *)b));
}

static int add_calls(struct exporter *x)
{
	struct outcome otherwise = outcome_of(&x->l->rule[LANES_DEFAULT]);
	int order[CALL_MAX_NR], r = 0;
	size_t n = 0;

	for (int nr = 0; nr < CALL_MAX_NR; nr++)
		if (call_known(nr))
			order[n++] = nr;
	qsort(order, n, sizeof(order[0]), by_name);
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct lane_rule *rule = lanes_constant_rule(x->l, order[i]);

		note_lanes(x, order[i]);
		if (!rule)
			r = add_tested(x, order[i]);
		else if (!same_outcome(outcome_of(rule), otherwise))
			add_constant(x, outcome_of(rule), syscall_name(order[i]));
	}
	return r;
}

int oci_export(const struct lanes *l, char **ret, char **notes, struct policy_error *err)
{
	struct outcome otherwise = outcome_of(&l->rule[LANES_DEFAULT]);
	struct exporter x = { .l = l, .entries = json_array(), .err = err };
	json_t *profile;
	size_t size;
	int r;

	*ret = *notes = NULL;
	x.notes = open_memstream(notes, &size);
	profile = json_pack("{s:s, s:[s], s:o}", "defaultAction", otherwise.action, "architectures",
			    "SCMP_ARCH_X86_64", "syscalls", x.entries);
	if (otherwise.err)
		json_object_set_new(profile, "defaultErrnoRet", json_integer(otherwise.err));
	r = x.notes && profile ? add_calls(&x) : policy_no_memory(err);
	if (x.notes && fclose(x.notes) != 0 && r == 0)
		r = policy_no_memory(err);
	if (r == 0) {
		*ret = json_dumps(profile, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
		r = *ret ? 0 : policy_no_memory(err);
	}
	json_decref(profile);
	if (r < 0) {
		free(*notes);
		*notes = NULL;
	}
	return r;
}
