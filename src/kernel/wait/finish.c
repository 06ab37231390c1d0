/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finish.c - what a redirected call says of the time that was left
 *
 * The host has written its own into the slot. vdso_return.S asks for the guest's
 * to be put where the program expects it (VCLOCK_FINISH); the call's result is
 * passed through.
 */
#include <errno.h>

#include "kernel/syscall.h"
#include "kernel/time/timekeeper.h"
#include "kernel/util.h"
#include "kernel/wait/deadline.h"

/* @unit: ns in the second word, 1 or 1000; kept. Nothing if the guest has put no time there. */
static struct timespec guest_span(struct kernel *k, const int64_t host[2], int64_t unit)
{
	struct timespec ts = { .tv_sec = host[0] };
	int64_t ns;

	if (host[0] < 0 || host[1] < 0 || host[1] >= (int64_t)NSEC_PER_SEC / unit)
		return (struct timespec){};
	ts.tv_nsec = host[1] * unit;
	ns = timekeeper_guest_span(k->time, timespec_ns(&ts));
	return (struct timespec){ ns / (int64_t)NSEC_PER_SEC, ns % (int64_t)NSEC_PER_SEC / unit };
}

/* Until @end; nothing if that has been. */
static struct timespec time_left(struct kernel *k, uint64_t end, int64_t unit)
{
	uint64_t now[NUM_VCLOCKS], ns;

	timekeeper_now(k->time, now);
	ns = end > now[VCLOCK_MONOTONIC] ? end - now[VCLOCK_MONOTONIC] : 0;
	return (struct timespec){ ns / NSEC_PER_SEC, ns % NSEC_PER_SEC / unit };
}

static void finish_slept(struct kernel *k, struct call *c, struct window_slot *s, uint64_t out)
{
	struct timespec ts = time_left(k, s->end, 1);

	if ((int64_t)c->arg[3] == -EINTR)
		copy_to_guest(c->tid, uaddr(out), &ts, sizeof(ts));
}

static void finish_left(struct kernel *k, struct call *c, struct window_slot *s, uint64_t out)
{
	struct timespec ts = time_left(k, s->end, s->finish == FINISH_LEFT ? 1 : 1000);

	copy_to_guest(c->tid, uaddr(out), &ts, sizeof(ts));
}

static void finish_itimer(struct kernel *k, struct call *c, struct window_slot *s, uint64_t out)
{
	int64_t unit = s->finish == FINISH_ITIMERSPEC ? 1 : 1000;
	struct timespec ts[2];

	ts[0] = guest_span(k, s->time, unit);
	ts[1] = guest_span(k, s->time + 2, unit);
	if ((int64_t)c->arg[3] == 0)
		copy_to_guest(c->tid, uaddr(out), ts, sizeof(ts));
}

/* Whole seconds; not 0 if anything is left, as alarm(2) has it. */
static void finish_alarm(struct kernel *k, struct call *c, struct window_slot *s, uint64_t out)
{
	struct timespec left = guest_span(k, s->time + 2, 1000);

	if (c->arg[3] == 0)
		c->arg[3] = left.tv_sec + (left.tv_nsec >= 500000 || (!left.tv_sec && left.tv_nsec));
}

static void (*const finishers[])(struct kernel *k, struct call *c, struct window_slot *s,
				 uint64_t out) = {
	[FINISH_SLEPT] = finish_slept,	     [FINISH_LEFT] = finish_left,
	[FINISH_LEFT_TIMEVAL] = finish_left, [FINISH_ITIMERSPEC] = finish_itimer,
	[FINISH_ITIMERVAL] = finish_itimer,  [FINISH_ALARM] = finish_alarm,
};

/* The slot is in the guest's memory: what is wrong with it is the guest's harm. */
long deadline_finish(struct kernel *k, struct call *c)
{
	uint64_t at = c->arg[4] - offsetof(struct window_slot, time);
	struct window_slot s;

	if (copy_from_guest(c->tid, &s, uaddr(at), sizeof(s)) == 0 && call_valid(c) &&
	    s.finish < ARRAY_SIZE(finishers) && finishers[s.finish] && s.out < NUM_VCLOCK_BACK) {
		const uint64_t reg[NUM_VCLOCK_BACK] = { [BACK_RDI] = s.rdi, [BACK_RSI] = s.rsi,
							[BACK_RDX] = s.rdx, [BACK_R10] = s.r10,
							[BACK_R8] = s.r8 };

		if (reg[s.out] || s.finish == FINISH_ALARM)
			finishers[s.finish](k, c, &s, reg[s.out]);
	}
	return (int64_t)c->arg[3];
}
