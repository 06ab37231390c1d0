/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waiter.h - who of the guest waits until when, in the guest's time
 *
 * A call that gives a time to wait until stops at its beginning, is noted here
 * and goes on: the task sleeps in the host's kernel, by the host's clock. When
 * the guest's clock reaches the time before the host's does, because it made a
 * leap or runs faster, the wait is ended from outside (waiter_end()).
 *
 * One entry for each thread: a thread is in one call at a time. A handler that
 * itself waits takes its thread's entry over; the call it interrupted is not
 * resumed with a time-out (signal(7)), or stops again when it is restarted.
 * Ends of waits are not reported: an entry is looked at against what the host
 * says of the thread (waiter_look()), and dropped when it is no longer true.
 */
#ifndef WEIR_KERNEL_WAITER_H
#define WEIR_KERNEL_WAITER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/time/time.h"

struct kernel;

#define WAITER_BUCKETS 1024
#define WAITER_MAX 65536	/* threads; who waits beyond that does by the host's clock */

/* What a call does when its time is over. */
struct waiter_over {
	int result;		/* 0, -ETIMEDOUT, -EAGAIN */
	int left_arg;		/* argument: two words that are then 0, select(2)'s time left; -1 */
	bool sets;		/* and arguments 1 to 3 are sets of argument 0 bits, emptied */
};

struct waiter {
	pid_t tid;		/* host's */
	int nr;
	uint64_t arg[6];
	enum vclock clock;
	uint64_t at_ns;		/* what that clock of the guest's reads then */
	uint64_t leaps;		/* of the clocks, before it began */
	uint64_t serial;	/* tells it from an earlier one of the same thread */
	struct waiter_over over;
};

struct waiters {
	pthread_mutex_t lock;
	struct waiter_entry *bucket[WAITER_BUCKETS];
	unsigned n;
	uint64_t serial;
};

void waiters_init(struct waiters *ws);

/* Note a wait; serial is set here. Return: 0, -ENOMEM, -ENOSPC. */
int waiters_add(struct waiters *ws, const struct waiter *w);

/* Is it still the last that its thread began? */
bool waiters_is_last(struct waiters *ws, const struct waiter *w);

/* Forget one, if it is still this one. */
void waiters_drop(struct waiters *ws, const struct waiter *w);

/* A copy of all, in no order, to be freed. Return: how many, or -ENOMEM. */
int waiters_copy(struct waiters *ws, struct waiter **ret);

/**
 * waiter_look() - Does the thread sleep in this very call?
 *
 * Return: 1 yes; 0 no, and it will not again; -EAGAIN: it runs, and may not have
 * come so far yet; -EPERM: the host does not let us see.
 */
int waiter_look(const struct waiter *w);

/**
 * waiter_end() - Let the call of a thread return as if its time were over
 *
 * A call that has ended by itself meanwhile keeps its result, a later one of the
 * same thread goes on, and a signal that is on its way is delivered after the
 * call. Nothing of the program's but the result is changed.
 * Return: 1 ended, 0 it had ended by itself; -ESRCH it is gone, -EPERM a tracer has it.
 */
int waiter_end(struct kernel *k, struct waiters *ws, const struct waiter *w);

#endif
