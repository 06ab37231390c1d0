/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_guest.c - the commands that ask a running guest, or end it
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "cmd.h"
#include "config.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"
#include "state.h"
#include "stats_text.h"

/* "NAME" and flags. Return: 0 or EXIT_USAGE. */
struct guest_args {
	const char *name;
	bool json, console;
	long timeout_s;
};

static int parse_args(int argc, char **argv, const char *what, struct guest_args *a)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "console", no_argument, NULL, 'c' },
		{ "time", required_argument, NULL, 't' },
		{},
	};
	char *end;
	int c;

	*a = (struct guest_args){ .timeout_s = 10 };
	while ((c = getopt_long(argc, argv, "jct:", longs, NULL)) != -1) {
		if (c == 'j')
			a->json = true;
		else if (c == 'c')
			a->console = true;
		else if (c == 't')
			a->timeout_s = strtol(optarg, &end, 10);
		if (c == '?' || (c == 't' && (*end || a->timeout_s < 0)))
			return cmd_fail(EXIT_USAGE, "%s: usage: weir %s %s", argv[0], argv[0], what);
	}
	if (argc - optind != 1)
		return cmd_fail(EXIT_USAGE, "%s: usage: weir %s %s", argv[0], argv[0], what);
	a->name = argv[optind];
	return 0;
}

/* ---- list -------------------------------------------------------------- */

