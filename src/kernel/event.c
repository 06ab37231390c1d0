/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.c - the second door: everything that happens to a guest but traps
 */
#include "kernel/event.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "passthrough/hostcall.h"

#define EVENT_BATCH 16

int event_init(struct event_loop *ev)
{
	ev->stop = false;
	ev->dead = NULL;
	ev->epoll = host_result(epoll_create1(EPOLL_CLOEXEC));
	return ev->epoll < 0 ? ev->epoll : 0;
}

static void bury(struct event_loop *ev)
{
	while (ev->dead) {
		struct event_source *src = ev->dead;

		ev->dead = src->next_dead;
		if (src->release)
			src->release(src);
	}
}

void event_exit(struct event_loop *ev)
{
	bury(ev);
	if (ev->epoll >= 0)
		close(ev->epoll);
	ev->epoll = -1;
}

static int control(struct event_loop *ev, int op, struct event_source *src, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = src };

	return host_result(epoll_ctl(ev->epoll, op, src->fd, &e));
}

int event_add(struct event_loop *ev, struct event_source *src, uint32_t events)
{
	src->removed = false;
	return control(ev, EPOLL_CTL_ADD, src, events);
}

int event_modify(struct event_loop *ev, struct event_source *src, uint32_t events)
{
	return control(ev, EPOLL_CTL_MOD, src, events);
}

void event_remove(struct event_loop *ev, struct event_source *src)
{
	if (src->removed)
		return;
	src->removed = true;
	control(ev, EPOLL_CTL_DEL, src, 0);
	src->next_dead = ev->dead;
	ev->dead = src;
}

int event_turn(struct event_loop *ev, struct kernel *k)
{
	struct epoll_event batch[EVENT_BATCH];
	int n = host_result(epoll_wait(ev->epoll, batch, EVENT_BATCH, -1));

	if (n < 0 && n != -EINTR)
		return n;
	for (int i = 0; i < n; i++) {
		struct event_source *src = batch[i].data.ptr;

		if (!src->removed)
			src->handler(k, src, batch[i].events);
	}
	bury(ev);
	return 0;
}

int event_run(struct event_loop *ev, struct kernel *k)
{
	int ret = 0;

	while (!ev->stop && ret == 0)
		ret = event_turn(ev, k);
	return ret;
}

void event_stop(struct event_loop *ev)
{
	ev->stop = true;
}
