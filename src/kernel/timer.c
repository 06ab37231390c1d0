/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.c - timers of the guest that are set to a time of its clocks
 *
 * A timerfd is an open file: a descriptor of ours on it sets it. A POSIX timer
 * is the process's own: its call is redirected, and to set it again one of the
 * process's threads makes the call.
 *
 * No descriptor is kept, as it would keep the timer alive, and in the epoll
 * sets it is in. It is found again by its number in the process that has set
 * it; what is there then is asked whether it still is such a timer, armed.
 */
#include "kernel/timer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>

#include "kernel/cleanup.h"
#include "kernel/deadline.h"
#include "kernel/sys_travel.h"
#include "kernel/syscall.h"
#include "kernel/timekeeper.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define MAX_TIMERS 16384	/* more are not set again */
#define SET_NS 2000000	/* REALTIME jumped: it was set, not tuned */
#define STATUS_BYTES 16384
#define NEVER_SEC (INT64_MAX / (int64_t)NSEC_PER_SEC - 1)

struct timer {
	struct timer *next;
	pid_t tid, tgid;	/* who has set it */
	bool is_fd;
	int id;			/* descriptor or timer id */
	int flags;		/* of the call */
	bool after;		/* a span: its end is a time of MONOTONIC or BOOTTIME */
	clockid_t clock;
	struct itimerspec at;	/* of the guest's clock */
	struct timespec host, host_interval;	/* of the host's: what it was set to */
};

struct timers {
	pthread_mutex_t lock;
	struct timer *first;
	unsigned count;

	int64_t distance;	/* of REALTIME from MONOTONIC; the rearming thread's */
};

static bool is_zero(const struct timespec *ts)
{
	return ts->tv_sec == 0 && ts->tv_nsec == 0;
}

/* A number behind a name in a file of /proc. */
static int proc_number(const char *path, const char *name, int base, long *ret)
{
	cleanup_free char *text = malloc(STATUS_BYTES);
	const char *at;

	if (!text)
		return -ENOMEM;
	if (host_read_file(AT_FDCWD, path, text, STATUS_BYTES) < 0)
		return -ESRCH;
	at = strstr(text, name);
	if (!at)
		return -ENOENT;
	*ret = strtol(at + strlen(name), NULL, base);
	return 0;
}

/* ---- the table ---------------------------------------------------------- */

/* Lock held. */
static struct timer *find(struct timers *t, pid_t tgid, bool is_fd, int id)
{
	struct timer *p = t->first;

	while (p && (p->tgid != tgid || p->is_fd != is_fd || p->id != id))
		p = p->next;
	return p;
}

static void forget_dead(struct timers *t)
{
	for (struct timer **pp = &t->first, *p; (p = *pp);) {
		if (host_call(SYS_kill, p->tgid, 0) != -ESRCH) {
			pp = &p->next;
			continue;
		}
		*pp = p->next;
		free(p);
		t->count--;
	}
}

static void remember(struct kernel *k, const struct timer *what)
{
	struct timers *t = k->time->timers;
	struct timer *p;

	pthread_mutex_lock(&t->lock);
	p = find(t, what->tgid, what->is_fd, what->id);
	if (!p && t->count >= MAX_TIMERS)
		forget_dead(t);
	if (!p && t->count < MAX_TIMERS) {
		p = calloc(1, sizeof(*p));
		if (p) {
			p->next = t->first;
			t->first = p;
			t->count++;
		}
	}
	if (p) {
		struct timer *next = p->next;

		*p = *what;
		p->next = next;
	}
	pthread_mutex_unlock(&t->lock);
}

/* ---- what a timer is set to --------------------------------------------- */

/* Can the host make anything of it? It says so itself, if not. */
static bool is_valid(const struct itimerspec *it)
{
	return it->it_value.tv_sec >= 0 && it->it_value.tv_nsec >= 0 &&
	       it->it_value.tv_nsec < (long)NSEC_PER_SEC && it->it_interval.tv_sec >= 0 &&
	       it->it_interval.tv_nsec >= 0 && it->it_interval.tv_nsec < (long)NSEC_PER_SEC;
}

