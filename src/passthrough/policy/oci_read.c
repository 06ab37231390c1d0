/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_read.c - an OCI seccomp profile as rules
 *
 * Where a profile and weir differ: of several entries for one call the
 * stricter holds (libseccomp leaves that open); conditions on the same argument
 * of one entry are alternatives, as runc has them; a call that x86-64 does not
 * have is left out. Unknown keys are errors: they might restrict something.
 */
#include <errno.h>
#include <jansson.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/policy/groups.h"
#include "passthrough/policy/oci_impl.h"
#include "passthrough/policy/policy_impl.h"

#define OLDEST_HOST 6, 1	/* the oldest Linux that weir runs on */

int oci_fail(struct oci_reader *rd, const char *key, const char *fmt, ...)
{
	int len = snprintf(rd->err->text, sizeof(rd->err->text), "%s: %s%s: ", rd->file, rd->path, key);
	va_list ap;

	va_start(ap, fmt);
	if (len > 0 && (size_t)len < sizeof(rd->err->text))
		vsnprintf(rd->err->text + len, sizeof(rd->err->text) - len, fmt, ap);
	va_end(ap);
	/* Text of the profile may be quoted: one line stays one line. */
	for (char *c = rd->err->text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return -EINVAL;
}

int oci_check_keys(struct oci_reader *rd, json_t *o, const char *const *known)
{
	const char *key;
	json_t *v;

	if (!json_is_object(o))
		return oci_fail(rd, "", "is no object; write { ... }");
	json_object_foreach(o, key, v) {
		size_t i = 0;

		while (known[i] && !streq(known[i], key))
			i++;
		if (!known[i])
			return oci_fail(rd, "", "unknown key %.40s; remove it", key);
	}
	return 0;
}

static int check_list(struct oci_reader *rd, json_t *o, const char *key, json_t **ret)
{
	*ret = json_object_get(o, key);
	if (json_is_null(*ret))
		*ret = NULL;
	if (*ret && !json_is_array(*ret)) {
		char name[40];

		snprintf(name, sizeof(name), ".%s", key);
		return oci_fail(rd, name, "is no list; write [ ... ]");
	}
	return 0;
}

/* ---- actions ----------------------------------------------------------- */

static const struct {
	const char *name;
	enum lane lane;
	const char *refused;	/* why it cannot be, and what to write */
} actions[] = {
	{ "SCMP_ACT_ALLOW", LANE_PASS },
	{ "SCMP_ACT_LOG", LANE_WATCH },
	{ "SCMP_ACT_ERRNO", LANE_DENY },
	{ "SCMP_ACT_KILL", LANE_KILL },
	{ "SCMP_ACT_KILL_THREAD", LANE_KILL },
	{ "SCMP_ACT_KILL_PROCESS", LANE_KILL },
	{ "SCMP_ACT_TRAP", .refused = "would send SIGSYS to the program; write SCMP_ACT_ERRNO or SCMP_ACT_KILL_PROCESS" },
	{ "SCMP_ACT_TRACE", .refused = "wants a tracer, of which there is none; write SCMP_ACT_LOG or SCMP_ACT_ERRNO" },
	{ "SCMP_ACT_NOTIFY", .refused = "wants an agent of the runtime; write SCMP_ACT_ERRNO, and trap in the policy for what the guest kernel can do" },
};

static int read_action(struct oci_reader *rd, json_t *o, const char *key, enum lane *ret)
{
	const char *name = json_string_value(json_object_get(o, key));
	char where[40];

	snprintf(where, sizeof(where), ".%s", key);
	if (!name)
		return oci_fail(rd, where, "no action; write \"SCMP_ACT_ERRNO\"");
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (!streq(actions[i].name, name))
			continue;
		if (actions[i].refused)
			return oci_fail(rd, where, "%s %s", name, actions[i].refused);
		*ret = actions[i].lane;
		return 0;
	}
	return oci_fail(rd, where, "unknown action %.40s; write SCMP_ACT_ALLOW, SCMP_ACT_ERRNO, SCMP_ACT_LOG or SCMP_ACT_KILL_PROCESS",
		    name);
}

