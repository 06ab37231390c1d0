/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_mem.c - weir mem: a guest's memory, shown, plugged, unplugged, released
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "client.h"
#include "cmd.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"
#include "passthrough/policy/policy_value.h"
#include "state.h"

#define ANSWER_BYTES 65536
#define DEFAULT_DEADLINE "10s"

struct mem_options {
	bool json, all;
	const char *type;	/* of what is released */
	int64_t deadline_ns;
	const char *name, *action;
	uint64_t bytes;
};

static int usage(void)
{
	return cmd_fail(EXIT_USAGE,
			"mem: usage: weir mem [--json] NAME [show | plug SIZE | unplug SIZE | "
			"release SIZE [--clean | --dirty]] [--deadline DURATION], or weir mem --all");
}

/* ---- what is shown ----------------------------------------------------------- */

static json_int_t number(json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static double mib(json_int_t bytes)
{
	return bytes / 1048576.0;
}

static void print_guest(json_t *mem)
{
	json_t *p = json_object_get(mem, "processes"), *more = json_object_get(mem, "more");
	json_int_t limit = number(mem, "limit_bytes");
	json_t *area;
	size_t i;

	if (limit)
		printf("limit      %.1f MiB by %s; %.1f MiB unplugged, %.1f MiB is the floor\n",
		       mib(limit), json_string_value(json_object_get(mem, "budget")),
		       mib(number(mem, "unplugged_bytes")), mib(number(mem, "floor_bytes")));
	else
		printf("limit      none: the memory is the host's\n");
	printf("used       %.1f MiB: clean %.1f, dirty %.1f, hard %.1f\n",
	       mib(number(mem, "used_bytes")), mib(number(more, "clean_bytes")),
	       mib(number(more, "dirty_bytes")), mib(number(more, "hard_bytes")));
	printf("released   %.1f MiB since boot; pressure of the host: %s\n",
	       mib(number(mem, "released_bytes")),
	       json_string_value(json_object_get(mem, "pressure")));
	printf("oom        %lld tasks killed, %lld calls refused\n", number(mem, "oom_kills"),
	       number(mem, "refused_calls"));
	json_array_foreach(json_object_get(mem, "physmem"), i, area)
		printf("ram disk   %s: %.1f of %.1f MiB are there\n",
		       json_string_value(json_object_get(area, "name")), mib(number(area, "resident_bytes")),
		       mib(number(area, "bytes")));
	if (p)
		printf("processes  %.1f MiB proportional: %.1f unique, %.1f shared, %.1f merged\n",
		       mib(number(p, "proportional_bytes")), mib(number(p, "unique_bytes")),
		       mib(number(p, "shared_bytes")), mib(number(p, "merged_bytes")));
}

/* What was done; an exit status: 1 if it was not all. */
static int print_work(const char *action, json_t *mem)
{
	json_t *work = json_object_get(mem, "work");
	const char *why = json_string_value(json_object_get(work, "why"));

	printf("%s: %.1f of %.1f MiB in %.1f ms; the guest has %.1f MiB, more would be %.1f MiB clean "
	       "and %.1f MiB dirty\n", action, mib(number(work, "got_bytes")),
	       mib(number(work, "asked_bytes")), number(work, "took_ns") / 1e6,
	       mib(number(mem, "limit_bytes")),
	       mib(number(json_object_get(mem, "more"), "clean_bytes")),
	       mib(number(json_object_get(mem, "more"), "dirty_bytes")));
	return why ? cmd_fail(1, "mem: not all of it: %s", why) : 0;
}

/* ---- one guest ---------------------------------------------------------------- */

static json_t *request(const struct mem_options *o)
{
	return json_pack("{s:s, s:s, s:I, s:s, s:I}", "op", "mem", "action", o->action, "bytes",
			 (json_int_t)o->bytes, "type", o->type, "deadline_ms",
			 (json_int_t)(o->deadline_ns / 1000000));
}

/* Send and read the answer. Return: it, or NULL after saying why not. */
static json_t *ask(const struct mem_options *o)
{
	cleanup_fd int sock = guest_connect("mem", o->name), fd = -1;
	cleanup_free char *text = calloc(1, ANSWER_BYTES);
	/* A guest that is just being started, or stopped by a debugger, is not waited for. */
	struct timeval patience = { .tv_sec = o->deadline_ns / (int64_t)NSEC_PER_SEC + 10 };
	json_t *answer;

	if (sock >= 0)
		setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (sock < 0 || !text || guest_ask(sock, "mem", request(o), &fd))
		return NULL;
	answer = fd >= 0 && host_read(fd, text, ANSWER_BYTES - 1) >= 0 ? json_loads(text, 0, NULL) : NULL;
	if (!answer)
		cmd_fail(0, "mem: the guest's answer cannot be read");
	return answer;
}

static int one_guest(const struct mem_options *o)
{
	cleanup_json json_t *answer = ask(o);
	json_t *work = json_object_get(answer, "work");

	if (!answer)
		return 1;
	if (o->json) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		putchar('\n');
		return json_is_string(json_object_get(work, "why")) ? 1 : 0;
	}
	if (work)
		return print_work(o->action, answer);
	print_guest(answer);
	return 0;
}