/* A timer that was set to a span of time is set to where that ends. */
static void make_absolute(struct kernel *k, struct timer *t)
{
	struct timespec now;
	int64_t ns;

	if ((t->flags & TIMER_ABSTIME) || timekeeper_read(k->time, t->clock, &now) < 0)
		return;
	/* A clock that is set does not move what was set to a span. */
	t->after = true;
	timekeeper_read(k->time, t->clock == CLOCK_BOOTTIME ? CLOCK_BOOTTIME : CLOCK_MONOTONIC, &now);
	if (t->at.it_value.tv_sec > NEVER_SEC - now.tv_sec ||
	    __builtin_add_overflow(timespec_ns(&now), timespec_ns(&t->at.it_value), &ns))
		ns = INT64_MAX;
	t->at.it_value = timespec_of(ns);
}

/* The host's clock that a timer of this clock runs by: the one of its name. */
static int to_host(struct kernel *k, const struct timer *t, struct itimerspec *ret,
		   uint64_t *changes)
{
	struct deadline d = { .clock = t->clock, .host = t->clock, .at = t->at.it_value };

	if (t->after)
		d.clock = t->clock == CLOCK_BOOTTIME ? CLOCK_BOOTTIME : CLOCK_MONOTONIC;
	if (d.host == CLOCK_REALTIME_ALARM)
		d.host = CLOCK_REALTIME;
	if (d.host == CLOCK_BOOTTIME_ALARM)
		d.host = CLOCK_BOOTTIME;
	ret->it_interval = deadline_span(k, &t->at.it_interval);
	return deadline_to_host(k, &d, &ret->it_value, changes);
}

/* A descriptor in our time namespace: its monotonic clocks are not the guest's. */
static struct timespec in_our_namespace(const struct kernel *k, clockid_t clock, struct timespec ts)
{
	int64_t by = clock == CLOCK_MONOTONIC ? k->time->monotonic_offset_ns :
		     clock == CLOCK_BOOTTIME || clock == CLOCK_BOOTTIME_ALARM ?
						k->time->boottime_offset_ns : 0;
	int64_t ns;

	if (!by || ts.tv_sec > INT64_MAX / (int64_t)NSEC_PER_SEC - 2)
		return ts;
	ns = MAX(timespec_ns(&ts) - by, 1);
	return timespec_of(ns);
}

/* Spans of the host's as the guest's: what is left of a timer, and its interval. */
static void in_guest_time(struct kernel *k, struct itimerspec *it)
{
	struct timespec *part[] = { &it->it_value, &it->it_interval };

	for (size_t i = 0; i < ARRAY_SIZE(part); i++) {
		bool any = !is_zero(part[i]);
		int64_t ns = timekeeper_guest_span(k->time, timespec_ns(part[i]));

		/* 0 would say that it is disarmed. */
		ns = MAX(ns, any);
		*part[i] = timespec_of(ns);
	}
}

/* ---- timerfd ------------------------------------------------------------ */

/* Which clock has this timerfd of ours? -EINVAL: it is none. */
static int fd_clock(int fd, clockid_t *ret)
{
	char path[48];
	long clock;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (proc_number(path, "\nclockid:", 10, &clock) < 0)
		return -EINVAL;
	*ret = clock;
	return 0;
}

static int set_fd(struct kernel *k, int fd, struct timer *t, struct itimerspec *old)
{
	struct itimerspec host;
	uint64_t changes;
	int ret;

	do {
		ret = to_host(k, t, &host, &changes);
		if (ret < 0)
			return ret;
		t->host = host.it_value;
		t->host_interval = host.it_interval;
		host.it_value = in_our_namespace(k, t->clock, host.it_value);
		ret = host_result(timerfd_settime(fd, t->flags | TFD_TIMER_ABSTIME, &host, old));
	} while (ret == 0 && timekeeper_changes(k->time) != changes);
	return ret;
}

long sys_timerfd_settime(struct kernel *k, struct call *c)
{
	struct timer t = { .tid = c->tid, .is_fd = true, .id = arg_int(c, 0),
			   .flags = arg_int(c, 1) };
	cleanup_fd int fd = -1;
	struct itimerspec old;
	int ret;

	if (k->travel)
		return travel_sys_timerfd(k, c);
	if (!k->time || deadline_read(k, c, 2, &t.at, sizeof(t.at)) < 0 || !is_valid(&t.at) ||
	    is_zero(&t.at.it_value))
		return call_continue(c, "a timer that is disarmed, or no timer at all: the host says so");
	t.tgid = caller_tgid(c->tid);
	fd = caller_fd(c->tid, t.tgid, t.id);
	if (!call_valid(c))
		return -ESRCH;
	if (fd < 0 || fd_clock(fd, &t.clock) < 0)
		return call_continue(c, "no timer that we could set: the host says so, or sets it by its own clock");
	make_absolute(k, &t);
	/* Before it is set: a change of the clocks in between sets it again. */
	remember(k, &t);
	ret = set_fd(k, fd, &t, &old);
	if (ret < 0)
		return ret;
	remember(k, &t);
	in_guest_time(k, &old);
	return c->arg[3] && arg_copy_out(c, 3, &old, sizeof(old)) < 0 ? -EFAULT : 0;
}

