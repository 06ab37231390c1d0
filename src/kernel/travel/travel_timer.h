/* SPDX-License-Identifier: Apache-2.0 */
/*
 * travel_timer.h - timers of a guest whose clocks travel
 *
 * A timer goes off while its process does something else, so unlike a wait
 * (waiter.h) it is not over when the process is seen elsewhere.
 *
 *   timerfd        stays the host's. We hold a descriptor of the same file, and
 *                  set it anew after each leap, so that the host's time left is
 *                  the guest's again. It is followed for as long as the process
 *                  that set it has it under the number it was set by.
 *   ITIMER_REAL    (setitimer, alarm) is kept here alone: only a process can set
 *                  its own. SIGALRM is sent when it is due. Like the host's it
 *                  outlives an exec, is not inherited and ends with its process.
 *
 * All times of a timer are counted on the guest's clocks.
 */
#ifndef WEIR_KERNEL_TRAVEL_TIMER_H
#define WEIR_KERNEL_TRAVEL_TIMER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "kernel/time/time.h"

#define TRAVEL_TIMERS_MAX 1024		/* of a guest; further ones run by the host's clock */
#define TRAVEL_TIMERS_MAX_FDS 512	/* of these, descriptors that we hold */

struct travel_timer;

struct travel_timers {
	pthread_mutex_t lock;
	struct travel_timer *first;
	unsigned n, nfds;
};

/* A time left, and then again and again; 0: not set, once. */
struct timer_value {
	uint64_t left_ns, interval_ns;
};

void travel_timers_init(struct travel_timers *ts);

/**
 * travel_timers_set_fd() - A timerfd is set; the host's is not yet
 * @pid:   host's, of the process; @fd: its number there
 * @file:  a descriptor of ours of it, which we close if we fail, too
 * @clock: what @v's time left was counted on
 *
 * Return: 0, or -ENOSPC, -ENOMEM.
 */
int travel_timers_set_fd(struct travel_timers *ts, pid_t pid, int fd, int file, enum vclock clock,
		  const struct timer_value *v, const uint64_t now_ns[NUM_VCLOCKS]);

/* ITIMER_REAL of a process; @new may be NULL, @old is what it was. Return: 0, or as above. */
int travel_timers_itimer(struct travel_timers *ts, pid_t pid, const struct timer_value *new,
		  struct timer_value *old, const uint64_t now_ns[NUM_VCLOCKS]);

/* How long until the first is due, in ns of the guest's? Those of processes that
 * are gone are forgotten. Return: is there any? */
bool travel_timers_next(struct travel_timers *ts, const uint64_t now_ns[NUM_VCLOCKS], uint64_t *ret_left_ns);

/* Let those go off that are due. Return: was there one? */
bool travel_timers_fire(struct travel_timers *ts, const uint64_t now_ns[NUM_VCLOCKS]);

/* The clocks have made a leap. */
void travel_timers_leapt(struct travel_timers *ts, const uint64_t now_ns[NUM_VCLOCKS]);

#endif
