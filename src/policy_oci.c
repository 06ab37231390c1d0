/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_oci.c - weir policy import and export: OCI seccomp profiles
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "file_replace.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"
#include "passthrough/policy/oci.h"
#include "policy_oci.h"
#include "policy_table.h"

#define MAX_PROFILE (4 * 1024 * 1024)	/* bytes of JSON */

struct options {
	const char *cmd, *output, *usage;
	struct policy_options o;
};

static int read_options(struct options *opt, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "output", required_argument, NULL, 'o' },
		{ "policy", required_argument, NULL, 'p' },
		{ "set", required_argument, NULL, 's' },
		{},
	};
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, ":o:p:", longs, NULL)) != -1) {
		if (c == 'j')
			opt->o.json = true;
		else if (c == 'o')
			opt->output = optarg;
		else if (c == 'p' && streq(opt->cmd, "import"))
			opt->o.policy = optarg;
		else if (c == 's' && opt->o.nset < MAX_SETS)
			opt->o.set[opt->o.nset++] = optarg;
		else
			return cmd_fail(EXIT_USAGE, "policy %s: usage: weir policy %s %s", opt->cmd,
					opt->cmd, opt->usage);
	}
	if (argc - optind != 1)
		return cmd_fail(EXIT_USAGE, "policy %s: usage: weir policy %s %s", opt->cmd, opt->cmd,
				opt->usage);
	return 0;
}

static void say_notes(const char *cmd, const char *notes)
{
	for (const char *s = notes; s && *s;) {
		size_t len = strcspn(s, "\n");

		fprintf(stderr, "weir: policy %s: %.*s\n", cmd, (int)len, s);
		s += len + !!s[len];
	}
}

static json_t *notes_json(const char *notes)
{
	json_t *list = json_array();

	for (const char *s = notes; s && *s;) {
		size_t len = strcspn(s, "\n");

		json_array_append_new(list, json_stringn(s, len));
		s += len + !!s[len];
	}
	return list;
}

/* The result, or with --json an object that has it and what there is to be said of it. */
static int deliver(const struct options *opt, const char *key, const char *text, const char *notes)
{
	cleanup_free char *whole = NULL;
	json_t *j;
	int r;

	if (opt->o.json) {
		json_t *value = streq(key, "profile") ? json_loads(text, 0, NULL) : json_string(text);

		j = json_pack("{s:o, s:o}", key, value, "notes", notes_json(notes));
		whole = json_dumps(j, JSON_INDENT(2));
		json_decref(j);
	} else if (asprintf(&whole, "%s", text) < 0) {
		whole = NULL;
	}
	if (!whole)
		return cmd_fail(1, "policy %s: no memory for the result", opt->cmd);
	r = file_replace(opt->output, whole, strlen(whole));
	if (r < 0)
		return cmd_fail(1, "policy %s: cannot write %s: %s", opt->cmd,
				opt->output ? opt->output : "to standard output", strerror(-r));
	if (!opt->o.json)
		say_notes(opt->cmd, notes);
	return 0;
}

int oci_load(const char *path, uint64_t caps, struct oci_profile *ret, struct policy_error *err)
{
	cleanup_free char *json = malloc(MAX_PROFILE);
	cleanup_fd int fd = -1;
	ssize_t len;

	if (!json)
		return -ENOMEM;
	fd = host_open(path, O_RDONLY | O_NOCTTY, 0);
	len = fd < 0 ? fd : host_read(fd, json, MAX_PROFILE);
	if (len == MAX_PROFILE)
		len = -EFBIG;
	if (len < 0) {
		snprintf(err->text, sizeof(err->text), "%s: %s", path, strerror(-len));
		return len;
	}
	return oci_read(path, json, len, caps, ret, err);
}

int policy_import(int argc, char **argv)
{
	struct options opt = { .cmd = "import", .o.policy = "base",
			       .usage = "[-p POLICY] [-o FILE] [--json] FILE.json" };
	struct oci_profile profile = { 0 };
	cleanup_free char *text = NULL;
	char inherit[PATH_MAX];
	struct policy_error err;
	struct policy_table t;
	int r = read_options(&opt, argc, argv);

	if (r)
		return r;
	if (opt.o.nset)
		return cmd_fail(EXIT_USAGE, "policy import: --set cannot be kept; write the key into the policy");
	if (policy_table_load(&t, opt.o.policy, &opt.o, &err) < 0)
		return cmd_fail(EXIT_USAGE, "%s", err.text);
	if (!strchr(opt.o.policy, '/') || !realpath(opt.o.policy, inherit))
		snprintf(inherit, sizeof(inherit), "%s", opt.o.policy);
	r = oci_load(argv[optind], t.policy->caps, &profile, &err);
	if (r == 0)
		r = oci_import(argv[optind], &profile, t.lanes, inherit, &text, &err);
	if (r < 0)
		r = cmd_fail(EXIT_USAGE, "policy import: %s", err.text);
	else
		r = deliver(&opt, "policy", text, profile.notes);
	oci_free(&profile);
	policy_table_free(&t);
	return r;
}

int policy_export(int argc, char **argv)
{
	struct options opt = { .cmd = "export",
			       .usage = "[-o FILE] [--set SECTION.KEY=VALUE]... [--json] POLICY" };
	cleanup_free char *json = NULL, *notes = NULL, *text = NULL;
	struct policy_error err;
	struct policy_table t;
	int r = read_options(&opt, argc, argv);

	if (r)
		return r;
	if (policy_table_load(&t, argv[optind], &opt.o, &err) < 0)
		return cmd_fail(EXIT_USAGE, "%s", err.text);
	r = oci_export(t.lanes, &json, &notes, &err);
	policy_table_free(&t);
	if (r < 0)
		return cmd_fail(1, "policy export: %s", err.text);
	if (asprintf(&text, "%s\n", json) < 0)
		return cmd_fail(1, "policy export: no memory for the profile");
	return deliver(&opt, "profile", text, notes);
}