long sys_timerfd_gettime(struct kernel *k, struct call *c)
{
	/* Where the clocks travel, the host's is set to what is left (travel_timer.h). */
	cleanup_fd int fd = k->time && !k->travel ? caller_fd(c->tid, caller_tgid(c->tid), arg_int(c, 0)) : -EBADF;
	struct itimerspec it;

	if (fd < 0 || !call_valid(c) || host_result(timerfd_gettime(fd, &it)) < 0)
		return call_continue(c, "no timer that we can look at: the host says so, or shows its own time");
	in_guest_time(k, &it);
	return arg_copy_out(c, 1, &it, sizeof(it));
}

/* ---- POSIX timers ------------------------------------------------------- */

/* "ID: 3", then some lines, then "ClockID: 0". */
static int timer_clock(pid_t tid, int id, clockid_t *ret)
{
	cleanup_free char *text = malloc(STATUS_BYTES);
	char path[48], want[32];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/timers", tid);
	snprintf(want, sizeof(want), "ID: %d\n", id);
	if (!text || host_read_file(AT_FDCWD, path, text, STATUS_BYTES) < 0)
		return -ENOENT;
	at = strstr(text, want);
	/* "ClockID: 0" ends like an "ID: 0". */
	while (at && at != text && at[-1] != '\n')
		at = strstr(at + 1, want);
	at = at ? strstr(at, "\nClockID:") : NULL;
	if (!at)
		return -EINVAL;
	*ret = strtol(at + sizeof("\nClockID:") - 1, NULL, 10);
	return 0;
}

long sys_timer_settime(struct kernel *k, struct call *c)
{
	struct timer t = { .tid = c->tid, .id = arg_int(c, 0), .flags = arg_int(c, 1) };
	struct itimerspec host;
	uint64_t changes;
	long ret;

	struct redirect_how how = { .finish = FINISH_NONE }, *changed = NULL;

	if (!k->time || deadline_read(k, c, 2, &t.at, sizeof(t.at)) < 0 || !is_valid(&t.at) ||
	    is_zero(&t.at.it_value) || timer_clock(c->tid, t.id, &t.clock) < 0)
		return call_continue(c, "a timer that is disarmed, or of no clock of the guest's: the host's business");
	make_absolute(k, &t);
	if (to_host(k, &t, &host, &changes) < 0)
		return call_continue(c, "a clock that is not the guest's: the host's business");
	if (t.after) {
		how.change[0].what = PUT_ONE;	/* TIMER_ABSTIME */
		how.change[0].reg = BACK_RSI;
		changed = &how;
	}
	if (c->arg[3] && k->cfg->policy->clock.waits == WAITS_ALL) {
		how.change[1].what = PUT_SLOT;
		how.change[1].reg = how.out = BACK_R10;
		how.finish = FINISH_ITIMERSPEC;
		changed = &how;
	}
	t.tgid = caller_tgid(c->tid);
	t.host = host.it_value;
	t.host_interval = host.it_interval;
	if (!call_valid(c))
		return -ESRCH;
	remember(k, &t);
	ret = deadline_set(k, c, BACK_RDX, changed, (const int64_t *)&host, sizeof(host) / sizeof(int64_t));
	if (timekeeper_changes(k->time) != changes)
		deadlines_changed(k);
	return ret;
}

long sys_timer_gettime(struct kernel *k, struct call *c)
{
	static const struct redirect_how how = { .finish = FINISH_ITIMERSPEC, .out = BACK_RSI };
	static const int64_t nothing[4];

	if (!k->time)
		return call_continue(c, "the clocks are the host's");
	return deadline_set(k, c, BACK_RSI, &how, nothing, ARRAY_SIZE(nothing));
}

/* ---- changes ------------------------------------------------------------ */

