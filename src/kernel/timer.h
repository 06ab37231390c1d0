/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.h - timers of the guest that are set to a time of its clocks
 *
 * timerfd and POSIX timers do not wait in a call: they are remembered with
 * what they were set to, and set again when the clocks are changed.
 */
#ifndef WEIR_KERNEL_TIMER_H
#define WEIR_KERNEL_TIMER_H

#include "kernel/kernel.h"

int timers_init(struct kernel *k);

/* After a change of the clocks; on the thread of deadline.c. */
void timers_rearm(struct kernel *k);

#endif
