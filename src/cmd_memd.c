/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_memd.c - weir memd: the broker as a process, its state shown, its end
 *
 * Its socket (SOCK_SEQPACKET, in state.h's directory of mode 0700) takes a message
 * and closes: {"op":"status"} -> memd_json(); {"op":"stop"} -> {"ok":true}.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "client.h"
#include "cmd.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "memd.h"
#include "passthrough/hostcall.h"
#include "passthrough/policy/policy_value.h"
#include "state.h"

#define DEFAULT_INTERVAL "1s"
#define DEFAULT_IDLE "2s"
#define LEAST_INTERVAL_NS (NSEC_PER_SEC / 20)
#define MOST_INTERVAL_NS (3600 * NSEC_PER_SEC)
#define QUIET_INTERVALS 4	/* between two rounds while all guests idle */
#define CLIENT_MS 200		/* for what a client wants to say */
#define ANSWER_MS 15000		/* a round is waited for */

static int usage(void)
{
	return cmd_fail(EXIT_USAGE, "memd: usage: weir memd --budget SIZE [--interval DURATION] "
			"[--idle DURATION] [-v], weir memd [--json] status, or weir memd stop");
}

/* ---- the broker ------------------------------------------------------------------ */

/* Return: false if that was to end us. */
static bool answer_client(const struct memd *d, int listener)
{
	struct timeval patience = { .tv_usec = CLIENT_MS * 1000 };
	cleanup_fd int sock = host_result(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	cleanup_json json_t *msg = NULL;
	const char *op;

	if (sock < 0)
		return true;
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	msg = guest_recv(sock, NULL);
	op = json_string_value(json_object_get(msg, "op"));
	if (op && streq(op, "stop")) {
		guest_send(sock, json_pack("{s:b}", "ok", 1), NULL, 0);
		return false;
	}
	if (op && streq(op, "status"))
		guest_send(sock, memd_json(d), NULL, 0);
	else
		guest_send(sock, json_pack("{s:s}", "error", "unknown request"), NULL, 0);
	return true;
}

static void serve(struct memd *d, int listener, int signals, uint64_t interval_ns)
{
	struct pollfd p[] = { { .fd = listener, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
	uint64_t next = 0;

	for (;;) {
		uint64_t now = host_now();

		if (now >= next) {
			memd_round(d);
			next = host_now() + interval_ns * (memd_any_busy(d) ? 1 : QUIET_INTERVALS);
			continue;
		}
		/* Rounded up: not once more for the rest of a millisecond. */
		if (host_result(poll(p, ARRAY_SIZE(p), (next - now) / 1000000 + 1)) < 0)
			continue;
		if (p[1].revents || (p[0].revents && !answer_client(d, listener)))
			return;
	}
}

static int run_broker(struct memd *d, uint64_t interval_ns)
{
	cleanup_fd int signals = -1;
	struct state state;
	char why[256];
	int ret;

	signals = cmd_end_signals();
	if (signals < 0)
		return cmd_fail(1, "memd: signalfd: %s", strerror(-signals));
	ret = state_create(STATE_BROKER, &state, why, sizeof(why));
	if (ret == -EEXIST)
		return cmd_fail(1, "memd: another one shares the memory of your guests; weir memd stop ends it");
	if (ret < 0)
		return cmd_fail(1, "memd: %s", why);
	serve(d, state.control, signals, interval_ns);
	state_remove(&state);
	memd_clear(d);
	return 0;
}

/* ---- its clients ------------------------------------------------------------------- */

/* Return: the answer, or NULL after saying why not. */
static json_t *ask_broker(const char *op)
{
	struct timeval patience = { .tv_sec = ANSWER_MS / 1000 };
	cleanup_fd int sock = state_connect_broker();
	json_t *answer = NULL;

	if (sock < 0) {
		cmd_fail(0, "memd: none runs; weir memd --budget SIZE starts one");
		return NULL;
	}
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (guest_send(sock, json_pack("{s:s}", "op", op), NULL, 0) == 0)
		answer = guest_recv(sock, NULL);
	if (!answer)
		cmd_fail(0, "memd: it ended before it answered");
	return answer;
}

static double mib(json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key)) / 1048576.0;
}

static void print_status(json_t *all)
{
	json_t *g;
	size_t i;

	printf("budget %.1f MiB, given %.1f, missing %.1f\n", mib(all, "budget_bytes"),
	       mib(all, "given_bytes"), mib(all, "missing_bytes"));
	printf("%-20s %-9s %6s %9s %9s %9s %9s %9s %9s  (MiB)\n", "NAME", "STATE", "WEIGHT", "LIMIT", "USED",
	       "LEAST", "MOST", "LENT", "GOT");
	json_array_foreach(json_object_get(all, "guests"), i, g)
		printf("%-20s %-9s %6lld %9.1f %9.1f %9.1f %9.1f %9.1f %9.1f\n",
		       json_string_value(json_object_get(g, "guest")),
		       json_string_value(json_object_get(g, "state")),
		       json_integer_value(json_object_get(g, "weight")), mib(g, "limit_bytes"),
		       mib(g, "used_bytes"), mib(g, "least_bytes"), mib(g, "most_bytes"),
		       mib(g, "lent_bytes"), mib(g, "got_bytes"));
}

static int show_status(bool json)
{
	cleanup_json json_t *all = ask_broker("status");

	if (!all)
		return 1;
	if (json) {
		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_status(all);
	}
	return 0;
}

/* Back when its directory is gone. */
static int stop_broker(void)
{
	struct timespec nap = { .tv_nsec = 2000000 };
	cleanup_json json_t *answer = ask_broker("stop");

	if (!answer)
		return 1;
	for (int i = 0; i < 2000; i++) {
		cleanup_fd int again = state_connect_broker();

		if (again == -ENOENT)
			return 0;
		nanosleep(&nap, NULL);
	}
	return cmd_fail(1, "memd: it does not end");
}

/* ---- the command --------------------------------------------------------------------- */

struct memd_options {
	struct memd broker;
	uint64_t interval_ns;
	bool json;
};

static int parse_interval(const char *option, const char *s, uint64_t *ret)
{
	int64_t ns;

	if (policy_parse_span(s, &ns) < 0 || ns < (int64_t)LEAST_INTERVAL_NS || ns > (int64_t)MOST_INTERVAL_NS)
		return cmd_fail(EXIT_USAGE, "memd: --%s %s: write a duration from 50ms to 1h such as 1s",
				option, s);
	*ret = ns;
	return 0;
}

static int parse_option(int c, struct memd_options *o)
{
	switch (c) {
	case 'b':
		if (policy_parse_size(optarg, &o->broker.budget) < 0 || o->broker.budget < UINT64_C(1) << 20 ||
		    o->broker.budget > INT64_MAX / 4)
			return cmd_fail(EXIT_USAGE, "memd: --budget %s: write a size of at least 1M such as 4G",
					optarg);
		return 0;
	case 'i':
		return parse_interval("interval", optarg, &o->interval_ns);
	case 't':
		return parse_interval("idle", optarg, &o->broker.idle_after_ns);
	case 'j':
		o->json = true;
		return 0;
	case 'v':
		o->broker.verbose = true;
		return 0;
	default:
		return usage();
	}
}

int cmd_memd(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "budget", required_argument, NULL, 'b' }, { "interval", required_argument, NULL, 'i' },
		{ "idle", required_argument, NULL, 't' }, { "json", no_argument, NULL, 'j' },
		{ "verbose", no_argument, NULL, 'v' }, {},
	};
	struct memd_options o = {};
	const char *word;
	int c, ret = parse_interval("interval", DEFAULT_INTERVAL, &o.interval_ns);

	ret = ret ?: parse_interval("idle", DEFAULT_IDLE, &o.broker.idle_after_ns);
	while (!ret && (c = getopt_long(argc, argv, "v", longs, NULL)) != -1)
		ret = parse_option(c, &o);
	if (ret)
		return ret;
	word = argc - optind == 1 ? argv[optind] : "";
	if (argc == optind && o.broker.budget && !o.json)
		return run_broker(&o.broker, o.interval_ns);
	if (o.broker.budget)
		return usage();
	if (streq(word, "status"))
		return show_status(o.json);
	return streq(word, "stop") && !o.json ? stop_broker() : usage();
}
