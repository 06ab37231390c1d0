/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_travel.c - timers of a guest whose clocks travel, as the guest sets them
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#include "kernel/cleanup.h"
#include "kernel/hostproc.h"
#include "kernel/syscall.h"
#include "kernel/time/timekeeper.h"
#include "kernel/travel/sys_travel.h"
#include "kernel/travel/travel.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

static pid_t process_of(const struct call *c)
{
	struct hostproc_status st;

	return hostproc_status(c->tid, &st) == 0 ? st.pid : -ESRCH;
}

/* ---- timerfd ------------------------------------------------------------- */

static bool nanoseconds(const struct timespec *ts, uint64_t *ret)
{
	if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= (long)NSEC_PER_SEC ||
	    ts->tv_sec >= (time_t)(INT64_MAX / NSEC_PER_SEC))
		return false;
	*ret = ts->tv_sec * NSEC_PER_SEC + ts->tv_nsec;
	return true;
}

/* The clock that a timerfd was made for, from a descriptor of ours. */
static int timerfd_clock(int fd, enum vclock *ret)
{
	char path[40], text[512], *line;
	int id;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -EINVAL;
	line = strstr(text, "clockid:");
	id = line ? strtol(line + strlen("clockid:"), NULL, 10) : -1;
	if (id < 0 || id > 9)
		return -EINVAL;
	*ret = vclock_of_id(id);
	return 0;
}

/* What is left, of a time that may be absolute. */
static bool value_of(const struct itimerspec *it, bool absolute, uint64_t now,
		     struct timer_value *ret)
{
	uint64_t ns;

	if (!nanoseconds(&it->it_value, &ns) || !nanoseconds(&it->it_interval, &ret->interval_ns))
		return false;
	/* 0 is not set; a time that is past is due at once. */
	if (ns && absolute)
		ns = ns > now ? ns - now : 1;
	ret->left_ns = ns;
	return true;
}

/* Set the host's to what is left. Return: 0 with what it was, or why not. */
static int set_host(int file, const struct timer_value *v, struct itimerspec *old)
{
	struct itimerspec it = {
		.it_value = timespec_of(v->left_ns),
		.it_interval = timespec_of(v->interval_ns),
	};

	return host_result(timerfd_settime(file, 0, &it, old));
}

static int get_file(struct call *c, pid_t *ret_pid)
{
	cleanup_fd int pidfd = -1;
	int file;

	*ret_pid = process_of(c);
	pidfd = *ret_pid < 0 ? *ret_pid : host_pidfd_open(*ret_pid, 0);
	if (pidfd < 0)
		return pidfd;
	file = host_pidfd_getfd(pidfd, arg_int(c, 0));
	if (file >= 0 && !call_valid(c)) {
		close(file);
		return -ESRCH;
	}
	return file;
}

long travel_sys_timerfd(struct kernel *k, struct call *c)
{
	unsigned flags = arg_u32(c, 1);
	uint64_t now[NUM_VCLOCKS];
	struct itimerspec it, old;
	struct timer_value v;
	enum vclock clock;
	int file, ret;
	pid_t pid;

	if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) ||
	    arg_copy_in(c, 2, &it, sizeof(it)) < 0)
		return call_continue(c, "a timer of the task's own, set as natively");
	file = get_file(c, &pid);
	if (file < 0)
		return call_continue(c, "a timer of the task's own, set as natively");
	timekeeper_now(k->time, now);
	if (timerfd_clock(file, &clock) < 0 ||
	    !value_of(&it, flags & TFD_TIMER_ABSTIME, now[clock], &v)) {
		close(file);
		return call_continue(c, "a timer of the task's own, set as natively");
	}
	ret = set_host(file, &v, &old);
	if (ret < 0) {
		close(file);
		return ret;
	}
	travel_timerfd(k, pid, arg_int(c, 0), file, clock, &v, now);
	if (c->arg[3] && arg_copy_out(c, 3, &old, sizeof(old)) < 0)
		return -EFAULT;
	return 0;
}

/* ---- ITIMER_REAL ---------------------------------------------------------- */

static bool from_timeval(const struct timeval *tv, uint64_t *ret)
{
	if (tv->tv_sec < 0 || tv->tv_usec < 0 || tv->tv_usec >= 1000000)
		return false;
	*ret = MIN((uint64_t)tv->tv_sec, INT64_MAX / NSEC_PER_SEC - 1) * NSEC_PER_SEC +
	       tv->tv_usec * UINT64_C(1000);
	return true;
}

static struct itimerval to_itimerval(const struct timer_value *v)
{
	return (struct itimerval){
		.it_value = { v->left_ns / NSEC_PER_SEC, v->left_ns % NSEC_PER_SEC / 1000 },
		.it_interval = { v->interval_ns / NSEC_PER_SEC, v->interval_ns % NSEC_PER_SEC / 1000 },
	};
}

long travel_sys_setitimer(struct kernel *k, struct call *c)
{
	struct timer_value new = {}, old;
	struct itimerval it = {};
	pid_t pid;
	int ret;

	/* No value at all disarms it. */
	ret = c->arg[1] ? arg_copy_in(c, 1, &it, sizeof(it)) : 0;
	if (ret < 0)
		return ret;
	if (!from_timeval(&it.it_value, &new.left_ns) ||
	    !from_timeval(&it.it_interval, &new.interval_ns))
		return -EINVAL;
	pid = process_of(c);
	ret = pid < 0 ? pid : travel_itimer(k, pid, &new, &old);
	if (ret < 0)
		return ret;
	it = to_itimerval(&old);
	return c->arg[2] ? arg_copy_out(c, 2, &it, sizeof(it)) : 0;
}

long travel_sys_getitimer(struct kernel *k, struct call *c)
{
	struct timer_value old;
	struct itimerval it;
	pid_t pid;
	int ret;

	pid = process_of(c);
	ret = pid < 0 ? pid : travel_itimer(k, pid, NULL, &old);
	if (ret < 0)
		return ret;
	it = to_itimerval(&old);
	return arg_copy_out(c, 1, &it, sizeof(it));
}

/* Seconds are rounded to the nearest, but never to "none was set". */
long travel_sys_alarm(struct kernel *k, struct call *c)
{
	struct timer_value new = { .left_ns = arg_u32(c, 0) * NSEC_PER_SEC }, old;
	uint64_t sec;
	pid_t pid;
	int ret;

	pid = process_of(c);
	ret = pid < 0 ? pid : travel_itimer(k, pid, &new, &old);
	if (ret < 0)
		return ret;
	sec = old.left_ns / NSEC_PER_SEC;
	if (old.left_ns % NSEC_PER_SEC >= NSEC_PER_SEC / 2 || (sec == 0 && old.left_ns))
		sec++;
	return sec;
}