int cmd_list(int argc, char **argv)
{
	bool json = argc == 2 && streq(argv[1], "--json");
	cleanup_json json_t *all = json_array();
	char **names;

	if (argc > 2 || (argc == 2 && !json))
		return cmd_fail(EXIT_USAGE, "list: usage: weir list [--json]");
	names = state_list();
	if (!json)
		printf("%-20s %-9s %-10s %-12s %s\n", "NAME", "STATE", "UPTIME", "POLICY", "KERNEL");
	for (char **n = names; n && *n; n++) {
		cleanup_json json_t *stats = NULL;
		json_t *g = NULL;
		char uptime[32];

		if (guest_stats(*n, &stats) == 0)
			g = json_object_get(stats, "guest");
		if (!g)
			g = json_object();	/* it is just starting or ending */
		else
			json_incref(g);
		json_object_set_new(g, "name", json_string(*n));
		if (!json_object_get(g, "state"))
			json_object_set_new(g, "state", json_string("booting"));
		json_array_append(all, g);
		stats_uptime(json_integer_value(json_object_get(g, "uptime_ns")), uptime,
			      sizeof(uptime));
		if (!json)
			printf("%-20s %-9s %-10s %-12s %lld\n", *n,
			       json_string_value(json_object_get(g, "state")), uptime,
			       json_string_value(json_object_get(g, "policy")) ?: "-",
			       json_integer_value(json_object_get(g, "kernel_pid")));
		json_decref(g);
		free(*n);
	}
	free(names);
	if (json) {
		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	return 0;
}

/* ---- log, stats -------------------------------------------------------- */

int cmd_log(int argc, char **argv)
{
	cleanup_free char *text = NULL;
	struct guest_args a;
	json_t *msg;

	if (parse_args(argc, argv, "[--console] NAME", &a))
		return EXIT_USAGE;
	msg = json_pack("{s:s, s:s}", "op", "log", "what", a.console ? "console" : "kernel");
	text = guest_ask_text("log", a.name, msg);
	if (!text)
		return 1;
	fputs(text, stdout);
	return 0;
}

int cmd_stats(int argc, char **argv)
{
	cleanup_json json_t *stats = NULL;
	cleanup_free char *text = NULL;
	struct guest_args a;

	if (parse_args(argc, argv, "[--json] NAME", &a))
		return EXIT_USAGE;
	text = guest_ask_text("stats", a.name, json_pack("{s:s}", "op", "stats"));
	if (!text)
		return 1;
	if (a.json) {
		puts(text);
		return 0;
	}
	stats = json_loads(text, 0, NULL);
	stats_print(stats);
	return 0;
}

/* ---- stop, kill, reboot ------------------------------------------------- */

/* Ask once. Return: 0, 1 after saying what went wrong, or -EPIPE if the kernel
 * ended without an answer (a guest that is restarting will have another). */
static int ask_once(const char *cmd, const char *name, json_t *msg)
{
	cleanup_fd int sock = guest_connect(cmd, name);
	cleanup_json json_t *answer = NULL;
	const char *error;
	json_t *rest;

	if (sock < 0)
		return 1;
	if (guest_send(sock, json_incref(msg), NULL, 0) == 0)
		answer = guest_recv(sock, NULL);
	if (!answer)
		return -EPIPE;
	error = json_string_value(json_object_get(answer, "error"));
	if (error)
		return cmd_fail(1, "%s: %s", cmd, error);
	while ((rest = guest_recv(sock, NULL)))
		json_decref(rest);
	return 0;
}

/* Send, then wait until the guest's kernel is gone. */
static int ask_end(const char *cmd, const char *name, json_t *m, bool wait_end)
{
	struct timespec nap = { .tv_nsec = 2000000 };
	cleanup_json json_t *msg = m;
	int ret = -EPIPE;

	for (int i = 0; i < 10 && ret == -EPIPE; i++)
		ret = ask_once(cmd, name, msg);
	if (ret)
		return ret < 0 ? cmd_fail(1, "%s: the guest ended before it answered", cmd) : ret;
	/* The monitor removes the directory last. */
	for (int i = 0; wait_end && i < 2000; i++) {
		cleanup_fd int again = state_connect(name);

		if (again == -ENOENT)
			break;
		nanosleep(&nap, NULL);
	}
	return 0;
}

int cmd_stop(int argc, char **argv)
{
	struct guest_args a;

	if (parse_args(argc, argv, "[-t SECONDS] NAME", &a))
		return EXIT_USAGE;
	return ask_end("stop", a.name,
		       json_pack("{s:s, s:I}", "op", "stop", "patience_ms",
				 (json_int_t)a.timeout_s * 1000),
		       true);
}

int cmd_kill(int argc, char **argv)
{
	struct guest_args a;

	if (parse_args(argc, argv, "NAME", &a))
		return EXIT_USAGE;
	return ask_end("kill", a.name, json_pack("{s:s}", "op", "kill"), true);
}

int cmd_reboot(int argc, char **argv)
{
	struct guest_args a;

	if (parse_args(argc, argv, "NAME", &a))
		return EXIT_USAGE;
	return ask_end("reboot", a.name, json_pack("{s:s}", "op", "reboot"), false);
}

/* ---- pause, resume ------------------------------------------------------ */

/* Send @m, and wait for the answer. */
static int ask(const char *cmd, const char *name, json_t *m)
{
	cleanup_fd int sock = guest_connect(cmd, name);
	cleanup_json json_t *msg = m;

	return sock < 0 ? 1 : guest_ask(sock, cmd, json_incref(msg), NULL);
}

int cmd_pause(int argc, char **argv)
{
	struct guest_args a;

	if (parse_args(argc, argv, "[-t SECONDS] NAME", &a))
		return EXIT_USAGE;
	return ask("pause", a.name,
		   json_pack("{s:s, s:I}", "op", "pause", "patience_ms",
			     (json_int_t)a.timeout_s * 1000));
}

int cmd_resume(int argc, char **argv)
{
	struct guest_args a;

	if (parse_args(argc, argv, "NAME", &a))
		return EXIT_USAGE;
	return ask("resume", a.name, json_pack("{s:s}", "op", "resume"));
}

/* ---- version ------------------------------------------------------------ */

int cmd_version(int argc, char **argv)
{
	static const char *const absent[] = {
#if !HAVE_FUSE
		"FUSE",
#endif
#if !HAVE_EXT2FS
		"file systems on disks (libext2fs)",
#endif
#if !HAVE_NCURSES
		"screen of weir top (ncurses)",
#endif
		"net backend tap", "net backend vde", "net backend switch", "net backend user",
	};

	if (argc == 2 && streq(argv[1], "--json")) {
		printf("{\"version\":\"%s\",\"absent\":[", WEIR_VERSION);
		for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
			printf("%s\"%s\"", i ? "," : "", absent[i]);
		printf("]}\n");
		return 0;
	}
	if (argc > 1)
		return cmd_fail(EXIT_USAGE, "version: usage: weir version [--json]");
	printf("weir %s\nnot built in this version:", WEIR_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
		printf("%s %s", i ? "," : "", absent[i]);
	printf("\n");
	return 0;
}