/* ---- all of them ----------------------------------------------------------------- */

static void print_row(const char *name, json_t *mem)
{
	json_t *p = json_object_get(mem, "processes");

	printf("%-20s %9.1f %9.1f %12.1f %9.1f %9.1f %9.1f %9.1f\n", name,
	       mib(number(mem, "limit_bytes")), mib(number(mem, "used_bytes")),
	       mib(number(p, "proportional_bytes")), mib(number(p, "shared_bytes")),
	       mib(number(p, "unique_bytes")), mib(number(p, "merged_bytes")),
	       mib(number(mem, "released_bytes")));
}

static json_t *ask_all(void)
{
	json_t *list = json_array();
	char **names = state_list();

	for (char **name = names; name && *name; name++) {
		struct mem_options one = { .name = *name, .action = "show", .type = "any" };
		json_t *answer = ask(&one);

		if (answer) {
			json_object_set_new(answer, "guest", json_string(*name));
			json_array_append_new(list, answer);
		}
		free(*name);
	}
	free(names);
	return list;
}

static int all_guests(const struct mem_options *o)
{
	cleanup_json json_t *list = ask_all();
	json_t *mem;
	size_t i;

	if (o->json) {
		json_dumpf(list, stdout, JSON_INDENT(2));
		putchar('\n');
		return 0;
	}
	printf("%-20s %9s %9s %12s %9s %9s %9s %9s  (MiB)\n", "NAME", "LIMIT", "USED", "PROPORTIONAL",
	       "SHARED", "UNIQUE", "MERGED", "RELEASED");
	json_array_foreach(list, i, mem)
		print_row(json_string_value(json_object_get(mem, "guest")), mem);
	return 0;
}

/* ---- the command ------------------------------------------------------------------ */

static const struct action {
	const char *name;
	bool size;
} actions[] = {
	{ "show", false }, { "plug", true }, { "unplug", true }, { "release", true },
};

static const struct action *find_action(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (streq(name, actions[i].name))
			return &actions[i];
	return NULL;
}

static int parse_words(int n, char **word, struct mem_options *o)
{
	const struct action *a;

	if (n < 1 || n > 3)
		return usage();
	o->name = word[0];
	a = find_action(n > 1 ? word[1] : "show");
	if (!a)
		return cmd_fail(EXIT_USAGE, "mem: %s: no such action; write show, plug, unplug or release",
				word[1]);
	o->action = a->name;
	if (a->size && n < 3)
		return cmd_fail(EXIT_USAGE, "mem: %s what? write a size such as 64M", a->name);
	if (!a->size && n > 2)
		return cmd_fail(EXIT_USAGE, "mem: show takes no size");
	if (a->size && (policy_parse_size(word[2], &o->bytes) < 0 || o->bytes < 4096 ||
			o->bytes > INT64_MAX / 4))
		return cmd_fail(EXIT_USAGE, "mem: %s %s: write a size of at least 4K such as 64M", a->name,
				word[2]);
	if (!streq(o->type, "any") && !streq(o->action, "release"))
		return cmd_fail(EXIT_USAGE, "mem: --%s is for release only", o->type);
	return 0;
}

int cmd_mem(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' }, { "all", no_argument, NULL, 'a' },
		{ "clean", no_argument, NULL, 'c' }, { "dirty", no_argument, NULL, 'd' },
		{ "deadline", required_argument, NULL, 't' }, {},
	};
	struct mem_options o = { .type = "any" };
	const char *deadline = DEFAULT_DEADLINE;
	int c, ret;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'j':
			o.json = true;
			break;
		case 'a':
			o.all = true;
			break;
		case 'c':
			o.type = "clean";
			break;
		case 'd':
			o.type = "dirty";
			break;
		case 't':
			deadline = optarg;
			break;
		default:
			return usage();
		}
	}
	if (policy_parse_span(deadline, &o.deadline_ns) < 0 || o.deadline_ns <= 0)
		return cmd_fail(EXIT_USAGE, "mem: --deadline %s: write a duration such as 500ms or 10s",
				deadline);
	if (o.all)
		return optind == argc ? all_guests(&o) : usage();
	ret = parse_words(argc - optind, argv + optind, &o);
	return ret ? ret : one_guest(&o);
}