/* The errno beside an action: a number, or with podman a name; EPERM without. */
static int read_errno(struct oci_reader *rd, json_t *o, const char *number, const char *name, int *ret)
{
	json_t *n = json_object_get(o, number), *s = json_object_get(o, name);
	char where[40];

	*ret = EPERM;
	snprintf(where, sizeof(where), ".%s", n ? number : name);
	if (json_is_string(s) && *json_string_value(s) &&
	    policy_parse_errno(json_string_value(s), ret) < 0)
		return oci_fail(rd, where, "unknown errno %.20s; write a name such as EPERM",
			    json_string_value(s));
	if (!n || json_is_null(n))
		return 0;
	*ret = json_is_integer(n) && json_integer_value(n) > 0 && json_integer_value(n) < 4096 ?
		       json_integer_value(n) : 0;
	if (!policy_errno_name(*ret))
		return oci_fail(rd, where, "no errno of Linux; write a number such as 1 (EPERM) or 38 (ENOSYS)");
	return 0;
}

/* ---- includes and excludes ---------------------------------------------- */

static bool has_cap(struct oci_reader *rd, const char *name)
{
	char lower[40];
	cap_value_t c;

	snprintf(lower, sizeof(lower), "%s", name);
	for (char *s = lower; *s; s++)
		*s |= *s >= 'A' && *s <= 'Z' ? 0x20 : 0;
	return cap_from_name(lower, &c) == 0 && rd->caps & BIT(c);
}

static bool is_x86_64(const char *arch)
{
	return streq(arch, "amd64") || streq(arch, "x86_64") || streq(arch, "SCMP_ARCH_X86_64");
}

static unsigned count_true(struct oci_reader *rd, json_t *list, bool caps)
{
	unsigned n = 0;
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v) {
		const char *s = json_string_value(v);

		n += s && (caps ? has_cap(rd, s) : is_x86_64(s));
	}
	return n;
}

/* Does an entry hold here? @want: of includes, else of excludes. */
static int condition(struct oci_reader *rd, json_t *entry, bool want, bool *ret)
{
	static const char *const known[] = { "caps", "arches", "minKernel", NULL };
	json_t *o = json_object_get(entry, want ? "includes" : "excludes"), *caps, *arches;
	const char *kernel, *where = want ? ".includes" : ".excludes";
	unsigned major, minor;
	int r;

	*ret = true;
	if (!o || json_is_null(o))
		return 0;
	if (!json_is_object(o))
		return oci_fail(rd, where, "is no object; write { ... }");
	r = oci_check_keys(rd, o, known);
	if (r == 0)
		r = check_list(rd, o, "caps", &caps);
	if (r == 0)
		r = check_list(rd, o, "arches", &arches);
	if (r < 0)
		return r;
	kernel = json_string_value(json_object_get(o, "minKernel"));
	if (caps && json_array_size(caps))
		*ret &= want ? count_true(rd, caps, true) == json_array_size(caps) :
			       count_true(rd, caps, true) == 0;
	if (arches && json_array_size(arches))
		*ret &= want ? count_true(rd, arches, false) > 0 : count_true(rd, arches, false) == 0;
	if (kernel && *kernel) {
		const unsigned oldest[] = { OLDEST_HOST };
		bool there;

		if (sscanf(kernel, "%u.%u", &major, &minor) != 2)
			return oci_fail(rd, where, "minKernel %.20s is no version; write \"4.8\"", kernel);
		there = major < oldest[0] || (major == oldest[0] && minor <= oldest[1]);
		*ret &= want ? there : !there;
	}
	return 0;
}

/* ---- entries --------------------------------------------------------------- */

static bool same_rule(const struct oci_rule *a, const struct oci_rule *b)
{
	return a->nr == b->nr && a->lane == b->lane && a->err == b->err && a->ntests == b->ntests &&
	       !memcmp(a->test, b->test, a->ntests * sizeof(a->test[0]));
}

