/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_time.c - the calls that set or tune the clock
 *
 * A guest has no clock of its own yet: setting is refused, whoever asks, and
 * reading the host's tuning works as it does for any process.
 */
#include <errno.h>
#include <sys/capability.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>

#include "kernel/syscall.h"
#include "passthrough/hostcall.h"

/* A bad pointer is -EFAULT before it is -EPERM, as on the host. */
static long refuse(struct call *c, int arg, size_t size)
{
	char copy[64];

	if (c->arg[arg]) {
		int ret = arg_copy_in(c, arg, copy, size);

		if (ret < 0)
			return ret;
	}
	return -EPERM;
}

long sys_settimeofday(struct kernel *k, struct call *c)
{
	if (c->arg[1]) {
		struct timezone tz;
		int ret = arg_copy_in(c, 1, &tz, sizeof(tz));

		if (ret < 0)
			return ret;
	}
	return refuse(c, 0, sizeof(struct timeval));
}

long sys_clock_settime(struct kernel *k, struct call *c)
{
	int clock = arg_int(c, 0);

	/* Only CLOCK_REALTIME can be set, clock_settime(2). */
	if (clock != CLOCK_REALTIME)
		return -EINVAL;
	return c->arg[1] ? refuse(c, 1, sizeof(struct timespec)) : -EFAULT;
}

/* The bits of adjtimex(2) that only read. */
static bool only_reads(unsigned modes)
{
	return modes == 0 || modes == ADJ_OFFSET_SS_READ;
}

static long adjust(struct call *c, int arg, int clock)
{
	struct timex tx;
	long state;
	int ret = arg_copy_in(c, arg, &tx, sizeof(tx));

	if (ret < 0)
		return ret;
	if (!only_reads(tx.modes))
		return -EPERM;
	state = host_call(SYS_clock_adjtime, clock, &tx);
	if (state < 0)
		return state;
	ret = arg_copy_out(c, arg, &tx, sizeof(tx));
	return ret < 0 ? ret : state;
}

long sys_adjtimex(struct kernel *k, struct call *c)
{
	return adjust(c, 0, CLOCK_REALTIME);
}

long sys_clock_adjtime(struct kernel *k, struct call *c)
{
	int clock = arg_int(c, 0);

	/* A clock that is a descriptor would be ours, not the caller's. */
	if (clock < 0)
		return -EPERM;
	return adjust(c, 1, clock);
}
