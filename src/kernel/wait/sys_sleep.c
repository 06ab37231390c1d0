/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_sleep.c - calls that wait for a span of time
 *
 * They stop only in guests whose clocks have a speed of their own, or travel
 * (waits = all).
 * A span is a time from now on the guest's MONOTONIC: it ends there, however
 * the speed changes meanwhile. What the call says of the time that was left is
 * translated back.
 */
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>

#include "kernel/syscall.h"
#include "kernel/time/timekeeper.h"
#include "kernel/util.h"
#include "kernel/wait/deadline.h"

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

#define MAX_SEC (INT64_MAX / (int64_t)NSEC_PER_SEC)

enum unit { TIMESPEC, TIMEVAL, MILLISECONDS };

/* How a call says how long, and what is changed of it. */
struct span_call {
	int arg;		/* its timeout */
	enum unit unit;		/* MILLISECONDS: in the register itself */
	enum vclock_back back;	/* the register that will lead to the slot */
	struct redirect_how how;
	struct waiter_over over;	/* but for .left_arg: nothing but the result */
};

#define RESULT(res) { .result = (res), .left_arg = -1 }

/* Argument 5 of a call is in r8, 4 in r10. */
static const struct span_call
	call_nanosleep = { 0, TIMESPEC, BACK_RDI,
			   { .finish = FINISH_SLEPT, .out = BACK_RSI }, RESULT(0) },
	call_clock_nanosleep = { 2, TIMESPEC, BACK_RDX,
				 { .finish = FINISH_SLEPT, .out = BACK_R10 }, RESULT(0) },
	call_poll = { 2, MILLISECONDS, BACK_RDX,
		      { .nr = SYS_ppoll, .change = { { PUT_NULL, BACK_R10 } } }, RESULT(0) },
	call_ppoll = { 2, TIMESPEC, BACK_RDX, { .finish = FINISH_LEFT, .out = BACK_RDX },
		       { .left_arg = 2 } },
	call_select = { 4, TIMEVAL, BACK_R8, { .finish = FINISH_LEFT_TIMEVAL, .out = BACK_R8 },
			{ .left_arg = 4, .sets = true } },
	call_pselect6 = { 4, TIMESPEC, BACK_R8, { .finish = FINISH_LEFT, .out = BACK_R8 },
			  { .left_arg = 4, .sets = true } },
	call_epoll_wait = { 3, MILLISECONDS, BACK_R10,
			    { .nr = SYS_epoll_pwait2, .change = { { PUT_NULL, BACK_R8 } } }, RESULT(0) },
	call_epoll_pwait = { 3, MILLISECONDS, BACK_R10, { .nr = SYS_epoll_pwait2 }, RESULT(0) },
	call_epoll_pwait2 = { 3, TIMESPEC, BACK_R10, {}, RESULT(0) },
	call_futex = { 3, TIMESPEC, BACK_R10, {}, RESULT(-ETIMEDOUT) },
	call_semtimedop = { 3, TIMESPEC, BACK_R10, {}, RESULT(-EAGAIN) },
	call_sigtimedwait = { 2, TIMESPEC, BACK_RDX, {}, RESULT(-EAGAIN) },
	call_getevents = { 4, TIMESPEC, BACK_R8, {}, RESULT(0) };

/* ns, or -1: none, or nothing to wait for. */
static int64_t span_of(struct kernel *k, struct call *c, const struct span_call *s)
{
	int64_t unit = s->unit == TIMEVAL ? 1000 : 1;
	struct timespec ts;

	if (s->unit == MILLISECONDS)
		return arg_int(c, s->arg) > 0 ? arg_int(c, s->arg) * INT64_C(1000000) : -1;
	if (deadline_read(k, c, s->arg, &ts, sizeof(ts)) < 0 || ts.tv_sec < 0 || ts.tv_nsec < 0 ||
	    (ts.tv_nsec >= (int64_t)NSEC_PER_SEC / unit && s->unit == TIMESPEC) ||
	    (ts.tv_sec == 0 && ts.tv_nsec == 0))
		return -1;
	/* A timeval may have more than a second of microseconds. */
	if (ts.tv_sec >= MAX_SEC || ts.tv_nsec / ((int64_t)NSEC_PER_SEC / unit) >= MAX_SEC - ts.tv_sec)
		return INT64_MAX;
	return (ts.tv_sec + ts.tv_nsec / ((int64_t)NSEC_PER_SEC / unit)) * (int64_t)NSEC_PER_SEC +
	       ts.tv_nsec % ((int64_t)NSEC_PER_SEC / unit) * unit;
}

static long sleep_for(struct kernel *k, struct call *c, const struct span_call *s)
{
	struct deadline d = { .clock = CLOCK_MONOTONIC, .host = CLOCK_MONOTONIC, .span = true,
			      .timeval = s->unit == TIMEVAL, .over = s->over };
	struct redirect_how how = s->how;
	int64_t ns = k->time ? span_of(k, c, s) : -1, end;

	if (ns < 0)
		return call_continue(c, "no time to wait for, or none that is one: the host says so");
	timekeeper_read(k->time, CLOCK_MONOTONIC, &d.at);
	if (__builtin_add_overflow(timespec_ns(&d.at), ns, &end))
		end = INT64_MAX;
	d.given_ns = ns;
	how.end_ns = end;
	d.at = timespec_of(end);
	/* What is left is written to a second place, if the program wants to know. */
	if (how.finish == FINISH_SLEPT && c->arg[s->arg + 1]) {
		how.change[0].what = PUT_SECOND;
		how.change[0].reg = how.out;
	} else if (how.finish == FINISH_SLEPT) {
		how.finish = FINISH_NONE;
	}
	return deadline_wait(k, c, s->back, &how, &d);
}

#define SLEEP(name, how)                                         \
	long sys_##name(struct kernel *k, struct call *c)        \
	{                                                        \
		return sleep_for(k, c, &(how));                  \
	}

SLEEP(nanosleep, call_nanosleep)
SLEEP(poll, call_poll)
SLEEP(ppoll, call_ppoll)
SLEEP(select, call_select)
SLEEP(pselect6, call_pselect6)
SLEEP(epoll_wait, call_epoll_wait)
SLEEP(epoll_pwait, call_epoll_pwait)
SLEEP(epoll_pwait2, call_epoll_pwait2)
SLEEP(semtimedop, call_semtimedop)
SLEEP(rt_sigtimedwait, call_sigtimedwait)
SLEEP(io_getevents, call_getevents)
SLEEP(io_pgetevents, call_getevents)

/* The two that may be given a time as well, see sys_wait.c. */
long sleep_futex(struct kernel *k, struct call *c)
{
	return sleep_for(k, c, &call_futex);
}

long sleep_clock(struct kernel *k, struct call *c)
{
	return sleep_for(k, c, &call_clock_nanosleep);
}