static int add_rule(struct oci_reader *rd, const struct oci_rule *r)
{
	struct oci_profile *p = rd->p;

	for (size_t i = 0; i < p->n; i++)
		if (same_rule(&p->rule[i], r))
			return 0;
	if (p->n == OCI_MAX_RULES)
		return oci_fail(rd, "", "more than %d rules; use fewer", OCI_MAX_RULES);
	if (p->n == rd->room) {
		size_t room = rd->room ? 2 * rd->room : 512;
		struct oci_rule *rule = realloc(p->rule, room * sizeof(*rule));

		if (!rule)
			return policy_no_memory(rd->err);
		p->rule = rule;
		rd->room = room;
	}
	p->rule[p->n++] = *r;
	return 0;
}

/* The conditions of an entry for one call: all of them, or, if two look at the same
 * argument, each for itself. */
static int add_call(struct oci_reader *rd, json_t *args, struct oci_rule *rule)
{
	struct policy_test test[POLICY_MAX_TESTS];
	unsigned n = 0, seen = 0;
	bool alternatives = false;
	size_t len = strlen(rd->path), i;
	json_t *o;
	int r = 0;

	if (json_array_size(args) > POLICY_MAX_TESTS)
		return oci_fail(rd, ".args", "more than %d conditions; use fewer", POLICY_MAX_TESTS);
	json_array_foreach(args, i, o) {
		snprintf(rd->path + len, sizeof(rd->path) - len, ".args[%zu]", i);
		r = oci_read_test(rd, o, rule->nr, &test[n]);
		rd->path[len] = '\0';
		if (r < 0)
			return r;
		if (test[n].nvalues == 0)
			continue;
		alternatives |= seen >> test[n].arg & 1;
		seen |= 1u << test[n++].arg;
	}
	for (i = 0; alternatives && i < n && r == 0; i++) {
		rule->ntests = 1;
		rule->test[0] = test[i];
		r = add_rule(rd, rule);
	}
	if (alternatives)
		return r;
	rule->ntests = n;
	memcpy(rule->test, test, n * sizeof(test[0]));
	return add_rule(rd, rule);
}

static void end_note(struct oci_reader *rd)
{
	if (rd->column)
		fputc('\n', rd->notes);
	rd->column = 0;
}

/* Names of other machines' calls, many to a line. */
static void note_foreign(struct oci_reader *rd, const char *name)
{
	if (rd->column == 0 || rd->column + strlen(name) > 100)
		rd->column = fprintf(rd->notes, "%sno calls of x86-64, left out:",
				     rd->column ? "\n" : "");
	rd->column += fprintf(rd->notes, " %.40s", name);
}

