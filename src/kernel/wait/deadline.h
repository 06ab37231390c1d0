/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deadline.h - absolute waits on the guest's clocks
 *
 * The host waits by its own clocks. A deadline is therefore given to it as the
 * time at which the host's clock will show what the guest waits for; and when
 * the guest's clocks are changed, all that wait are given another one, by a
 * thread that does nothing else.
 */
#ifndef WEIR_KERNEL_DEADLINE_H
#define WEIR_KERNEL_DEADLINE_H

#include <stdbool.h>
#include <sys/time.h>
#include <time.h>

#include "kernel/kernel.h"
#include "kernel/travel/waiter.h"
#include "kernel/wait/redirect.h"

struct deadlines;

/* A time that a call waits for. */
struct deadline {
	clockid_t clock;	/* the guest's */
	clockid_t host;		/* the host's clock that this call waits by */
	struct timespec at;	/* of the guest's */
	bool span;		/* the call takes the time that is left until then */
	bool timeval;		/* in microseconds */
	int64_t given_ns;	/* by the program, on the host's clock or as a span */
	struct waiter_over over;	/* what the call does when it is over */
};

/* After the clocks are made. Return: 0 or a negative errno. */
int deadlines_init(struct kernel *k);

/**
 * deadline_to_host() - When it is on the host's clock
 *
 * Never too early. Return: 0 with a time of at least 1 ns (0 would disarm a
 * timer), or -EINVAL if the clock is none of the guest's, or the time no time.
 * *@ret_changes: the answer holds as long as k->time->changes is this.
 */
int deadline_to_host(struct kernel *k, const struct deadline *d, struct timespec *ret,
		     uint64_t *ret_changes);

/* How long the host is to wait for a span of the guest's; rounded up, 0 for 0. */
struct timespec deadline_span(struct kernel *k, const struct timespec *span);
struct timeval deadline_timeval(struct kernel *k, const struct timeval *span);

/* in_place.c: arg_copy_in() of a time of the program's; it is surely the program's own, and
 * not one that was put there for a moment. */
int deadline_read(struct kernel *k, struct call *c, int arg, void *to, size_t len);

/**
 * deadline_wait() - Let a call wait for a time of the guest's
 * @c: not yet answered; it reads a timespec through one register
 * @how: what else is changed, or NULL; with a call of another number it is one
 *       whose timeout is not in memory
 *
 * It is answered here, redirected or not. Return: what the handler is to return.
 */
long deadline_wait(struct kernel *k, struct call *c, enum vclock_back back,
		   const struct redirect_how *how, const struct deadline *d);

/* What has to be done when it is sure that a call will be made, and before it is: a call
 * may be begun again, and its handler called a second time. */
struct deadline_begun {
	void (*call)(void *ctx);
	void *ctx;
};

/**
 * deadline_set() - Let a call that does not wait read another time
 * @how: what else is changed, or NULL; looked at behind @begun
 * @begun: NULL for nothing
 * @time, @words: what it reads instead of as many words of the program's
 *
 * Return: as deadline_wait().
 */
long deadline_set(struct kernel *k, struct call *c, enum vclock_back back,
		  const struct redirect_how *how, const struct deadline_begun *begun,
		  const int64_t *time, unsigned words);

/* in_place.c: as deadline_set(), in the program's own memory. */
long deadline_in_place(struct kernel *k, struct call *c, int arg, const int64_t *time,
		       unsigned words);

/* sys_sleep.c: FUTEX_WAIT and clock_nanosleep(2) without TIMER_ABSTIME. */
long sleep_futex(struct kernel *k, struct call *c);
long sleep_clock(struct kernel *k, struct call *c);

/* finish.c: VCLOCK_FINISH: a redirected call is over, and has written a time. */
long deadline_finish(struct kernel *k, struct call *c);

/* The clocks have changed: let the thread look at all that wait, and at timers;
 * after a leap at timers only: the traveller ends waits. Any thread. */
void deadlines_changed(struct kernel *k);
void deadlines_leapt(struct kernel *k);

/* timer.c's: once more at timers whose calls may be on their way. */
void deadlines_timers_young(struct kernel *k);

/* Has all been seen to that was asked for so? */
bool deadlines_idle(struct kernel *k);

#endif