/* A timer that repeats is as many times further as it has rung: it is to ring
 * next at host time @next. */
static void go_on(struct timer *t, int64_t next)
{
	int64_t every = timespec_ns(&t->at.it_interval), host = timespec_ns(&t->host_interval), rang, ns;

	if (!every || !host)
		return;
	rang = (next - timespec_ns(&t->host) + host / 2) / host;
	ns = timespec_ns(&t->at.it_value) + MAX(rang, 0) * every;
	t->at.it_value = timespec_of(ns);
}

/* When it rings next, by the host's clock of its name and in the guest's time
 * namespace, if this much is left. */
static int64_t rings_at(struct kernel *k, const struct timer *t, const struct timespec *left)
{
	return (int64_t)host_clock(t->clock) + timespec_ns(left) +
	       (t->clock == CLOCK_MONOTONIC ? k->time->monotonic_offset_ns :
		t->clock == CLOCK_BOOTTIME ? k->time->boottime_offset_ns : 0);
}

/* Has REALTIME been set since the last look? It is a different distance from
 * MONOTONIC then; what it is tuned by from one change to the next is less. */
static bool clock_was_set(struct kernel *k)
{
	struct timers *t = k->time->timers;
	int64_t was = t->distance, is;
	struct timespec real, mono;

	timekeeper_read(k->time, CLOCK_REALTIME, &real);
	timekeeper_read(k->time, CLOCK_MONOTONIC, &mono);
	is = timespec_ns(&real) - timespec_ns(&mono);
	t->distance = is;
	return is < was - SET_NS || is > was + SET_NS;
}

/* TFD_TIMER_CANCEL_ON_SET: whoever waits for it is told, by its ringing. That
 * read(2) says ECANCELED is the host's alone to do. */
static void cancel_fd(int fd)
{
	struct itimerspec now = { .it_value.tv_nsec = 1 };

	timerfd_settime(fd, TFD_TIMER_ABSTIME, &now, NULL);
}

static void rearm_fd(struct kernel *k, struct timer *t, bool was_set)
{
	cleanup_fd int fd = caller_fd(t->tgid, t->tgid, t->id);
	struct itimerspec is;
	clockid_t clock;

	if (fd < 0 || fd_clock(fd, &clock) < 0 || clock != t->clock ||
	    host_result(timerfd_gettime(fd, &is)) < 0 || is_zero(&is.it_value))
		return;
	if (was_set && (t->flags & TFD_TIMER_CANCEL_ON_SET) &&
	    (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM)) {
		cancel_fd(fd);
		return;
	}
	go_on(t, rings_at(k, t, &is.it_value));
	if (set_fd(k, fd, t, NULL) == 0)
		remember(k, t);
}

static void rearm_posix(struct kernel *k, struct timer *t)
{
	uint64_t get[6] = { t->id }, set[6] = { t->id, TIMER_ABSTIME };
	struct itimerspec is = {}, host;
	pid_t tid = caller_tgid(t->tid) == t->tgid ? t->tid : t->tgid;
	int64_t ret;

	if (redirect_inject(k, tid, SYS_timer_gettime, get, 1, &is, &ret) < 0 || ret < 0 ||
	    is_zero(&is.it_value))
		return;
	go_on(t, rings_at(k, t, &is.it_value));
	if (to_host(k, t, &host, NULL) < 0)
		return;
	t->host = host.it_value;
	t->host_interval = host.it_interval;
	if (redirect_inject(k, tid, SYS_timer_settime, set, 2, &host, &ret) == 0)
		remember(k, t);
}

void timers_rearm(struct kernel *k)
{
	struct timers *t = k->time->timers;
	cleanup_free struct timer *all = NULL;
	bool was_set = clock_was_set(k);
	unsigned n = 0;

	/* A copy: setting takes its time. */
	pthread_mutex_lock(&t->lock);
	forget_dead(t);
	all = calloc(t->count ? t->count : 1, sizeof(*all));
	for (struct timer *p = t->first; p && all; p = p->next)
		all[n++] = *p;
	pthread_mutex_unlock(&t->lock);
	for (unsigned i = 0; i < n; i++) {
		if (all[i].is_fd)
			rearm_fd(k, &all[i], was_set);
		else
			rearm_posix(k, &all[i]);
	}
}

int timers_init(struct kernel *k)
{
	struct timers *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	k->time->timers = t;
	clock_was_set(k);
	return 0;
}
