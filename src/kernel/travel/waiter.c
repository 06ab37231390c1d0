/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waiter.c - who of the guest waits until when, in the guest's time
 */
#include "kernel/travel/waiter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "kernel/hostproc.h"
#include "kernel/util.h"

struct waiter_entry {
	struct waiter_entry *next;
	struct waiter w;
};

void waiters_init(struct waiters *ws)
{
	*ws = (struct waiters){};
	pthread_mutex_init(&ws->lock, NULL);
}

/* Where the entry of a thread hangs, or would. Lock held. */
static struct waiter_entry **find(struct waiters *ws, pid_t tid)
{
	struct waiter_entry **pp = &ws->bucket[(unsigned)tid % WAITER_BUCKETS];

	while (*pp && (*pp)->w.tid != tid)
		pp = &(*pp)->next;
	return pp;
}

int waiters_add(struct waiters *ws, const struct waiter *w)
{
	struct waiter_entry **pp;
	int ret = 0;

	pthread_mutex_lock(&ws->lock);
	pp = find(ws, w->tid);
	if (!*pp && ws->n >= WAITER_MAX)
		ret = -ENOSPC;
	else if (!*pp && !(*pp = calloc(1, sizeof(**pp))))
		ret = -ENOMEM;
	else {
		ws->n += (*pp)->w.tid == 0;
		(*pp)->w = *w;
		(*pp)->w.serial = ++ws->serial;
	}
	pthread_mutex_unlock(&ws->lock);
	return ret;
}

bool waiters_is_last(struct waiters *ws, const struct waiter *w)
{
	struct waiter_entry *e;
	bool ret;

	pthread_mutex_lock(&ws->lock);
	e = *find(ws, w->tid);
	ret = e && e->w.serial == w->serial;
	pthread_mutex_unlock(&ws->lock);
	return ret;
}

void waiters_drop(struct waiters *ws, const struct waiter *w)
{
	struct waiter_entry **pp, *e;

	pthread_mutex_lock(&ws->lock);
	pp = find(ws, w->tid);
	e = *pp;
	if (e && e->w.serial == w->serial) {
		*pp = e->next;
		free(e);
		ws->n--;
	}
	pthread_mutex_unlock(&ws->lock);
}

int waiters_copy(struct waiters *ws, struct waiter **ret)
{
	struct waiter *all;
	int n = 0;

	pthread_mutex_lock(&ws->lock);
	all = malloc(MAX(ws->n, 1u) * sizeof(*all));
	for (unsigned i = 0; all && i < WAITER_BUCKETS; i++)
		for (struct waiter_entry *e = ws->bucket[i]; e; e = e->next)
			all[n++] = e->w;
	pthread_mutex_unlock(&ws->lock);
	if (!all)
		return -ENOMEM;
	*ret = all;
	return n;
}

int waiter_look(const struct waiter *w)
{
	struct hostproc_call c;
	int ret = hostproc_call(w->tid, &c);

	if (ret < 0)
		return ret == -EPERM || ret == -EAGAIN ? ret : 0;
	/* After a stop the host goes on with another number. */
	return (c.nr == w->nr || c.nr == SYS_restart_syscall) &&
	       memcmp(c.arg, w->arg, sizeof(c.arg)) == 0;
}
