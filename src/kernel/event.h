/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.h - the second door: everything that happens to a guest but traps
 *
 * One epoll, one thread. A source may be freed only between batches: the
 * result of one epoll_wait() may still name it. event_remove() therefore only
 * marks it, and its free function runs after the batch.
 */
#ifndef WEIR_KERNEL_EVENT_H
#define WEIR_KERNEL_EVENT_H

#include <stdbool.h>
#include <stdint.h>

struct kernel;

struct event_source {
	int fd;
	const char *name;	/* for the log: "control", "signal", "console" */
	void (*handler)(struct kernel *k, struct event_source *src, uint32_t events);
	void (*release)(struct event_source *src);	/* may be NULL; after removal */

	struct event_source *next_dead;			/* event.c's */
	bool removed;
};

struct event_loop {
	int epoll;
	bool stop;
	struct event_source *dead;
};

int event_init(struct event_loop *ev);
void event_exit(struct event_loop *ev);

/* Watch src->fd for @events (EPOLLIN ...). The source must live until its
 * release function has run. */
int event_add(struct event_loop *ev, struct event_source *src, uint32_t events);
int event_modify(struct event_loop *ev, struct event_source *src, uint32_t events);
void event_remove(struct event_loop *ev, struct event_source *src);

/* Wait for events, and handle those that have come. */
int event_turn(struct event_loop *ev, struct kernel *k);

/* Handle events until event_stop(). */
int event_run(struct event_loop *ev, struct kernel *k);
void event_stop(struct event_loop *ev);

#endif
