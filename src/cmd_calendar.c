/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_calendar.c - weir calendar SOCKET: the time of several machines
 *
 * The server of kernel/travel/calendar.h, for guests of weir and for User-mode Linux
 * built with time travel. It is a line of requests and a clock. While a machine
 * runs, the clock stands still; when all wait, the clock goes to the earliest
 * request, and who made it runs. Of equal requests the first comes first.
 *
 * Before a machine runs, each guest of weir that waits is told the time and has
 * to say that it sleeps (UPDATE and ACK). A guest that was woken meanwhile, by
 * what another one wrote, answers with a request for the time it has; then the
 * line is looked at anew.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "cmd.h"
#include "kernel/cleanup.h"
#include "kernel/travel/calendar.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"
#include "passthrough/policy/policy_value.h"

#define MAX_MACHINES 128

enum machine_state {
	CONNECTED,	/* has not said START yet */
	RUNNING,
	WAITING,
};

struct machine {
	int sock;
	unsigned number;	/* from 1, in the order they came */
	enum machine_state state;
	bool weir;		/* is told the time */
	bool requests;
	uint64_t at;		/* what it requests */
	uint64_t order;		/* of its request */
	bool asked;		/* an UPDATE or RUN that it has not answered: */
	uint32_t asked_seq;
	unsigned char buf[sizeof(struct calendar_msg)];
	size_t len;
};

struct line {
	int listener;
	struct machine *machine[MAX_MACHINES];
	unsigned n, came, wanted;
	uint64_t now, tod;	/* tod: the date at time 0 */
	uint64_t orders;
	uint32_t seq;
	bool told;		/* all who wait know that it will be told_at */
	uint64_t told_at;
	bool verbose;
};

/* ---- messages ------------------------------------------------------------- */

static void drop(struct line *l, struct machine *m, const char *why)
{
	if (why)
		fprintf(stderr, "weir: calendar: machine %u: %s; it is dropped\n", m->number, why);
	else if (l->verbose)
		printf("%llu.%09llu machine %u has left\n", (unsigned long long)(l->now / NSEC_PER_SEC),
		       (unsigned long long)(l->now % NSEC_PER_SEC), m->number);
	close(m->sock);
	m->sock = -1;
}

static void say(struct line *l, struct machine *m, uint32_t op, uint32_t seq, uint64_t time)
{
	struct calendar_msg msg = { .op = op, .seq = seq, .time = time };

	if (m->sock < 0)
		return;
	if (send(m->sock, &msg, sizeof(msg), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(msg))
		drop(l, m, "it does not read what it is told");
}

/* To be answered before the clock moves. */
static void ask(struct line *l, struct machine *m, uint32_t op, uint64_t time)
{
	m->asked = true;
	m->asked_seq = ++l->seq;
	say(l, m, op, m->asked_seq, time);
}

/* ---- the line ------------------------------------------------------------- */

static struct machine *first_request(struct line *l)
{
	struct machine *best = NULL;

	for (unsigned i = 0; i < l->n; i++) {
		struct machine *m = l->machine[i];

		if (m->state != WAITING || !m->requests)
			continue;
		if (!best || m->at < best->at || (m->at == best->at && m->order < best->order))
			best = m;
	}
	return best;
}

/* May the clock move? */
static bool all_wait(const struct line *l)
{
	unsigned started = 0;

	for (unsigned i = 0; i < l->n; i++) {
		const struct machine *m = l->machine[i];

		if (m->state == RUNNING || m->asked)
			return false;
		started += m->state == WAITING;
	}
	return started > 0 && l->came >= l->wanted;
}

/* Return: was there anyone to be told? */
static bool tell_time(struct line *l, const struct machine *but, uint64_t at)
{
	bool any = false;

	for (unsigned i = 0; i < l->n; i++) {
		struct machine *m = l->machine[i];

		if (m == but || m->state != WAITING || !m->weir)
			continue;
		ask(l, m, CALENDAR_UPDATE, at);
		any = true;
	}
	l->told = true;
	l->told_at = at;
	return any;
}

static void go_on(struct line *l)
{
	struct machine *m;
	uint64_t at;

	if (!all_wait(l))
		return;
	m = first_request(l);
	if (!m)
		return;
	at = MAX(m->at, l->now);
	if (!(l->told && l->told_at == at) && tell_time(l, m, at))
		return;		/* to be continued when they have answered */
	l->told = false;
	l->now = at;
	m->state = RUNNING;
	m->requests = false;
	if (l->verbose)
		printf("%llu.%09llu machine %u runs\n", (unsigned long long)(at / NSEC_PER_SEC),
		       (unsigned long long)(at % NSEC_PER_SEC), m->number);
	ask(l, m, CALENDAR_RUN, at);
}

/* ---- what machines say ------------------------------------------------------ */

static uint64_t on_start(struct line *l, struct machine *m, uint64_t time)
{
	m->state = RUNNING;
	m->weir = time >> 32 == CALENDAR_WEIR >> 32;
	l->came++;
	return l->now;
}

static uint64_t on_request(struct line *l, struct machine *m, uint64_t time)
{
	m->requests = true;
	m->at = time;
	m->order = ++l->orders;
	return 0;
}

static uint64_t on_wait(struct line *l, struct machine *m, uint64_t time)
{
	m->state = WAITING;
	return 0;
}

static uint64_t on_get(struct line *l, struct machine *m, uint64_t time)
{
	return l->now;
}

/* Of a machine that runs; one that waits cannot know. */
static uint64_t on_update(struct line *l, struct machine *m, uint64_t time)
{
	if (m->state == RUNNING)
		l->now = MAX(l->now, time);
	return 0;
}

static uint64_t on_get_tod(struct line *l, struct machine *m, uint64_t time)
{
	return l->tod + l->now;
}

static uint64_t on_broadcast(struct line *l, struct machine *m, uint64_t time)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->machine[i] != m && l->machine[i]->state != CONNECTED)
			say(l, l->machine[i], CALENDAR_BROADCAST, ++l->seq, time);
	return 0;
}

