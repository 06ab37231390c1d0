/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_time.c - weir time NAME: show and set a guest's clocks
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "cmd.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"
#include "passthrough/policy/policy_value.h"

#define ANSWER_BYTES 65536

static int parse_set(const char *s, int64_t *ret)
{
	return policy_parse_instant(s, ret);
}

static int parse_offset(const char *s, int64_t *ret)
{
	*ret = 0;
	return streq(s, "host") ? 0 : policy_parse_duration(s, ret);
}

static int parse_rate(const char *s, int64_t *ret)
{
	uint64_t rate;
	int r = policy_parse_rate(s, &rate);

	if (r < 0 || rate == 0)
		return -1;
	*ret = rate;
	return 0;
}

static const struct action {
	const char *name;
	int (*parse)(const char *s, int64_t *ret);	/* NULL: takes no value */
	const char *write;				/* what to write as the value */
} actions[] = {
	{ "show",	NULL,		NULL },
	{ "set",	parse_set,	"a time in UTC such as 2038-01-19T03:14:00Z" },
	{ "offset",	parse_offset,	"host, or a sign and a duration such as +3d or -1h30m" },
	{ "rate",	parse_rate,	"a number from 0.001 to 1000 such as 10 or 0.1 (weir time NAME "
					"freeze stops the clocks)" },
	{ "freeze",	NULL,		NULL },
	{ "thaw",	NULL,		NULL },
};

static int usage(void)
{
	return cmd_fail(EXIT_USAGE, "time: usage: weir time [--json] NAME [show | set TIME | "
				    "offset DURATION | rate N | freeze | thaw]");
}

/* ---- show --------------------------------------------------------------- */

static json_int_t number(json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static void print_seconds(const char *name, json_int_t ns, json_int_t offset)
{
	char sign = offset < 0 ? '-' : '+';
	long long off = llabs(offset), sec = NSEC_PER_SEC;

	printf("%-10s %lld.%09lld s   host %c%lld.%06lld s\n", name, ns / sec, ns % sec, sign,
	       off / sec, off % sec / 1000);
}

static void print_date(json_t *t)
{
	json_int_t ns = number(t, "realtime_ns");
	time_t sec = ns / (json_int_t)NSEC_PER_SEC;
	char date[32];
	struct tm tm;

	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", gmtime_r(&sec, &tm));
	printf("%-10s %s.%09lldZ   %s\n", "date", date, ns % (json_int_t)NSEC_PER_SEC,
	       json_is_true(json_object_get(t, "follows_host")) ? "follows the host's clock" :
								   "runs on its own");
}

static void print_travel(json_t *t)
{
	json_int_t ns = number(t, "leapt_ns"), sec = NSEC_PER_SEC;

	if (t)
		printf("travels    %lld leaps, %lld.%06lld s; %lld waits noted, %lld ended; cpu = %s%s\n",
		       number(t, "leaps"), ns / sec, ns % sec / 1000, number(t, "waits"),
		       number(t, "ended"), json_string_value(json_object_get(t, "cpu")),
		       json_is_true(json_object_get(t, "calendar")) ? "; by a calendar" : "");
}

static void print_time(json_t *t)
{
	json_t *images = json_object_get(t, "images");

	if (!json_is_true(json_object_get(t, "own"))) {
		printf("the clocks are the host's; offset of monotonic %lld ns, of boottime %lld ns\n",
		       number(t, "monotonic_offset_ns"), number(t, "boottime_offset_ns"));
		return;
	}
	print_date(t);
	print_seconds("realtime", number(t, "realtime_ns"), number(t, "realtime_offset_ns"));
	print_seconds("monotonic", number(t, "monotonic_ns"), number(t, "monotonic_offset_ns"));
	print_seconds("boottime", number(t, "boottime_ns"), number(t, "boottime_offset_ns"));
	if (json_is_true(json_object_get(t, "frozen")))
		printf("rate       frozen\n");
	else
		printf("rate       %.9g\n", json_real_value(json_object_get(t, "rate")));
	print_travel(json_object_get(t, "travel"));
	printf("settable   %s\n", json_is_true(json_object_get(t, "settable")) ? "yes" : "no");
	printf("vdso       %s: images %lld changed (%lld have mapped the clocks, %lld could not), %lld "
	       "with stubs, %lld left; %lld readings by a call\n",
	       json_string_value(json_object_get(t, "vdso")), number(images, "changed"),
	       number(images, "mapped"), number(images, "refused"), number(images, "stubs"),
	       number(images, "left"), number(t, "trapped_reads"));
}

/* ---- the command -------------------------------------------------------- */

static const struct action *find_action(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (streq(name, actions[i].name))
			return &actions[i];
	return NULL;
}

/* Send, and print what the clocks are then. */
static int ask(const char *name, const struct action *a, int64_t value, bool json)
{
	cleanup_fd int sock = guest_connect("time", name), fd = -1;
	cleanup_free char *text = calloc(1, ANSWER_BYTES);
	cleanup_json json_t *answer = NULL;

	if (sock < 0 || !text)
		return 1;
	if (guest_ask(sock, "time", json_pack("{s:s, s:s, s:I}", "op", "time", "action", a->name,
					      "value", (json_int_t)value), &fd))
		return 1;
	if (fd < 0 || host_read(fd, text, ANSWER_BYTES - 1) < 0)
		return cmd_fail(1, "time: the guest's answer cannot be read");
	if (json) {
		puts(text);
		return 0;
	}
	answer = json_loads(text, 0, NULL);
	print_time(answer);
	return 0;
}

int cmd_time(int argc, char **argv)
{
	static const struct option longs[] = { { "json", no_argument, NULL, 'j' }, {} };
	const struct action *a = &actions[0];
	bool json = false;
	int64_t value = 0;
	int c, left;

	/* A value such as -1h30m is no option. */
	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		if (c != 'j')
			return usage();
		json = true;
	}
	left = argc - optind;
	if (left < 1 || left > 3)
		return usage();
	if (left > 1)
		a = find_action(argv[optind + 1]);
	if (!a)
		return cmd_fail(EXIT_USAGE, "time: %s: no such action; write show, set, offset, rate, "
					    "freeze or thaw", argv[optind + 1]);
	if (left > 1 && (left == 3) != !!a->parse) {
		if (!a->parse)
			return cmd_fail(EXIT_USAGE, "time: %s takes no value", a->name);
		return cmd_fail(EXIT_USAGE, "time: %s what? write %s", a->name, a->write);
	}
	if (a->parse && a->parse(argv[optind + 2], &value) < 0)
		return cmd_fail(EXIT_USAGE, "time: %s %s: write %s", a->name, argv[optind + 2], a->write);
	return ask(argv[optind], a, value, json);
}