static int add_names(struct oci_reader *rd, json_t *names, json_t *args, const struct oci_rule *like)
{
	json_t *v;
	size_t i;

	json_array_foreach(names, i, v) {
		const char *name = json_string_value(v);
		struct oci_rule rule = *like;
		int r;

		if (!name || !*name)
			return oci_fail(rd, ".names", "entry %zu is no name of a system call", i);
		rule.nr = syscall_number(name);
		if (rule.nr < 0 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name)) {
			note_foreign(rd, name);
			continue;
		}
		if (rule.nr < 0)
			return oci_fail(rd, ".names", "%.40s is no name of a system call", name);
		r = add_call(rd, args, &rule);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_entry(struct oci_reader *rd, json_t *o)
{
	static const char *const known[] = { "names", "name", "action", "errnoRet", "errno", "args",
					     "comment", "includes", "excludes", NULL };
	json_t *names, *args, *single = json_object_get(o, "name");
	json_auto_t *one = NULL;
	struct oci_rule rule = { 0 };
	bool in = true, out = true;
	int r = oci_check_keys(rd, o, known);

	if (r == 0)
		r = read_action(rd, o, "action", &rule.lane);
	if (r == 0)
		r = read_errno(rd, o, "errnoRet", "errno", &rule.err);
	if (r == 0)
		r = condition(rd, o, true, &in);
	if (r == 0)
		r = condition(rd, o, false, &out);
	if (r == 0)
		r = check_list(rd, o, "names", &names);
	if (r == 0)
		r = check_list(rd, o, "args", &args);
	if (r < 0)
		return r;
	if (rule.lane != LANE_DENY)
		rule.err = 0;
	if (!names && json_is_string(single))
		names = one = json_pack("[O]", single);
	if (json_array_size(names) == 0)
		return oci_fail(rd, ".names", "no system call; write [\"read\", ...]");
	if (!in || !out) {
		end_note(rd);
		fprintf(rd->notes, "%s: left out, its %s does not hold for this policy\n", rd->path,
			in ? "excludes" : "includes");
		return 0;
	}
	return add_names(rd, names, args, &rule);
}

static int check_arches(struct oci_reader *rd, json_t *o)
{
	json_t *list, *map, *v;
	unsigned n;
	size_t i;
	int r = check_list(rd, o, "architectures", &list);

	if (r == 0)
		r = check_list(rd, o, "archMap", &map);
	if (r < 0)
		return r;
	n = json_array_size(list) ? count_true(rd, list, false) : 1;
	json_array_foreach(list, i, v)
		if (json_is_string(v) && !is_x86_64(json_string_value(v)))
			fprintf(rd->notes, "%.40s: calls through other ABIs stay denied\n",
				json_string_value(v));
	if (json_array_size(map)) {
		n = 0;
		json_array_foreach(map, i, v) {
			const char *arch = json_string_value(json_object_get(v, "architecture"));

			n += arch && is_x86_64(arch);
		}
	}
	return n ? 0 : oci_fail(rd, ".architectures", "SCMP_ARCH_X86_64 is not among them; this profile is for another machine");
}

static int read_profile(struct oci_reader *rd, json_t *o)
{
	static const char *const known[] = {
		"defaultAction", "defaultErrnoRet", "defaultErrno", "architectures", "archMap", "flags",
		"listenerPath", "listenerMetadata", "syscalls", NULL };
	json_t *list, *v;
	size_t i, len;
	int r = oci_check_keys(rd, o, known);

	if (r == 0)
		r = read_action(rd, o, "defaultAction", &rd->p->default_lane);
	if (r == 0)
		r = read_errno(rd, o, "defaultErrnoRet", "defaultErrno", &rd->p->default_err);
	if (r == 0)
		r = check_arches(rd, o);
	if (r == 0)
		r = check_list(rd, o, "syscalls", &list);
	if (r < 0)
		return r;
	if (json_array_size(json_object_get(o, "flags")))
		fputs("flags: weir chooses those of its filter itself\n", rd->notes);
	len = strlen(rd->path);
	json_array_foreach(list, i, v) {
		snprintf(rd->path + len, sizeof(rd->path) - len, ".syscalls[%zu]", i);
		r = read_entry(rd, v);
		if (r < 0)
			return r;
	}
	end_note(rd);
	return 0;
}

int oci_read(const char *file, const char *json, size_t len, uint64_t caps,
	     struct oci_profile *ret, struct policy_error *err)
{
	struct oci_reader rd = { .file = file, .path = "$", .err = err, .p = ret, .caps = caps };
	json_error_t je;
	json_t *root, *profile;
	int r;

	*ret = (struct oci_profile){ 0 };
	root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &je);
	if (!root) {
		r = oci_fail(&rd, "", "line %d, column %d: %s", je.line, je.column, je.text);
		return r;
	}
	profile = json_object_get(root, "linux");
	if (profile) {
		strcpy(rd.path, "$.linux.seccomp");
		profile = json_object_get(profile, "seccomp");
	}
	rd.notes = open_memstream(&ret->notes, &ret->notes_size);
	if (!rd.notes)
		r = policy_no_memory(err);
	else
		r = read_profile(&rd, strcmp(rd.path, "$") ? profile : root);
	if (rd.notes && fclose(rd.notes) != 0 && r == 0)
		r = policy_no_memory(err);
	json_decref(root);
	if (r < 0)
		oci_free(ret);
	return r;
}

void oci_free(struct oci_profile *p)
{
	free(p->rule);
	free(p->notes);
	*p = (struct oci_profile){ 0 };
}

bool oci_passes(const struct oci_profile *p, int nr)
{
	bool passes = p->default_lane == LANE_PASS || p->default_lane == LANE_WATCH;

	for (size_t i = 0; i < p->n; i++) {
		const struct oci_rule *r = &p->rule[i];
		bool allowed = r->lane == LANE_PASS || r->lane == LANE_WATCH;

		if (r->nr == nr && !allowed && r->ntests == 0)
			return false;
		if (r->nr == nr && allowed)
			passes = true;
	}
	return passes;
}
