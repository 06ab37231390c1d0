/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_check.c - weir check NAME: is a running guest as its policy says?
 */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "cmd.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "posture.h"

static void print_findings(const char *name, json_t *result)
{
	json_t *all = json_object_get(result, "findings"), *f;
	size_t i;

	json_array_foreach(all, i, f)
		printf("%s: pid %lld (host %lld, %s): %s: %s\n", name,
		       json_integer_value(json_object_get(f, "pid")),
		       json_integer_value(json_object_get(f, "host_pid")),
		       json_string_value(json_object_get(f, "comm")) ?: "?",
		       json_string_value(json_object_get(f, "what")),
		       json_string_value(json_object_get(f, "text")) ?: "?");
	if (!json_array_size(all))
		printf("%s: as it should be: %lld tasks, kernel, agent and monitor\n", name,
		       json_integer_value(json_object_get(result, "tasks")));
}

static json_t *ask(const char *name, int *ret_userns)
{
	cleanup_fd int sock = guest_connect("check", name);
	cleanup_json json_t *want = NULL;
	const char *error;

	if (sock < 0)
		return NULL;
	if (guest_send(sock, json_pack("{s:s}", "op", "check"), NULL, 0) == 0)
		want = guest_recv(sock, ret_userns);
	error = json_string_value(json_object_get(want, "error"));
	if (!want || error) {
		cmd_fail(0, "check: %s: %s", name, error ? error : "the guest ended before it answered");
		return NULL;
	}
	return json_incref(want);
}

int cmd_check(int argc, char **argv)
{
	cleanup_json json_t *want = NULL, *result = NULL;
	cleanup_fd int userns = -1;
	const char *name = NULL;
	bool json = false;
	int ret;

	for (int i = 1; i < argc; i++) {
		if (streq(argv[i], "--json") && !json)
			json = true;
		else if (argv[i][0] != '-' && !name)
			name = argv[i];
		else
			return cmd_fail(EXIT_USAGE, "check: usage: weir check [--json] NAME");
	}
	if (!name)
		return cmd_fail(EXIT_USAGE, "check: usage: weir check [--json] NAME");
	want = ask(name, &userns);
	if (!want)
		return 1;
	ret = posture_check(want, userns, &result);
	if (ret < 0)
		return cmd_fail(1, "check: %s: cannot be looked at: %s", name, strerror(-ret));
	if (json) {
		json_object_set_new(result, "guest", json_string(name));
		json_dumpf(result, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
		putchar('\n');
	} else {
		print_findings(name, result);
	}
	return json_array_size(json_object_get(result, "findings")) ? 1 : 0;
}
