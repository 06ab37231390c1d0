/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_itimer.c - the one timer of a process: setitimer(ITIMER_REAL), alarm
 *
 * It is set to a span of time, and stops a task only in guests whose clocks
 * have a speed of their own (waits = all). A change of the speed does not reach
 * one that is set already.
 */
#include <sys/syscall.h>
#include <sys/time.h>

#include "kernel/deadline.h"
#include "kernel/sys_travel.h"
#include "kernel/syscall.h"
#include "kernel/timekeeper.h"
#include "kernel/util.h"

static bool is_valid(const struct timeval *tv)
{
	return tv->tv_sec >= 0 && tv->tv_usec >= 0 && tv->tv_usec < 1000000;
}

long sys_setitimer(struct kernel *k, struct call *c)
{
	struct redirect_how how = { .finish = FINISH_NONE };
	struct itimerval it;
	struct timeval host[2];

	if (k->travel && arg_int(c, 0) == ITIMER_REAL)
		return travel_sys_setitimer(k, c);
	if (!k->time || deadline_read(k, c, 1, &it, sizeof(it)) < 0 || !is_valid(&it.it_value) ||
	    !is_valid(&it.it_interval))
		return call_continue(c, "no time, or no clock of the guest's: the host says so");
	host[0] = deadline_timeval(k, &it.it_interval);
	host[1] = deadline_timeval(k, &it.it_value);
	if (c->arg[2]) {
		how.finish = FINISH_ITIMERVAL;
		how.change[0].what = PUT_SLOT;
		how.change[0].reg = how.out = BACK_RDX;
	}
	return deadline_set(k, c, BACK_RSI, &how, (const int64_t *)host, 4);
}

long sys_getitimer(struct kernel *k, struct call *c)
{
	static const struct redirect_how how = { .finish = FINISH_ITIMERVAL, .out = BACK_RSI };
	static const int64_t nothing[4];

	if (k->travel && arg_int(c, 0) == ITIMER_REAL)
		return travel_sys_getitimer(k, c);
	if (!k->time)
		return call_continue(c, "the clocks are the host's");
	return deadline_set(k, c, BACK_RSI, &how, nothing, ARRAY_SIZE(nothing));
}

/* setitimer(ITIMER_REAL), which can be set to a part of a second. */
long sys_alarm(struct kernel *k, struct call *c)
{
	static const struct redirect_how how = {
		.nr = SYS_setitimer,
		.finish = FINISH_ALARM,
		.change = { { PUT_NULL, BACK_RDI }, { PUT_SLOT, BACK_RDX } },
	};
	struct timeval tv = { .tv_sec = arg_u32(c, 0) };
	struct timeval host[2] = {};

	if (k->travel)
		return travel_sys_alarm(k, c);
	if (!k->time)
		return call_continue(c, "the clocks are the host's");
	host[1] = deadline_timeval(k, &tv);
	return deadline_set(k, c, BACK_RSI, &how, (const int64_t *)host, 4);
}
