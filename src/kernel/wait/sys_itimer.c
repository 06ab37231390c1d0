/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_itimer.c - the one timer of a process: setitimer(ITIMER_REAL), alarm
 *
 * It is set to a span of time, and stops a task only in guests whose clocks
 * have a speed of their own (waits = all). When that changes, timer.c has it set
 * again.
 */
#include <sys/syscall.h>
#include <sys/time.h>

#include "kernel/syscall.h"
#include "kernel/time/timekeeper.h"
#include "kernel/travel/sys_travel.h"
#include "kernel/util.h"
#include "kernel/wait/deadline.h"
#include "kernel/wait/timer.h"

static bool is_valid(const struct timeval *tv)
{
	return tv->tv_sec >= 0 && tv->tv_usec >= 0 && tv->tv_usec < 1000000;
}

struct setting {
	struct kernel *k;
	const struct call *c;
	const struct itimerval *it;
};

static void begin_setting(void *ctx)
{
	const struct setting *s = ctx;

	timers_itimer(s->k, s->c->tid, s->it);
}

/* To spans of the guest's; if the clocks change meanwhile, it is set again. */
static long set(struct kernel *k, struct call *c, const struct redirect_how *how,
		const struct itimerval *it)
{
	struct setting s = { k, c, it };
	const struct deadline_begun begun = { begin_setting, &s };
	uint64_t changes = timekeeper_changes(k->time);
	const struct timeval host[2] = {
		deadline_timeval(k, &it->it_interval), deadline_timeval(k, &it->it_value),
	};
	long ret = deadline_set(k, c, BACK_RSI, how, &begun, (const int64_t *)host, 4);

	if (timekeeper_changes(k->time) != changes)
		deadlines_changed(k);
	return ret;
}

long sys_setitimer(struct kernel *k, struct call *c)
{
	struct redirect_how how = { .finish = FINISH_NONE };
	struct itimerval it;

	if (arg_int(c, 0) != ITIMER_REAL)
		return call_continue(c, "a timer that goes by the process's CPU time");
	if (k->travel)
		return travel_sys_setitimer(k, c);
	if (!k->time || deadline_read(k, c, 1, &it, sizeof(it)) < 0 || !is_valid(&it.it_value) ||
	    !is_valid(&it.it_interval))
		return call_continue(c, "no time, or no clock of the guest's: the host says so");
	if (c->arg[2]) {
		how.finish = FINISH_ITIMERVAL;
		how.change[0].what = PUT_SLOT;
		how.change[0].reg = how.out = BACK_RDX;
	}
	return set(k, c, &how, &it);
}

long sys_getitimer(struct kernel *k, struct call *c)
{
	static const struct redirect_how how = { .finish = FINISH_ITIMERVAL, .out = BACK_RSI };
	static const int64_t nothing[4];

	if (arg_int(c, 0) != ITIMER_REAL)
		return call_continue(c, "a timer that goes by the process's CPU time");
	if (k->travel)
		return travel_sys_getitimer(k, c);
	if (!k->time)
		return call_continue(c, "the clocks are the host's");
	return deadline_set(k, c, BACK_RSI, &how, NULL, nothing, ARRAY_SIZE(nothing));
}

/* setitimer(ITIMER_REAL), which can be set to a part of a second. */
long sys_alarm(struct kernel *k, struct call *c)
{
	static const struct redirect_how how = {
		.nr = SYS_setitimer,
		.finish = FINISH_ALARM,
		.change = { { PUT_NULL, BACK_RDI }, { PUT_SLOT, BACK_RDX } },
	};
	struct itimerval it = { .it_value.tv_sec = arg_u32(c, 0) };

	if (k->travel)
		return travel_sys_alarm(k, c);
	if (!k->time)
		return call_continue(c, "the clocks are the host's");
	return set(k, c, &how, &it);
}