/* Return: the time of the ACK. */
static uint64_t (*const handlers[CALENDAR_NUM_OPS])(struct line *l, struct machine *m, uint64_t time) = {
	[CALENDAR_START] = on_start,	 [CALENDAR_REQUEST] = on_request,
	[CALENDAR_WAIT] = on_wait,	 [CALENDAR_GET] = on_get,
	[CALENDAR_UPDATE] = on_update,	 [CALENDAR_GET_TOD] = on_get_tod,
	[CALENDAR_BROADCAST] = on_broadcast,
};

static void handle(struct line *l, struct machine *m, const struct calendar_msg *msg)
{
	char why[64];

	if (msg->op == CALENDAR_ACK) {
		if (m->asked && msg->seq == m->asked_seq)
			m->asked = false;
		return;
	}
	if (msg->op >= CALENDAR_NUM_OPS || !handlers[msg->op]) {
		snprintf(why, sizeof(why), "message %u is none that a machine says", msg->op);
		drop(l, m, why);
		return;
	}
	if ((m->state == CONNECTED) != (msg->op == CALENDAR_START)) {
		drop(l, m, m->state == CONNECTED ? "it did not begin with START" : "a second START");
		return;
	}
	say(l, m, CALENDAR_ACK, msg->seq, handlers[msg->op](l, m, msg->time));
}

/* All that has arrived; a message may come in pieces. */
static void hear(struct line *l, struct machine *m)
{
	while (m->sock >= 0) {
		ssize_t n = host_result(recv(m->sock, m->buf + m->len, sizeof(m->buf) - m->len,
					     MSG_DONTWAIT));
		struct calendar_msg msg;

		if (n == -EAGAIN || n == -EINTR)
			return;
		if (n <= 0) {
			drop(l, m, m->len ? "it ended in the middle of a message" : NULL);
			return;
		}
		m->len += n;
		if (m->len < sizeof(m->buf))
			continue;
		memcpy(&msg, m->buf, sizeof(msg));
		m->len = 0;
		handle(l, m, &msg);
	}
}

/* ---- the server ------------------------------------------------------------- */

static void admit(struct line *l)
{
	static unsigned numbers;
	int sock = host_result(accept4(l->listener, NULL, NULL, SOCK_CLOEXEC));
	struct machine *m;

	if (sock < 0)
		return;
	m = l->n < MAX_MACHINES ? calloc(1, sizeof(*m)) : NULL;
	if (!m) {
		fprintf(stderr, "weir: calendar: no room for another machine\n");
		close(sock);
		return;
	}
	m->sock = sock;
	m->number = ++numbers;
	l->machine[l->n++] = m;
}

/* Return: was there any? */
static bool forget_dropped(struct line *l)
{
	unsigned n = 0;
	bool any;

	for (unsigned i = 0; i < l->n; i++) {
		if (l->machine[i]->sock >= 0)
			l->machine[n++] = l->machine[i];
		else
			free(l->machine[i]);
	}
	any = n < l->n;
	l->n = n;
	return any;
}

