/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer_process.c - POSIX timers and ITIMER_REAL, which are a process's own
 *
 * Nobody but the process can set them. When the clocks change, one of its threads
 * is interrupted, makes the call, and goes on with what it did (redirect_inject()).
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "kernel/cleanup.h"
#include "kernel/syscall.h"
#include "kernel/time/timekeeper.h"
#include "kernel/travel/travel.h"
#include "kernel/util.h"
#include "kernel/wait/deadline.h"
#include "kernel/wait/timer_impl.h"
#include "passthrough/hostcall.h"

#define TRIES 4
#define TIMERS_BYTES (256 * 1024)	/* of /proc/PID/timers: some thousands */

/* ---- POSIX timers ------------------------------------------------------- */

/* "ID: 3", "signal: 14/0", "notify: signal/pid.7", "ClockID: 0": proc_pid_timers(5). */
int timer_posix_look(pid_t tid, int id, clockid_t *ret_clock, bool *ret_silent)
{
	cleanup_free char *text = malloc(TIMERS_BYTES);
	char path[48], want[32];
	const char *at, *clock, *notify;

	snprintf(path, sizeof(path), "/proc/%d/timers", tid);
	snprintf(want, sizeof(want), "ID: %d\n", id);
	if (!text || host_read_file(AT_FDCWD, path, text, TIMERS_BYTES) < 0)
		return -ENOENT;
	at = strstr(text, want);
	/* "ClockID: 0" ends like an "ID: 0". */
	while (at && at != text && at[-1] != '\n')
		at = strstr(at + 1, want);
	notify = at ? strstr(at, "\nnotify: ") : NULL;
	clock = at ? strstr(at, "\nClockID:") : NULL;
	if (!clock)
		return -EINVAL;
	*ret_clock = strtol(clock + sizeof("\nClockID:") - 1, NULL, 10);
	*ret_silent = notify && str_starts(notify, "\nnotify: none");
	return 0;
}

/* A call of timer_settime(2). */
struct setting {
	struct kernel *k;
	struct call *c;
	struct timer timer;
	struct redirect_how how;
	bool old;	/* it asks what it was */
};

/* What is changed of the call beside its time. Return: is there anything? */
static bool how_to_set(struct setting *s)
{
	s->old = s->c->arg[3] && s->k->cfg->policy->clock.waits == WAITS_ALL;
	if (s->timer.after) {
		s->how.change[0].what = PUT_ONE;	/* TIMER_ABSTIME */
		s->how.change[0].reg = BACK_RSI;
	}
	if (s->old) {
		s->how.change[1].what = PUT_SLOT;
		s->how.change[1].reg = s->how.out = BACK_R10;
		s->how.finish = FINISH_ITIMERSPEC;
	}
	return s->timer.after || s->old;
}

/* Of a timer that is known of we say ourselves what it was. */
static void begin_setting(void *ctx)
{
	struct setting *s = ctx;
	struct itimerspec was;

	if (s->old && timer_left(s->k, &s->timer, &was) &&
	    copy_to_guest(s->c->tid, uaddr(s->c->arg[3]), &was, sizeof(was)) == 0) {
		s->how.change[1].what = PUT_NULL;
		s->how.finish = FINISH_NONE;
	}
	timer_remember(s->k, &s->timer);
}

long sys_timer_settime(struct kernel *k, struct call *c)
{
	struct setting s = { k, c, .timer = { .kind = TIMER_POSIX, .tid = c->tid, .id = arg_int(c, 0),
					      .flags = arg_int(c, 1) } };
	const struct deadline_begun begun = { begin_setting, &s };
	struct timer *t = &s.timer;
	struct itimerspec host;
	uint64_t changes;
	bool more;
	long ret;

	if (!k->time || deadline_read(k, c, 2, &t->at, sizeof(t->at)) < 0 || !timer_is_valid(&t->at) ||
	    timer_posix_look(c->tid, t->id, &t->clock, &t->silent) < 0)
		return call_continue(c, "no timer, or no time for one: the host says so");
	t->tgid = caller_tgid(c->tid);
	if (is_zero(&t->at.it_value)) {
		if (call_valid(c))
			timer_forget(k, t);
		return call_continue(c, "a timer that is disarmed has no time");
	}
	timer_make_absolute(k, t);
	if (timer_to_host(k, t, &host, &changes) < 0)
		return call_continue(c, "a clock that is not the guest's: the host's business");
	more = how_to_set(&s);
	if (!call_valid(c))
		return -ESRCH;
	ret = deadline_set(k, c, BACK_RDX, more ? &s.how : NULL, &begun, (const int64_t *)&host,
			   sizeof(host) / sizeof(int64_t));
	if (timekeeper_changes(k->time) != changes)
		deadlines_changed(k);
	if (k->travel)
		travel_prompt(k);
	return ret;
}

