/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calendar.c - a guest that takes part in a calendar
 *
 * A thread of its own reads what the calendar says. Its end, or anything that
 * is not of the protocol, is the end of the calendar for this guest, which is
 * logged once.
 */
#include "kernel/travel/calendar.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define READER_STACK 65536

#define ANSWER_MS 5000		/* for the calendar's first answers */

struct calendar {
	int sock;
	void (*notify)(void *ctx);
	void *ctx;
	pthread_t thread;
	bool runs;

	pthread_mutex_t lock;	/* the fields below, and writing to sock */
	uint32_t seq;
	uint32_t asked;		/* number of the message that news is about */
	struct calendar_news news;
	bool closing;
};

/* ---- messages ------------------------------------------------------------ */

static int write_msg(int sock, uint32_t op, uint32_t seq, uint64_t time)
{
	struct calendar_msg m = { .op = op, .seq = seq, .time = time };
	ssize_t n;

	do {
		n = host_result(send(sock, &m, sizeof(m), MSG_NOSIGNAL));
	} while (n == -EINTR);
	/* 16 bytes of a stream socket's buffer are there or are not. */
	return n < 0 ? n : n == sizeof(m) ? 0 : -EPIPE;
}

/* @ms: -1 for as long as it takes. */
static int read_msg(int sock, struct calendar_msg *ret, int ms)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	ssize_t n;

	if (ms >= 0 && poll(&p, 1, ms) != 1)
		return -ETIMEDOUT;
	n = host_read(sock, ret, sizeof(*ret));
	return n < 0 ? n : n == sizeof(*ret) ? 0 : -EPIPE;
}

/* Ask and wait for the answer, before anybody else talks. */
static int ask(struct calendar *c, uint32_t op, uint64_t time, uint64_t *ret)
{
	struct calendar_msg m;
	int err = write_msg(c->sock, op, ++c->seq, time);

	if (err == 0)
		err = read_msg(c->sock, &m, ANSWER_MS);
	if (err == 0 && (m.op != CALENDAR_ACK || m.seq != c->seq))
		err = -EPROTO;
	if (err == 0)
		*ret = m.time;
	return err;
}

/* ---- the reader ------------------------------------------------------------ */

/* Lock held. Return: was it of the protocol? */
static bool take(struct calendar *c, const struct calendar_msg *m)
{
	struct calendar_news *news = &c->news;

	switch (m->op) {
	case CALENDAR_ACK:
		return true;
	case CALENDAR_RUN:
	case CALENDAR_UPDATE:
		/* One at a time: the calendar waits for our answer. */
		if (news->run || news->update)
			return false;
		news->run = m->op == CALENDAR_RUN;
		news->update = !news->run;
		news->time = m->time;
		c->asked = m->seq;
		return true;
	case CALENDAR_FREE_UNTIL:
		news->free_until = m->time;
		return write_msg(c->sock, CALENDAR_ACK, m->seq, 0) == 0;
	case CALENDAR_BROADCAST:
		return write_msg(c->sock, CALENDAR_ACK, m->seq, 0) == 0;
	default:
		return false;
	}
}

static void *reader(void *arg)
{
	struct calendar *c = arg;
	struct calendar_msg m = {};
	bool good = true;
	int ret;

	while (good && (ret = read_msg(c->sock, &m, -1)) == 0) {
		pthread_mutex_lock(&c->lock);
		good = take(c, &m);
		pthread_mutex_unlock(&c->lock);
		c->notify(c->ctx);
	}
	pthread_mutex_lock(&c->lock);
	if (!c->closing && good)
		log_warn("calendar: it has ended; this guest's clocks travel alone from now on");
	else if (!c->closing)
		log_warn("calendar: message %u was not to come now; this guest's clocks travel "
			 "alone from now on", m.op);
	c->news.gone = true;
	c->news.run = c->news.update = false;
	shutdown(c->sock, SHUT_RDWR);
	pthread_mutex_unlock(&c->lock);
	c->notify(c->ctx);
	return NULL;
}

/* ---- for the traveller ------------------------------------------------------ */

struct calendar_news calendar_news(struct calendar *c)
{
	struct calendar_news ret;

	pthread_mutex_lock(&c->lock);
	ret = c->news;
	pthread_mutex_unlock(&c->lock);
	return ret;
}

void calendar_answer(struct calendar *c)
{
	pthread_mutex_lock(&c->lock);
	if (c->news.run || c->news.update)
		write_msg(c->sock, CALENDAR_ACK, c->asked, 0);
	c->news.run = c->news.update = false;
	pthread_mutex_unlock(&c->lock);
}

void calendar_say(struct calendar *c, enum calendar_op op, uint64_t time)
{
	pthread_mutex_lock(&c->lock);
	/* Of an error the reader hears, too. */
	if (!c->news.gone)
		write_msg(c->sock, op, ++c->seq, time);
	pthread_mutex_unlock(&c->lock);
}

/* ---- open and close ----------------------------------------------------------- */

static int connect_to(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	cleanup_fd int sock = host_result(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	int ret;

	if (sock < 0)
		return sock;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	ret = host_result(connect(sock, (struct sockaddr *)&a, sizeof(a)));
	return ret < 0 ? ret : take_fd(&sock);
}

static int start_reader(struct calendar *c)
{
	int ret = host_thread(&c->thread, READER_STACK, reader, c);

	c->runs = ret == 0;
	return ret;
}

int calendar_open(const char *path, void (*notify)(void *ctx), void *ctx, struct calendar **ret,
		  uint64_t *ret_time, uint64_t *ret_tod, struct ns_error *err)
{
	struct calendar *c = calloc(1, sizeof(*c));
	uint64_t id;
	int r;

	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	c->notify = notify;
	c->ctx = ctx;
	c->sock = connect_to(path);
	if (c->sock < 0) {
		r = c->sock;
		free(c);
		return ns_fail(err, r, "time.calendar: nobody answers at %s: %s; start weir calendar %s "
			       "first", path, strerror(-r), path);
	}
	r = ask(c, CALENDAR_START, CALENDAR_WEIR | (uint32_t)getpid(), &id);
	if (r == 0)
		r = ask(c, CALENDAR_GET, 0, ret_time);
	if (r == 0)
		r = ask(c, CALENDAR_GET_TOD, 0, ret_tod);
	if (r < 0)
		ns_fail(err, r, "time.calendar: what answers at %s is no calendar: %s", path,
			strerror(-r));
	if (r == 0)
		r = start_reader(c);
	if (r < 0) {
		calendar_close(c);
		return r;
	}
	*ret = c;
	return 0;
}

void calendar_close(struct calendar *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->closing = true;
	shutdown(c->sock, SHUT_RDWR);
	pthread_mutex_unlock(&c->lock);
	if (c->runs)
		pthread_join(c->thread, NULL);
	close(c->sock);
	free(c);
}