static int serve(struct line *l, int signals)
{
	struct pollfd p[MAX_MACHINES + 2];

	for (;;) {
		unsigned n = l->n;

		p[0] = (struct pollfd){ .fd = signals, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = l->listener, .events = POLLIN };
		for (unsigned i = 0; i < n; i++)
			p[i + 2] = (struct pollfd){ .fd = l->machine[i]->sock, .events = POLLIN };
		if (poll(p, n + 2, -1) < 0)
			continue;
		if (p[0].revents)
			return 0;
		for (unsigned i = 0; i < n; i++)
			if (p[i + 2].revents)
				hear(l, l->machine[i]);
		if (p[1].revents)
			admit(l);
		do {
			forget_dropped(l);
			go_on(l);
		} while (forget_dropped(l));
		fflush(stdout);
	}
}

/* A socket that nobody answers at was left by a kill -9. */
static int remove_old(const char *path, const struct sockaddr_un *a)
{
	cleanup_fd int sock = host_result(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	struct stat st;
	int ret;

	if (host_result(lstat(path, &st)) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return cmd_fail(EXIT_USAGE, "calendar: %s is there already and is no socket; write another path",
				path);
	ret = host_result(connect(sock, (const struct sockaddr *)a, sizeof(*a)));
	if (ret != -ECONNREFUSED)
		return cmd_fail(EXIT_USAGE, "calendar: %s is in use; write another path", path);
	unlink(path);
	return 0;
}

static int listen_at(const char *path, int *ret)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	cleanup_fd int sock = host_result(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	mode_t mask;
	int err;

	if (strlen(path) >= sizeof(a.sun_path))
		return cmd_fail(EXIT_USAGE, "calendar: the path of a socket has at most %zu bytes; write a shorter one",
				sizeof(a.sun_path) - 1);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	err = remove_old(path, &a);
	if (err)
		return err;
	mask = umask(077);
	err = host_result(bind(sock, (struct sockaddr *)&a, sizeof(a)));
	umask(mask);
	if (err == 0)
		err = host_result(listen(sock, MAX_MACHINES));
	if (err < 0)
		return cmd_fail(1, "calendar: %s: %s", path, strerror(-err));
	*ret = take_fd(&sock);
	return 0;
}

static int usage(void)
{
	return cmd_fail(EXIT_USAGE, "calendar: usage: weir calendar [-v] [-n MACHINES] [-t TIME] SOCKET");
}

static int parse_options(int argc, char **argv, struct line *l)
{
	static const struct option longs[] = {
		{ "machines", required_argument, NULL, 'n' },
		{ "time", required_argument, NULL, 't' },
		{ "verbose", no_argument, NULL, 'v' }, {},
	};
	uint64_t number;
	int64_t ns;
	int c;

	while ((c = getopt_long(argc, argv, "n:t:v", longs, NULL)) != -1) {
		if (c == 'v') {
			l->verbose = true;
		} else if (c == 'n') {
			if (policy_parse_u64(optarg, &number) < 0 || !number || number > MAX_MACHINES)
				return cmd_fail(EXIT_USAGE, "calendar: -n %s: write a number from 1 to %d",
						optarg, MAX_MACHINES);
			l->wanted = number;
		} else if (c == 't') {
			if (policy_parse_instant(optarg, &ns) < 0)
				return cmd_fail(EXIT_USAGE, "calendar: -t %s: write a time in UTC such as 2038-01-19T03:14:00Z",
						optarg);
			l->tod = ns;
		} else {
			return usage();
		}
	}
	return argc - optind == 1 ? 0 : usage();
}

int cmd_calendar(int argc, char **argv)
{
	struct line l = { .listener = -1, .wanted = 1, .tod = time(NULL) * NSEC_PER_SEC };
	cleanup_fd int signals = -1;
	int ret = parse_options(argc, argv, &l);

	if (ret)
		return ret;
	signals = cmd_end_signals();
	if (signals < 0)
		return cmd_fail(1, "calendar: signalfd: %s", strerror(-signals));
	ret = listen_at(argv[optind], &l.listener);
	if (ret)
		return ret;
	ret = serve(&l, signals);
	unlink(argv[optind]);
	close(l.listener);
	for (unsigned i = 0; i < l.n; i++) {
		close(l.machine[i]->sock);
		free(l.machine[i]);
	}
	return ret;
}