long sys_timer_gettime(struct kernel *k, struct call *c)
{
	static const struct redirect_how how = { .finish = FINISH_ITIMERSPEC, .out = BACK_RSI };
	static const int64_t nothing[4];
	struct timer t = { .kind = TIMER_POSIX, .tgid = caller_tgid(c->tid), .id = arg_int(c, 0) };
	struct itimerspec left;
	bool silent;

	if (!k->time)
		return call_continue(c, "the clocks are the host's");
	if (timer_posix_look(c->tid, t.id, &t.clock, &silent) == 0 && timer_left(k, &t, &left))
		return arg_copy_out(c, 1, &left, sizeof(left));
	return deadline_set(k, c, BACK_RSI, &how, NULL, nothing, ARRAY_SIZE(nothing));
}

/* ---- ITIMER_REAL --------------------------------------------------------- */

static struct timespec of_timeval(const struct timeval *tv)
{
	return (struct timespec){ tv->tv_sec, tv->tv_usec * 1000 };
}

static struct timespec as_timeval(const struct timespec *ts)
{
	int64_t us = (ts->tv_nsec + 999) / 1000;

	return (struct timespec){ ts->tv_sec + us / 1000000, us % 1000000 };
}

void timers_itimer(struct kernel *k, pid_t tid, const struct itimerval *it)
{
	struct timer t = { .kind = TIMER_ITIMER, .tid = tid, .tgid = caller_tgid(tid), .clock = CLOCK_MONOTONIC };
	struct itimerspec host;

	t.at.it_value = of_timeval(&it->it_value);
	t.at.it_interval = of_timeval(&it->it_interval);
	if (is_zero(&t.at.it_value)) {
		timer_forget(k, &t);
		return;
	}
	timer_make_absolute(k, &t);
	if (timer_to_host(k, &t, &host, NULL) == 0)
		timer_remember(k, &t);
}

/* ---- changes ------------------------------------------------------------ */

/* How a kind of timer is asked and set: four words, the interval first. */
static const struct {
	int get, set;
	bool absolute;	/* in ns, until a time; else in us, a span */
} calls_of[] = {
	[TIMER_POSIX] = { SYS_timer_gettime, SYS_timer_settime, true },
	[TIMER_ITIMER] = { SYS_getitimer, SYS_setitimer, false },
};

/* Any thread will do, if it lives: the first of a process may have ended before the
 * others. Return: as redirect_inject(). */
static int inject(struct kernel *k, const struct timer *t, int nr, const uint64_t arg[6], int slot_arg,
		  struct itimerspec *it, int64_t *ret)
{
	char path[32];
	struct dirent *e;
	int err = -ESRCH;
	DIR *dir;

	if (caller_tgid(t->tid) == t->tgid)
		err = redirect_inject(k, t->tid, nr, arg, slot_arg, it, ret);
	if (err == 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/task", t->tgid);
	dir = opendir(path);
	while (dir && err < 0 && (e = readdir(dir)))
		if (atoi(e->d_name) > 0)
			err = redirect_inject(k, atoi(e->d_name), nr, arg, slot_arg, it, ret);
	if (dir)
		closedir(dir);
	return err;
}

/* Return: 0 with what is left, in ns. */
static int get(struct kernel *k, const struct timer *t, struct itimerspec *ret)
{
	const uint64_t arg[6] = { t->id };
	int64_t result;
	int err;

	*ret = (struct itimerspec){};
	err = inject(k, t, calls_of[t->kind].get, arg, 1, ret, &result);
	if (err == 0 && result < 0)
		err = result;
	if (err == 0 && !calls_of[t->kind].absolute) {
		ret->it_value.tv_nsec *= 1000;
		ret->it_interval.tv_nsec *= 1000;
	}
	return err;
}

static int set(struct kernel *k, struct timer *t)
{
	const bool absolute = calls_of[t->kind].absolute;
	const uint64_t arg[6] = { t->id, TIMER_ABSTIME };
	struct itimerspec host;
	int64_t result, left;
	int err = timer_to_host(k, t, &host, NULL);

	if (err < 0)
		return err;
	if (!absolute) {
		left = MAX(timespec_ns(&host.it_value) - timer_host_now(k, t), INT64_C(1));
		host.it_value = timespec_of(left);
		host.it_value = as_timeval(&host.it_value);
		host.it_interval = as_timeval(&host.it_interval);
	}
	err = inject(k, t, calls_of[t->kind].set, arg, absolute ? 2 : 1, &host, &result);
	return err < 0 ? err : MIN(result, 0);
}

/* The program may have set it meanwhile, between our two calls: then what it has set
 * it to is set once more. */
static void set_surely(struct kernel *k, struct timer *t)
{
	for (int i = 0; i < TRIES && set(k, t) == 0; i++)
		if (timer_update(k, t) || !timer_recall(k, t->kind, t->tgid, t->id, t))
			break;
}

bool timer_rearm_process(struct kernel *k, struct timer *t)
{
	int64_t before = timer_host_now(k, t);
	struct itimerspec is;

	if (get(k, t, &is) < 0)
		return true;
	if (is_zero(&is.it_value) && timespec_ns(&t->host) <= before) {
		timer_forget(k, t);	/* it has rung */
		return true;
	}
	if (is_zero(&is.it_value) || !timer_is_as_set(t, before, timer_host_now(k, t), &is.it_value))
		return false;
	set_surely(k, t);
	return true;
}
