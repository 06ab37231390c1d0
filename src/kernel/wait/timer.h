/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.h - timers of the guest that are set to a time of its clocks
 *
 * timerfd, POSIX timers and ITIMER_REAL do not wait in a call: they are
 * remembered with what they were set to, and set again when the clocks are changed.
 */
#ifndef WEIR_KERNEL_TIMER_H
#define WEIR_KERNEL_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/kernel.h"
#include "kernel/time/time.h"

struct itimerval;

int timers_init(struct kernel *k);

/* After a change of the clocks; on the thread of deadline.c. @young: only those again that
 * may not have been set yet by the call that was remembered. */
void timers_rearm(struct kernel *k, bool young);

/**
 * timers_next() - How long until the first POSIX timer is to ring?
 * @now_ns: the guest's clocks; what is due by them has been seen to
 *
 * In ns of the guest's. Timers that are gone are forgotten. Return: is there any?
 */
bool timers_next(struct kernel *k, const uint64_t now_ns[NUM_VCLOCKS], uint64_t *ret_left_ns);

/**
 * timers_itimer() - A process sets its ITIMER_REAL, in a guest that does not travel
 * @it: spans of the guest's time, valid; it_value 0: it is disarmed
 *
 * To be said before the host's is set.
 */
void timers_itimer(struct kernel *k, pid_t tid, const struct itimerval *it);

#endif
