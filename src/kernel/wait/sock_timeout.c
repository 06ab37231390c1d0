/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sock_timeout.c - SO_RCVTIMEO and SO_SNDTIMEO of the guest's sockets
 */
#include "kernel/wait/sock_timeout.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "kernel/caller.h"
#include "kernel/cleanup.h"
#include "kernel/time/timekeeper.h"
#include "kernel/util.h"
#include "kernel/wait/deadline.h"
#include "kernel/wait/openfile.h"
#include "passthrough/hostcall.h"

#define BUCKETS 512

enum direction { RECEIVE, SEND, DIRECTIONS };

struct sock_timeout {
	struct sock_timeout *next;
	uint64_t ino;
	struct timeval tv[DIRECTIONS];	/* of the guest's; 0: none */
	bool seen;			/* in the present walk */
};

struct sock_timeouts {
	pthread_mutex_t walking;	/* through all processes; taken before the other */
	pthread_mutex_t lock;	/* the fields below; and a socket's time-out is set with it held */
	uint64_t looked_ns;	/* host_now(), when a full table was looked through */
	struct sock_timeout *bucket[BUCKETS];
	unsigned n;
	uint64_t second;	/* of the guest's, in ns of the host's, when they were set last */
};

static const int option_of[DIRECTIONS] = { SO_RCVTIMEO, SO_SNDTIMEO };

static bool is_none(const struct timeval *tv)
{
	return tv->tv_sec == 0 && tv->tv_usec == 0;
}

/* Lock held. */
static struct sock_timeout **find(struct sock_timeouts *s, uint64_t ino)
{
	struct sock_timeout **pp = &s->bucket[ino % BUCKETS];

	while (*pp && (*pp)->ino != ino)
		pp = &(*pp)->next;
	return pp;
}

static void drop(struct sock_timeouts *s, struct sock_timeout **pp)
{
	struct sock_timeout *p = *pp;

	*pp = p->next;
	free(p);
	s->n--;
}

static struct sock_timeout *add(struct sock_timeouts *s, uint64_t ino)
{
	struct sock_timeout **pp = &s->bucket[ino % BUCKETS], *p;

	p = s->n < SOCK_TIMEOUTS_MAX ? calloc(1, sizeof(*p)) : NULL;
	if (!p)
		return NULL;
	p->ino = ino;
	p->next = *pp;
	*pp = p;
	s->n++;
	return p;
}

/* 64-bit programs may use the numbers of either kind (SO_RCVTIMEO_NEW). */
static enum direction direction_of(int option)
{
	return option == SO_RCVTIMEO || option == SO_RCVTIMEO_NEW ? RECEIVE : SEND;
}

/* Lock held. */
static void remember(struct sock_timeouts *s, uint64_t ino, int option, const struct timeval *tv)
{
	struct sock_timeout **pp = find(s, ino), *p;

	p = *pp ?: is_none(tv) ? NULL : add(s, ino);
	if (p) {
		p->tv[direction_of(option)] = *tv;
		p->seen = true;
	}
	if (p && is_none(&p->tv[RECEIVE]) && is_none(&p->tv[SEND]))
		drop(s, find(s, ino));
}

/* ---- changes ------------------------------------------------------------- */

/* Lock held: what a program sets meanwhile comes after it. */
static void set_again(struct kernel *k, pid_t pid, pid_t tid, int fd, const struct timeval tv[DIRECTIONS])
{
	cleanup_fd int sock = caller_fd(tid, pid, fd);

	for (int i = 0; i < DIRECTIONS && sock >= 0; i++) {
		struct timeval host = deadline_timeval(k, &tv[i]);

		if (!is_none(&tv[i]))
			setsockopt(sock, SOL_SOCKET, option_of[i], &host, sizeof(host));
	}
}

struct walk {
	struct kernel *k;
	bool again;	/* set those that are met again; else they are only noted */
};

static void visit(void *ctx, pid_t pid, pid_t tid, int fd, const char *what)
{
	const struct walk *w = ctx;
	struct sock_timeouts *s = w->k->time->sock_timeouts;
	struct sock_timeout *p;
	unsigned long long ino;

	if (sscanf(what, "socket:[%llu]", &ino) != 1)
		return;
	pthread_mutex_lock(&s->lock);
	p = *find(s, ino);
	if (p && !p->seen) {
		p->seen = true;
		if (w->again)
			set_again(w->k, pid, tid, fd, p->tv);
	}
	pthread_mutex_unlock(&s->lock);
}

static void begin_walk(struct sock_timeouts *s)
{
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct sock_timeout *p = s->bucket[i]; p; p = p->next)
			p->seen = false;
	pthread_mutex_unlock(&s->lock);
}

/* Who has not been met is closed, or in a message that nobody has received. */
static void end_walk(struct sock_timeouts *s)
{
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct sock_timeout **pp = &s->bucket[i]; *pp;)
			if ((*pp)->seen)
				pp = &(*pp)->next;
			else
				drop(s, pp);
	pthread_mutex_unlock(&s->lock);
}

static void walk(struct kernel *k, bool again)
{
	struct sock_timeouts *s = k->time->sock_timeouts;
	struct walk w = { k, again };

	pthread_mutex_lock(&s->walking);
	begin_walk(s);
	if (openfile_walk(k, visit, &w) == 0)
		end_walk(s);
	pthread_mutex_unlock(&s->walking);
}

void sock_timeouts_again(struct kernel *k)
{
	struct sock_timeouts *s = k->time->sock_timeouts;
	uint64_t second = timekeeper_span(k->time, NSEC_PER_SEC);
	bool any;

	pthread_mutex_lock(&s->lock);
	any = s->n > 0 && second != s->second;
	s->second = second;
	pthread_mutex_unlock(&s->lock);
	if (any)
		walk(k, true);
}

/* ---- setting ------------------------------------------------------------- */

/* Sockets are closed without our hearing of it. Not more than once a second: when all
 * of them live, nothing is won. */
static void make_room(struct kernel *k)
{
	struct sock_timeouts *s = k->time->sock_timeouts;
	uint64_t now = host_now();
	bool look;

	pthread_mutex_lock(&s->lock);
	look = s->n >= SOCK_TIMEOUTS_MAX && (!s->looked_ns || now - s->looked_ns > NSEC_PER_SEC);
	if (look)
		s->looked_ns = now;
	pthread_mutex_unlock(&s->lock);
	if (look)
		walk(k, false);
}

int sock_timeout_set(struct kernel *k, int fd, int option, const struct timeval *tv)
{
	struct sock_timeouts *s = k->time->sock_timeouts;
	struct timeval host;
	uint64_t changes;
	struct stat st;
	int ret;

	if (host_result(fstat(fd, &st)) < 0 || !S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	if (!is_none(tv))
		make_room(k);
	do {
		changes = timekeeper_changes(k->time);
		pthread_mutex_lock(&s->lock);
		host = deadline_timeval(k, tv);
		ret = host_result(setsockopt(fd, SOL_SOCKET, option, &host, sizeof(host)));
		if (ret == 0)
			remember(s, st.st_ino, option, tv);
		pthread_mutex_unlock(&s->lock);
	} while (ret == 0 && timekeeper_changes(k->time) != changes);
	return ret;
}

int sock_timeouts_init(struct kernel *k)
{
	struct sock_timeouts *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->walking, NULL);
	pthread_mutex_init(&s->lock, NULL);
	s->second = timekeeper_span(k->time, NSEC_PER_SEC);
	k->time->sock_timeouts = s;
	return 0;
}
