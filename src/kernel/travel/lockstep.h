/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lockstep.h - a travelling guest that keeps step with others by a calendar
 *
 * The traveller's part of calendar.h. The guest is always in one of two states:
 *
 *   RUNNING  it is its turn, and the calendar's time does not move. When all its
 *            tasks sleep, it requests the next deadline and waits  -> WAITING
 *   WAITING  RUN: its clocks go to the calendar's time             -> RUNNING
 *            UPDATE: they do, if all sleep; else it requests the time it has.
 *            The same when its tasks are found awake, by the outside world; and
 *            an earlier deadline than the one it requested is requested.
 *
 * When the calendar ends, the guest travels alone.
 */
#ifndef WEIR_KERNEL_LOCKSTEP_H
#define WEIR_KERNEL_LOCKSTEP_H

#include <stdbool.h>
#include <stdint.h>

#include "ns/error.h"

struct agenda;
struct calendar;
struct kernel;

struct lockstep {
	struct calendar *calendar;	/* NULL: alone */
	_Atomic bool on;
	uint64_t calendar_ns, monotonic_ns;	/* its time and the guest's clock are the same moment */
	bool waiting;
	uint64_t requested;	/* guest's MONOTONIC; UINT64_MAX: nothing */
};

/* Connect if the policy names a calendar; a guest without a date of its own gets
 * the calendar's. Return: 0 or a negative errno with one line in @err. */
int lockstep_init(struct kernel *k, void (*notify)(void *travel), struct ns_error *err);
void lockstep_exit(struct lockstep *l);

static inline bool lockstep_on(struct lockstep *l)
{
	return l->on;
}

/* The traveller has nothing to end. Return: did anything happen? */
bool lockstep_turn(struct kernel *k, struct agenda *a);

#endif
