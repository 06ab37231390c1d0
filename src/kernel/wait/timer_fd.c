/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer_fd.c - timerfd, set and set again by a descriptor of ours
 *
 * No descriptor is kept. The file is found again by its number in the process
 * that has set it; if it is not there any more, since it was handed on, where
 * else in the guest it is (openfile.h).
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel/cleanup.h"
#include "kernel/syscall.h"
#include "kernel/time/timekeeper.h"
#include "kernel/travel/sys_travel.h"
#include "kernel/util.h"
#include "kernel/wait/deadline.h"
#include "kernel/wait/timer_impl.h"
#include "passthrough/hostcall.h"

/* Which clock has this timerfd of ours? -EINVAL: it is none. */
static int fd_clock(int fd, clockid_t *ret)
{
	char path[48];
	long clock;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (timer_proc_number(path, "\nclockid:", 10, &clock) < 0)
		return -EINVAL;
	*ret = clock;
	return 0;
}

/* A descriptor in our time namespace: its monotonic clocks are not the guest's. */
static struct timespec in_our_namespace(const struct kernel *k, clockid_t clock, struct timespec ts)
{
	int64_t by = timekeeper_host_offset(k->time, clock), ns;

	if (!by || ts.tv_sec > INT64_MAX / (int64_t)NSEC_PER_SEC - 2)
		return ts;
	ns = MAX(timespec_ns(&ts) - by, 1);
	return timespec_of(ns);
}

static int set_fd(struct kernel *k, int fd, struct timer *t, struct itimerspec *old)
{
	const struct timer was = *t;
	struct itimerspec host;
	uint64_t changes;
	int ret;

	do {
		*t = was;
		ret = timer_to_host(k, t, &host, &changes);
		if (ret < 0)
			return ret;
		host.it_value = in_our_namespace(k, t->clock, host.it_value);
		ret = host_result(timerfd_settime(fd, t->flags | TFD_TIMER_ABSTIME, &host, old));
	} while (ret == 0 && timekeeper_changes(k->time) != changes);
	return ret;
}

/* ---- the calls ----------------------------------------------------------- */

/* What we know of the file behind @fd, a descriptor of ours; a new reference. */
static void know_file(struct kernel *k, struct timer *t, int fd)
{
	struct timer known;

	if (timer_recall(k, TIMER_FD, t->tgid, t->id, &known)) {
		if (known.file && openfile_is(known.file, getpid(), fd)) {
			t->file = known.file;
			t->cancelled = known.cancelled;
			return;
		}
		openfile_put(known.file);
	}
	t->file = openfile_watch(fd);
}

/* Was it cancelled, and nobody has read it since? Setting it says so, and sets it
 * (timerfd_create(2), NOTES). */
static bool is_cancelled(const struct timer *t, int fd)
{
	const int flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return t->cancelled && (t->flags & flags) == flags && poll(&p, 1, 0) == 1;
}

long sys_timerfd_settime(struct kernel *k, struct call *c)
{
	struct timer t = { .kind = TIMER_FD, .tid = c->tid, .id = arg_int(c, 0), .flags = arg_int(c, 1) };
	cleanup_fd int fd = -1;
	struct itimerspec old;
	uint64_t changes;
	bool cancelled;
	int ret;

	if (k->travel)
		return travel_sys_timerfd(k, c);
	if (!k->time || deadline_read(k, c, 2, &t.at, sizeof(t.at)) < 0 || !timer_is_valid(&t.at) ||
	    is_zero(&t.at.it_value))
		return call_continue(c, "a timer that is disarmed, or no timer at all: the host says so");
	changes = timekeeper_changes(k->time);
	t.tgid = caller_tgid(c->tid);
	fd = caller_fd(c->tid, t.tgid, t.id);
	if (!call_valid(c))
		return -ESRCH;
	if (fd < 0 || fd_clock(fd, &t.clock) < 0)
		return call_continue(c, "no timer that we could set: the host says so, or sets it by its own clock");
	timer_make_absolute(k, &t);
	/* Not while it is set again. */
	pthread_mutex_lock(&k->time->timers->setting);
	know_file(k, &t, fd);
	cancelled = is_cancelled(&t, fd);
	t.cancelled = false;
	ret = set_fd(k, fd, &t, &old);
	if (ret == 0)
		timer_remember(k, &t);
	pthread_mutex_unlock(&k->time->timers->setting);
	openfile_put(t.file);
	if (timekeeper_changes(k->time) != changes)
		deadlines_changed(k);
	if (ret < 0)
		return ret;
	timer_in_guest_time(k, &old);
	if (c->arg[3] && arg_copy_out(c, 3, &old, sizeof(old)) < 0)
		return -EFAULT;
	return cancelled ? -ECANCELED : 0;
}

