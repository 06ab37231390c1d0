/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_impl.h - the guest's memory; shared by memory*.c
 */
#ifndef WEIR_KERNEL_MEMORY_IMPL_H
#define WEIR_KERNEL_MEMORY_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel/event.h"
#include "kernel/memory/memory.h"

enum memory_action {
	MEMORY_SHOW,
	MEMORY_BRIEF,	/* as show, without what has to be asked of each process */
	MEMORY_PLUG,
	MEMORY_UNPLUG,
	MEMORY_RELEASE,
	MEMORY_LEND,	/* a broker's: so much in all, until the guest needs more */
	MEMORY_NUM_ACTIONS
};

/* What is asked for in a release: the papers' two kinds of memory that a host
 * can have back. */
enum memory_type {
	MEMORY_ANY,
	MEMORY_CLEAN,	/* page cache that is on disk too: dropped at once */
	MEMORY_DIRTY,	/* the rest of the page cache: to be written first */
	MEMORY_NUM_TYPES,
};
extern const char *const memory_type_str[MEMORY_NUM_TYPES];

/* A request while it is worked at, and its outcome. */
struct memory_work {
	enum memory_action action;
	enum memory_type type;
	bool answered;			/* somebody waits for it */
	uint64_t bytes, deadline_ns;	/* asked for; host's monotonic clock */
	uint64_t got_bytes;
	const char *why;		/* not all: "floor", "deadline", "nothing left", "needed",
					 * "refused"; or NULL */
	uint64_t took_ns;
};

struct memory {
	struct kernel *kernel;
	struct strict *strict;		/* NULL: a cgroup counts, or nobody */
	uint64_t boot_limit, floor;	/* bytes; constant */
	pthread_mutex_t lock;		/* of changes to the next three */
	_Atomic uint64_t limit;		/* 0: the host's memory */
	_Atomic uint64_t whole;		/* the limit but for what is lent */
	_Atomic bool lent;		/* some of it is */
	_Atomic uint64_t released;	/* bytes, since boot */
	_Atomic bool idle;		/* as the scheduler sees the guest */

	/* event loop's thread only */
	struct event_source oom;	/* the cgroup's; fd -1: none */
	bool oom_is_v2;
	struct event_source oom_later;	/* timerfd, v1: it tells before it kills */
	uint64_t kills;			/* that were logged */
	struct event_source pressure;	/* a trigger on the host; fd -1: none */
	uint64_t pressed_ns;		/* when it fired last, 0: never */

	/* the worker: see memory_work.c */
	struct event_source done;	/* eventfd */
	pthread_t thread;
	bool working;			/* it is to be joined */
	struct client *client;		/* who waits; NULL: nobody */
	struct memory_work work;
	char *answer;			/* JSON; the worker's until it is through */
	_Atomic bool cancel;
};

int memory_work_init(struct memory *m);
void memory_work_exit(struct memory *m);

/* Begin. Return: 0, -EBUSY if one is at work. */
int memory_work_start(struct memory *m, const struct memory_work *work, struct client *client);

/**
 * memory_set_limit() - One step of a change
 * @soft: lent or given back by a broker; else for good
 *
 * Any thread. Return: 0, -EBUSY as cgroup_memory_limit(), -ECANCELED if what was
 * lent has been taken back meanwhile.
 */
int memory_set_limit(struct memory *m, uint64_t limit, bool soft);

/* Whoever has it: the guest needs what it lent. Any thread. Return: true if
 * there was anything. */
bool memory_take_back(struct memory *m);

/* What is in the group by kind, in bytes. */
struct memory_kinds {
	uint64_t used, clean, dirty, hard;	/* hard: cannot be had back */
};
void memory_kinds(struct memory *m, struct memory_kinds *ret);

#endif
