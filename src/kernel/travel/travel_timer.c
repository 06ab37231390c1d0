/* SPDX-License-Identifier: Apache-2.0 */
/*
 * travel_timer.c - timers of a guest whose clocks travel
 */
#include "kernel/travel/travel_timer.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/timerfd.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

/* A timerfd with less left is let go off by itself: setting it at that moment
 * could lose that it has. */
#define CLOSE_NS 1000000

struct travel_timer {
	struct travel_timer *next;
	pid_t pid;
	int pidfd;
	int file, fd;		/* of a timerfd: ours, the process's; else -1 */
	enum vclock clock;
	uint64_t at_ns, interval_ns;
};

void travel_timers_init(struct travel_timers *ts)
{
	*ts = (struct travel_timers){};
	pthread_mutex_init(&ts->lock, NULL);
}

/* All below: lock held. */

static void remove_timer(struct travel_timers *ts, struct travel_timer **pp)
{
	struct travel_timer *t = *pp;

	*pp = t->next;
	ts->n--;
	if (t->file >= 0) {
		close(t->file);
		ts->nfds--;
	}
	close(t->pidfd);
	free(t);
}

/* Are two descriptors of ours the same file? Where the host cannot say (no
 * CONFIG_KCMP), yes. */
static bool same_file(int a, int b)
{
	long ret = host_call(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b);

	return ret == 0 || ret == -ENOSYS || ret == -EPERM;
}

static bool is_gone(const struct travel_timer *t)
{
	struct pollfd p = { .fd = t->pidfd, .events = POLLIN };
	cleanup_fd int theirs = -1;

	if (poll(&p, 1, 0) == 1)
		return true;
	if (t->file < 0)
		return false;
	theirs = host_pidfd_getfd(t->pidfd, t->fd);
	return theirs < 0 || !same_file(theirs, t->file);
}

static void forget_gone(struct travel_timers *ts)
{
	for (struct travel_timer **pp = &ts->first; *pp;) {
		if (is_gone(*pp))
			remove_timer(ts, pp);
		else
			pp = &(*pp)->next;
	}
}

/* The entry of a process's ITIMER_REAL, or of a file. */
static struct travel_timer **find(struct travel_timers *ts, pid_t pid, int file)
{
	struct travel_timer **pp = &ts->first;

	while (*pp && !(file >= 0 ? (*pp)->file >= 0 && same_file((*pp)->file, file) :
				    (*pp)->file < 0 && (*pp)->pid == pid && !is_gone(*pp)))
		pp = &(*pp)->next;
	return pp;
}

static int add(struct travel_timers *ts, pid_t pid, struct travel_timer **ret)
{
	struct travel_timer *t;

	if (ts->n >= TRAVEL_TIMERS_MAX)
		forget_gone(ts);
	if (ts->n >= TRAVEL_TIMERS_MAX)
		return -ENOSPC;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->pidfd = host_pidfd_open(pid, 0);
	if (t->pidfd < 0) {
		int err = t->pidfd;

		free(t);
		return err;
	}
	t->pid = pid;
	t->file = t->fd = -1;
	t->next = ts->first;
	ts->first = t;
	ts->n++;
	*ret = t;
	return 0;
}

static uint64_t left(const struct travel_timer *t, const uint64_t now[NUM_VCLOCKS])
{
	return t->at_ns > now[t->clock] ? t->at_ns - now[t->clock] : 0;
}

static void put_value(struct travel_timer *t, const struct timer_value *v, const uint64_t now[NUM_VCLOCKS])
{
	/* What is beyond the end of time never comes. */
	if (__builtin_add_overflow(now[t->clock], v->left_ns, &t->at_ns))
		t->at_ns = UINT64_MAX;
	t->interval_ns = v->interval_ns;
}

/* It has gone off at its time. Return: does it do so again? */
static bool next_period(struct travel_timer *t, const uint64_t now[NUM_VCLOCKS])
{
	if (!t->interval_ns)
		return false;
	t->at_ns += ((now[t->clock] - t->at_ns) / t->interval_ns + 1) * t->interval_ns;
	return true;
}

/* ---- setting ------------------------------------------------------------- */

