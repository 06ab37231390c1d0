/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_wait.c - calls that wait until a time of the guest's clocks
 *
 * Each says which clock its time is of, and which register leads to it;
 * deadline.c does the rest. What needs no waiting is answered at once: a
 * futex whose word has another value, a time that has passed.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#include "kernel/syscall.h"
#include "kernel/time/timekeeper.h"
#include "kernel/util.h"
#include "kernel/wait/deadline.h"

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

static bool has_passed(struct kernel *k, const struct deadline *d)
{
	struct timespec now;

	return timekeeper_read(k->time, d->clock, &now) == 0 &&
	       (now.tv_sec > d->at.tv_sec ||
		(now.tv_sec == d->at.tv_sec && now.tv_nsec >= d->at.tv_nsec));
}

static bool is_time(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < (long)NSEC_PER_SEC;
}

/* Read the time of a call that returns @result when it is over. False: it is the
 * host's to refuse. */
static bool get(struct kernel *k, struct call *c, int arg, clockid_t clock, int result,
		struct deadline *ret)
{
	*ret = (struct deadline){ .clock = clock, .host = clock,
				  .over = { .result = result, .left_arg = -1 } };
	if (!k->time || deadline_read(k, c, arg, &ret->at, sizeof(ret->at)) < 0 || !is_time(&ret->at))
		return false;
	ret->given_ns = timespec_ns(&ret->at);
	return true;
}

static long as_it_is(struct call *c)
{
	return call_continue(c, "no time, or no clock of the guest's: the host says so");
}

/* ---- futex -------------------------------------------------------------- */

/* FUTEX_WAIT_BITSET that would not wait. Return: 0 if it would. */
static long futex_at_once(struct kernel *k, struct call *c, const struct deadline *d)
{
	uint32_t word;

	if (c->arg[0] % sizeof(word) || arg_u32(c, 5) == 0 ||
	    arg_copy_in(c, 0, &word, sizeof(word)) < 0)
		return 0;
	if (word != arg_u32(c, 2))
		return -EAGAIN;
	return has_passed(k, d) ? -ETIMEDOUT : 0;
}

long sys_futex(struct kernel *k, struct call *c)
{
	uint32_t op = arg_u32(c, 1), cmd = op & FUTEX_CMD_MASK;
	bool realtime = (op & FUTEX_CLOCK_REALTIME) || cmd == FUTEX_LOCK_PI;
	struct deadline d;
	long ret;

	if (cmd == FUTEX_WAIT)
		return sleep_futex(k, c);
	if (!get(k, c, 3, realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC, -ETIMEDOUT, &d))
		return as_it_is(c);
	ret = cmd == FUTEX_WAIT_BITSET ? futex_at_once(k, c, &d) : 0;
	if (!ret)
		return deadline_wait(k, c, BACK_R10, NULL, &d);
	atomic_fetch_add(&k->time->count.at_once, 1);
	return ret;
}

long sys_futex_waitv(struct kernel *k, struct call *c)
{
	struct deadline d;

	if (!get(k, c, 3, arg_int(c, 4), -ETIMEDOUT, &d))
		return as_it_is(c);
	return deadline_wait(k, c, BACK_R10, NULL, &d);
}

long sys_futex_wait(struct kernel *k, struct call *c)
{
	struct deadline d;

	if (!get(k, c, 4, arg_int(c, 5), -ETIMEDOUT, &d))
		return as_it_is(c);
	return deadline_wait(k, c, BACK_R8, NULL, &d);
}

/* ---- sleeping and message queues ---------------------------------------- */

long sys_clock_nanosleep(struct kernel *k, struct call *c)
{
	struct deadline d;

	if (!(arg_int(c, 1) & TIMER_ABSTIME))
		return sleep_clock(k, c);
	if (!get(k, c, 2, arg_int(c, 0), 0, &d))
		return as_it_is(c);
	if (!has_passed(k, &d))
		return deadline_wait(k, c, BACK_RDX, NULL, &d);
	atomic_fetch_add(&k->time->count.at_once, 1);
	return 0;
}

static long mq_timed(struct kernel *k, struct call *c)
{
	struct deadline d;

	if (!get(k, c, 4, CLOCK_REALTIME, -ETIMEDOUT, &d))
		return as_it_is(c);
	return deadline_wait(k, c, BACK_R8, NULL, &d);
}

long sys_mq_timedsend(struct kernel *k, struct call *c)
{
	return mq_timed(k, c);
}

long sys_mq_timedreceive(struct kernel *k, struct call *c)
{
	return mq_timed(k, c);
}
