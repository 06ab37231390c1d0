/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_time.c - the calls that set or tune the clock
 *
 * They act on the guest's clock if it has one of its own and the policy says
 * settable = yes, for a caller with CAP_SYS_TIME over the guest. Else setting
 * is refused, whoever asks. The order of the checks is the host's.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>

#include "kernel/log.h"
#include "kernel/syscall.h"
#include "kernel/time/timekeeper.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define ZONE_MAX_MINUTES (15 * 60)	/* from UTC, settimeofday(2) */

static bool may_set(struct kernel *k, struct call *c)
{
	return k->time && k->time->settable && caller_capable(k, c, CAP_SYS_TIME) && call_valid(c);
}

static bool valid_time(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && ts->tv_sec < TIME_MAX_SEC && ts->tv_nsec >= 0 &&
	       ts->tv_nsec < (long)NSEC_PER_SEC;
}

static long set_clock(struct kernel *k, const struct timespec *ts)
{
	char date[32];
	struct tm tm;
	int ret = timekeeper_set(k, ts->tv_sec * (int64_t)NSEC_PER_SEC + ts->tv_nsec);

	if (ret < 0)
		return ret;
	/* Not more than one a second: the log is not the guest's to fill. */
	if (host_now() - atomic_load(&k->time->logged_ns) < NSEC_PER_SEC)
		return 0;
	atomic_store(&k->time->logged_ns, host_now());
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&ts->tv_sec, &tm));
	log_info("time: the guest set its clock to %s", date);
	return 0;
}

long sys_settimeofday(struct kernel *k, struct call *c)
{
	struct timeval tv = {};
	struct timezone tz = {};
	struct timespec ts;
	int ret = c->arg[0] ? arg_copy_in(c, 0, &tv, sizeof(tv)) : 0;

	if (ret == 0 && (tv.tv_usec < 0 || tv.tv_usec > 999999))
		return -EINVAL;
	if (ret == 0 && c->arg[1])
		ret = arg_copy_in(c, 1, &tz, sizeof(tz));
	if (ret < 0)
		return ret;
	ts = (struct timespec){ .tv_sec = tv.tv_sec, .tv_nsec = tv.tv_usec * 1000 };
	if (!valid_time(&ts))
		return -EINVAL;
	if (!may_set(k, c))
		return -EPERM;
	if (c->arg[1]) {
		if (tz.tz_minuteswest > ZONE_MAX_MINUTES || tz.tz_minuteswest < -ZONE_MAX_MINUTES)
			return -EINVAL;
		timekeeper_zone(k->time, NULL, &tz);
	}
	return c->arg[0] ? set_clock(k, &ts) : 0;
}

long sys_clock_settime(struct kernel *k, struct call *c)
{
	struct timespec ts;
	int ret;

	/* Only CLOCK_REALTIME can be set, clock_settime(2). */
	if (arg_int(c, 0) != CLOCK_REALTIME)
		return -EINVAL;
	ret = arg_copy_in(c, 1, &ts, sizeof(ts));
	if (ret < 0)
		return ret;
	if (!valid_time(&ts))
		return -EINVAL;
	return may_set(k, c) ? set_clock(k, &ts) : -EPERM;
}

/* The bits of adjtimex(2) that only read. */
static bool only_reads(unsigned modes)
{
	return modes == 0 || modes == ADJ_OFFSET_SS_READ;
}

/* Without a clock of the guest's: the host's tuning, as any process may read it. */
static long host_tuning(int clock, struct timex *tx)
{
	return only_reads(tx->modes) ? host_call(SYS_clock_adjtime, clock, tx) : -EPERM;
}

static long adjust(struct kernel *k, struct call *c, int arg, int clock)
{
	struct timex tx;
	long state;
	int ret = arg_copy_in(c, arg, &tx, sizeof(tx));

	if (ret < 0)
		return ret;
	if (k->time)
		state = timekeeper_adjust(k, &tx, !only_reads(tx.modes) && may_set(k, c));
	else
		state = host_tuning(clock, &tx);
	if (state < 0)
		return state;
	ret = arg_copy_out(c, arg, &tx, sizeof(tx));
	return ret < 0 ? ret : state;
}

long sys_adjtimex(struct kernel *k, struct call *c)
{
	return adjust(k, c, 0, CLOCK_REALTIME);
}

long sys_clock_adjtime(struct kernel *k, struct call *c)
{
	int clock = arg_int(c, 0);

	/* A clock that is a descriptor would be ours, not the caller's. */
	if (clock < 0)
		return -EPERM;
	/* None but REALTIME can be tuned; the host knows which there are. */
	if (k->time && clock != CLOCK_REALTIME) {
		struct timex tx = {};
		long ret = host_call(SYS_clock_adjtime, clock, &tx);

		return ret < 0 ? ret : -EOPNOTSUPP;
	}
	return adjust(k, c, 1, clock);
}