int travel_timers_set_fd(struct travel_timers *ts, pid_t pid, int fd, int file, enum vclock clock,
		  const struct timer_value *v, const uint64_t now_ns[NUM_VCLOCKS])
{
	struct travel_timer **pp, *t;
	int ret = 0;

	pthread_mutex_lock(&ts->lock);
	pp = find(ts, pid, file);
	if (*pp)
		remove_timer(ts, pp);
	if (v->left_ns && ts->nfds >= TRAVEL_TIMERS_MAX_FDS)
		ret = -ENOSPC;
	else if (v->left_ns)
		ret = add(ts, pid, &t);
	if (v->left_ns && ret == 0) {
		t->file = file;
		t->fd = fd;
		t->clock = clock;
		ts->nfds++;
		put_value(t, v, now_ns);
	} else {
		close(file);
	}
	pthread_mutex_unlock(&ts->lock);
	return ret;
}

int travel_timers_itimer(struct travel_timers *ts, pid_t pid, const struct timer_value *new,
		  struct timer_value *old, const uint64_t now_ns[NUM_VCLOCKS])
{
	struct travel_timer **pp, *t;
	int ret = 0;

	*old = (struct timer_value){};
	pthread_mutex_lock(&ts->lock);
	pp = find(ts, pid, -1);
	if (*pp)
		/* Due and not yet gone off: the least that is not "none". */
		*old = (struct timer_value){ MAX(left(*pp, now_ns), UINT64_C(1000)),
					     (*pp)->interval_ns };
	if (new && *pp)
		remove_timer(ts, pp);
	if (new && new->left_ns)
		ret = add(ts, pid, &t);
	if (new && new->left_ns && ret == 0) {
		t->clock = VCLOCK_MONOTONIC;
		put_value(t, new, now_ns);
	}
	pthread_mutex_unlock(&ts->lock);
	return ret;
}

/* ---- going off ------------------------------------------------------------ */

bool travel_timers_next(struct travel_timers *ts, const uint64_t now_ns[NUM_VCLOCKS], uint64_t *ret_left_ns)
{
	bool any = false;

	pthread_mutex_lock(&ts->lock);
	forget_gone(ts);
	for (struct travel_timer *t = ts->first; t; t = t->next) {
		if (!any || left(t, now_ns) < *ret_left_ns)
			*ret_left_ns = left(t, now_ns);
		any = true;
	}
	pthread_mutex_unlock(&ts->lock);
	return any;
}

bool travel_timers_fire(struct travel_timers *ts, const uint64_t now_ns[NUM_VCLOCKS])
{
	bool any = false;

	pthread_mutex_lock(&ts->lock);
	for (struct travel_timer **pp = &ts->first; *pp;) {
		struct travel_timer *t = *pp;

		if (t->at_ns > now_ns[t->clock]) {
			pp = &t->next;
			continue;
		}
		/* The host lets a timerfd go off. */
		if (t->file < 0)
			host_pidfd_kill(t->pidfd, SIGALRM);
		any = true;
		if (next_period(t, now_ns))
			pp = &t->next;
		else
			remove_timer(ts, pp);
	}
	pthread_mutex_unlock(&ts->lock);
	return any;
}

/* Set to what is left by the guest's clock, unless it has gone off or is about to. */
static void set_again(struct travel_timer *t, const uint64_t now[NUM_VCLOCKS])
{
	struct pollfd p = { .fd = t->file, .events = POLLIN };
	struct itimerspec it;

	if (poll(&p, 1, 0) != 0 || timerfd_gettime(t->file, &it) < 0 ||
	    (it.it_value.tv_sec == 0 && it.it_value.tv_nsec < CLOSE_NS))
		return;
	it.it_interval = timespec_of(t->interval_ns);
	it.it_value = timespec_of(MAX(left(t, now), UINT64_C(1)));
	timerfd_settime(t->file, 0, &it, NULL);
}

void travel_timers_leapt(struct travel_timers *ts, const uint64_t now_ns[NUM_VCLOCKS])
{
	pthread_mutex_lock(&ts->lock);
	for (struct travel_timer *t = ts->first; t; t = t->next)
		if (t->file >= 0)
			set_again(t, now_ns);
	pthread_mutex_unlock(&ts->lock);
}