long sys_timerfd_gettime(struct kernel *k, struct call *c)
{
	/* Where the clocks travel, the host's is set to what is left (travel_timer.h). */
	cleanup_fd int fd = k->time && !k->travel ? caller_fd(c->tid, caller_tgid(c->tid), arg_int(c, 0)) : -EBADF;
	struct itimerspec it;

	if (fd < 0 || !call_valid(c) || host_result(timerfd_gettime(fd, &it)) < 0)
		return call_continue(c, "no timer that we can look at: the host says so, or shows its own time");
	timer_in_guest_time(k, &it);
	return arg_copy_out(c, 1, &it, sizeof(it));
}

/* ---- where it is now ------------------------------------------------------ */

struct timer_fds {
	bool looked;
	unsigned n, room;
	struct place {
		pid_t pid, tid;
		int fd;
	} *at;
};

struct timer_fds *timer_fds_new(void)
{
	return calloc(1, sizeof(struct timer_fds));
}

void timer_fds_free(struct timer_fds *fds)
{
	if (fds)
		free(fds->at);
	free(fds);
}

static void note_timerfd(void *ctx, pid_t pid, pid_t tid, int fd, const char *what)
{
	struct timer_fds *fds = ctx;

	if (!streq(what, "anon_inode:[timerfd]"))
		return;
	if (fds->n == fds->room) {
		unsigned room = fds->room ? fds->room * 2 : 64;
		struct place *at = realloc(fds->at, room * sizeof(*at));

		if (!at)
			return;
		fds->at = at;
		fds->room = room;
	}
	fds->at[fds->n++] = (struct place){ pid, tid, fd };
}

/* It is not where it was set: whoever has it is the one to ask from now on. */
static int find_elsewhere(struct kernel *k, struct timer *t, struct timer_fds *fds)
{
	if (!fds || !openfile_is_open(t->file))
		return -ENOENT;
	if (!fds->looked)
		openfile_walk(k, note_timerfd, fds);
	fds->looked = true;
	for (unsigned i = 0; i < fds->n; i++) {
		if (!openfile_is(t->file, fds->at[i].tid, fds->at[i].fd))
			continue;
		timer_move(k, t, fds->at[i].pid, fds->at[i].fd);
		return caller_fd(fds->at[i].tid, t->tgid, t->id);
	}
	return -ENOENT;
}

/* A descriptor of ours on the file of a timer that is remembered. */
static int get_fd(struct kernel *k, struct timer *t, struct timer_fds *fds)
{
	cleanup_fd int fd = t->tgid ? caller_fd(t->tgid, t->tgid, t->id) : -ESRCH;
	clockid_t clock;

	if (fd >= 0 && (!t->file || openfile_is(t->file, getpid(), fd)))
		return fd_clock(fd, &clock) == 0 && clock == t->clock ? take_fd(&fd) : -ENOENT;
	return t->file ? find_elsewhere(k, t, fds) : -ENOENT;
}

/* ---- changes ------------------------------------------------------------- */

static bool is_to_cancel(const struct timer *t)
{
	return (t->flags & TFD_TIMER_CANCEL_ON_SET) &&
	       (t->clock == CLOCK_REALTIME || t->clock == CLOCK_REALTIME_ALARM);
}

static void rearm(struct kernel *k, struct timer *t, bool was_set, int fd)
{
	int64_t before = timer_host_now(k, t);
	struct itimerspec is;

	if (host_result(timerfd_gettime(fd, &is)) < 0 || is_zero(&is.it_value) ||
	    !timer_is_as_set(t, before, timer_host_now(k, t), &is.it_value))
		return;
	if (was_set && is_to_cancel(t) && !timer_cancel(k, t, fd)) {
		t->cancelled = true;
		timer_update(k, t);
	} else if (set_fd(k, fd, t, NULL) == 0) {
		timer_update(k, t);
	}
}

void timer_rearm_fd(struct kernel *k, struct timer *t, bool was_set, struct timer_fds *fds)
{
	cleanup_fd int fd = get_fd(k, t, fds);

	if (fd < 0)
		return;
	pthread_mutex_lock(&k->time->timers->setting);
	if (timer_is_current(k, t))
		rearm(k, t, was_set, fd);
	pthread_mutex_unlock(&k->time->timers->setting);
}
