/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deadline.c - absolute waits on the guest's clocks
 *
 * Whoever waits is in a table, with the time that it waits for on the guest's
 * clock, until its slot is seen to be free. After a change of the clocks, one
 * thread goes through the table. A call that was translated just before the
 * change, and comes into the table after it, asks for another round by itself.
 */
#include "kernel/wait/deadline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/syscall.h"
#include "kernel/time/timekeeper.h"
#include "kernel/travel/travel.h"
#include "kernel/util.h"
#include "kernel/wait/sock_timeout.h"
#include "kernel/wait/timer.h"
#include "passthrough/hostcall.h"

#define REARM_STACK (256 * 1024)
#define BUCKETS 1024
#define MAX_WAITERS 65536	/* more are not re-armed */
#define NEVER_SEC (INT64_MAX / (int64_t)NSEC_PER_SEC - 1)
#define NEVER_NS (NEVER_SEC * (int64_t)NSEC_PER_SEC)
#define EARLIER_NS 50000	/* a deadline that moves by less, towards now, is left */

struct armed {
	struct armed *next;
	struct redirect where;
	struct deadline what;
	struct timespec host;	/* in the slot */
};

struct deadlines {
	pthread_mutex_t lock;	/* the fields below */
	pthread_cond_t wake;
	uint64_t asked, done;	/* rounds */
	enum what { YOUNG, TIMERS, ALL } what;	/* of the next: what there is to look at */
	struct armed *bucket[BUCKETS];
	unsigned count;
	struct event_source step;	/* the host's REALTIME was set */
};

/* ---- times -------------------------------------------------------------- */

/* A time of one clock of the host's on another. Rounded towards later: what is
 * late in the clock that is read first makes the distance longer. */
static int64_t on_clock(const struct timekeeper *t, int64_t ns, clockid_t from, clockid_t to)
{
	int64_t here, there;

	if (from == to)
		return ns;
	here = timekeeper_host_clock(t, from);
	there = timekeeper_host_clock(t, to);
	return __builtin_add_overflow(ns, there - here, &ns) ? INT64_MAX : ns;
}

/* Return: 0 with ns of at least 1, at most NEVER_NS; or -EINVAL. */
static int host_ns(struct kernel *k, const struct deadline *d, int64_t *ret, uint64_t *ret_changes)
{
	struct time_deadline t;
	int err = timekeeper_to_host(k->time, d->clock, &d->at, &t, ret_changes);
	int64_t ns;

	if (err < 0)
		return err;
	*ret = NEVER_NS;
	if (t.never || t.at.tv_sec >= NEVER_SEC)
		return 0;
	ns = on_clock(k->time, timespec_ns(&t.at), t.clock, d->span ? t.clock : d->host);
	if (d->span)
		ns -= timekeeper_host_clock(k->time, t.clock);
	*ret = MIN(MAX(ns, 1), NEVER_NS);
	return 0;
}

static struct timespec as_given(const struct deadline *d, int64_t ns)
{
	struct timespec ts = timespec_of(ns + (d->timeval ? 999 : 0));

	if (d->timeval)
		ts.tv_nsec /= 1000;
	return ts;
}

int deadline_to_host(struct kernel *k, const struct deadline *d, struct timespec *ret,
		     uint64_t *ret_changes)
{
	int64_t ns;
	int err = host_ns(k, d, &ns, ret_changes);

	if (err == 0)
		*ret = as_given(d, ns);
	return err;
}

struct timespec deadline_span(struct kernel *k, const struct timespec *span)
{
	uint64_t ns;

	if ((span->tv_sec == 0 && span->tv_nsec == 0) || span->tv_sec > NEVER_SEC)
		return *span;
	ns = MIN(timekeeper_span(k->time, timespec_ns(span)), (uint64_t)INT64_MAX);
	return timespec_of(ns);
}

struct timeval deadline_timeval(struct kernel *k, const struct timeval *span)
{
	struct timespec ts = { span->tv_sec, span->tv_usec * 1000 };
	int64_t us;

	ts = deadline_span(k, &ts);
	us = (ts.tv_nsec + 999) / 1000;
	return (struct timeval){ ts.tv_sec + us / 1000000, us % 1000000 };
}

/* ---- the table ---------------------------------------------------------- */

static struct armed **bucket_of(struct deadlines *d, pid_t tid)
{
	return &d->bucket[(unsigned)tid % BUCKETS];
}

/* A slot is one waiter's: what was in it before is over. Lock held. */
static struct armed *place_for(struct deadlines *d, const struct redirect *r)
{
	struct armed *w;

	for (w = *bucket_of(d, r->tid); w; w = w->next)
		if (w->where.tid == r->tid && w->where.slot == r->slot)
			return w;
	if (d->count == MAX_WAITERS)
		return NULL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->next = *bucket_of(d, r->tid);
	*bucket_of(d, r->tid) = w;
	d->count++;
	return w;
}

static void remember(struct deadlines *d, const struct redirect *r, const struct deadline *what,
		     const struct timespec *host)
{
	struct armed *w;

	pthread_mutex_lock(&d->lock);
	w = place_for(d, r);
	if (w) {
		w->where = *r;
		w->what = *what;
		w->host = *host;
	} else {
		/* A full table is a reason to look who is still there. */
		d->what = ALL;
		d->asked++;
		pthread_cond_signal(&d->wake);
	}
	pthread_mutex_unlock(&d->lock);
}

static void ask(struct kernel *k, enum what what)
{
	struct deadlines *d = k->time->deadlines;

	if (!d)
		return;
	pthread_mutex_lock(&d->lock);
	d->what = MAX(d->what, what);
	d->asked++;
	pthread_cond_signal(&d->wake);
	pthread_mutex_unlock(&d->lock);
}

void deadlines_changed(struct kernel *k)
{
	ask(k, ALL);
}

void deadlines_leapt(struct kernel *k)
{
	ask(k, TIMERS);
}

void deadlines_timers_young(struct kernel *k)
{
	ask(k, YOUNG);
}

bool deadlines_idle(struct kernel *k)
{
	struct deadlines *d = k->time->deadlines;
	bool ret;

	pthread_mutex_lock(&d->lock);
	ret = d->done == d->asked;
	pthread_mutex_unlock(&d->lock);
	return ret;
}

/* ---- calls -------------------------------------------------------------- */

static const int arg_of[NUM_VCLOCK_BACK] = {
	[BACK_RDI] = 0, [BACK_RSI] = 1, [BACK_RDX] = 2, [BACK_R10] = 3, [BACK_R8] = 4,
};

/*
 * May a guest whose clocks travel wait by the time that it has given the host
 * itself? The traveller ends a wait that is due, so it must only not be too early;
 * and a REALTIME that is set back must not make it so.
 */
static bool is_late_enough(const struct deadline *d, int64_t host)
{
	return (d->span || d->clock == CLOCK_MONOTONIC || d->clock == CLOCK_BOOTTIME) &&
	       d->given_ns >= host;
}

/* The traveller is to know of a wait with these registers. */
static bool note(struct kernel *k, struct call *c, int nr, const uint64_t arg[6],
		 const struct deadline *d)
{
	struct waiter w = { .tid = c->tid, .nr = nr, .over = d->over };

	memcpy(w.arg, arg, sizeof(w.arg));
	return travel_wait(k, &w, d->clock, timespec_ns(&d->at));
}

long deadline_wait(struct kernel *k, struct call *c, enum vclock_back back,
		   const struct redirect_how *how, const struct deadline *what)
{
	struct timespec host;
	uint64_t changes, arg[6];
	struct redirect r;
	int64_t ns;
	int ret;

	if (host_ns(k, what, &ns, &changes) < 0)
		return call_continue(c, "no time, or no clock of the guest's: the host says so");
	if (k->travel && is_late_enough(what, ns) && note(k, c, c->nr, c->arg, what))
		return call_continue(c, "the host's time-out is late enough, and the traveller knows of it");
	host = as_given(what, ns);
	ret = redirect_begin(k, c, back, &r);
	if (ret == -EAGAIN && how && how->nr)
		return call_continue(c, "it cannot be redirected, and waits by the host's clock");
	if (ret == -EAGAIN)
		return deadline_in_place(k, c, arg_of[back], (const int64_t *)&host, 2);
	c->reply = REPLY_SENT;
	atomic_fetch_add(&k->time->count.redirected, ret == 0);
	if (ret < 0)
		return 0;
	r.nr = how && how->nr ? how->nr : r.nr;
	/* Into the table first: a change that comes now finds it there. */
	remember(k->time->deadlines, &r, what, &host);
	if (k->travel) {
		redirect_args(&r, how, arg);
		note(k, c, r.nr, arg, what);
	}
	redirect_commit(k, &r, how, (const int64_t *)&host, 2);
	if (timekeeper_changes(k->time) != changes)
		deadlines_changed(k);
	return 0;
}

long deadline_set(struct kernel *k, struct call *c, enum vclock_back back,
		  const struct redirect_how *how, const struct deadline_begun *begun,
		  const int64_t *time, unsigned words)
{
	struct redirect r;
	int ret = redirect_begin(k, c, back, &r);

	if (begun && (ret == 0 || ret == -EAGAIN))
		begun->call(begun->ctx);
	if (ret == -EAGAIN && how)
		return call_continue(c, "it cannot be redirected, and goes by the host's clock");
	if (ret == -EAGAIN)
		return deadline_in_place(k, c, arg_of[back], time, words);
	c->reply = REPLY_SENT;
	atomic_fetch_add(&k->time->count.redirected, ret == 0);
	if (ret == 0)
		redirect_commit(k, &r, how, time, words);
	return 0;
}

/* ---- changes ------------------------------------------------------------ */

/* Is it worth the while? Never too late to be right: later always is. */
static bool moves(const struct armed *w, const struct timespec *host)
{
	int64_t by = timespec_ns(host) - timespec_ns(&w->host);

	return (w->what.span && by != 0) || by > 0 || by < -EARLIER_NS;
}

/* Return: is it still to be remembered? */
static bool rearm(struct kernel *k, struct armed *w)
{
	struct timespec host;
	int ret;

	if (deadline_to_host(k, &w->what, &host, NULL) < 0)
		return false;
	if (!moves(w, &host))
		return redirect_waits(k, &w->where);
	ret = redirect_change(k, &w->where, (const int64_t *)&host, 2);
	w->host = host;
	atomic_fetch_add(&k->time->count.moved, ret == 0);
	return ret != -ENOENT;
}

/* Take one bucket's waiters out, so that nobody waits for the lock meanwhile. */
static struct armed *take(struct deadlines *d, unsigned i)
{
	struct armed *all;

	pthread_mutex_lock(&d->lock);
	all = d->bucket[i];
	d->bucket[i] = NULL;
	pthread_mutex_unlock(&d->lock);
	return all;
}

/* Put one back, unless its slot has got another owner meanwhile. */
static void put_back(struct deadlines *d, struct armed *w, bool keep)
{
	struct armed *other;

	pthread_mutex_lock(&d->lock);
	for (other = *bucket_of(d, w->where.tid); other && keep; other = other->next)
		if (other->where.tid == w->where.tid && other->where.slot == w->where.slot)
			keep = false;
	if (keep) {
		w->next = *bucket_of(d, w->where.tid);
		*bucket_of(d, w->where.tid) = w;
	} else {
		free(w);
		d->count--;
	}
	pthread_mutex_unlock(&d->lock);
}

static void rearm_all(struct kernel *k)
{
	struct deadlines *d = k->time->deadlines;

	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct armed *w = take(d, i), *next; w; w = next) {
			next = w->next;
			put_back(d, w, rearm(k, w));
		}
}

static void change_all(struct kernel *k)
{
	rearm_all(k);
	sock_timeouts_again(k);
	if (k->travel)
		travel_clocks_changed(k);
}

static void *rearm_thread(void *arg)
{
	struct kernel *k = arg;
	struct deadlines *d = k->time->deadlines;

	pthread_mutex_lock(&d->lock);
	for (;;) {
		uint64_t round;
		enum what what;

		while (d->done == d->asked)
			pthread_cond_wait(&d->wake, &d->lock);
		round = d->asked;
		what = d->what;
		d->what = YOUNG;
		pthread_mutex_unlock(&d->lock);
		if (what == ALL)
			change_all(k);
		timers_rearm(k, what == YOUNG);
		pthread_mutex_lock(&d->lock);
		d->done = round;
	}
	return NULL;
}

/* ---- steps of the host's clock ------------------------------------------ */

/* A timer that never ends, and is cancelled when the host's REALTIME is set. */
static int watch_host(struct event_source *src)
{
	struct itimerspec never = { .it_value.tv_sec = NEVER_SEC };

	return host_result(timerfd_settime(src->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
					   &never, NULL));
}

/* A guest whose REALTIME is made from MONOTONIC waits by the host's REALTIME. */
static void on_step(struct kernel *k, struct event_source *src, uint32_t events)
{
	uint64_t n;

	host_result(read(src->fd, &n, sizeof(n)));
	watch_host(src);
	deadlines_changed(k);
}

int deadlines_init(struct kernel *k)
{
	struct deadlines *d = calloc(1, sizeof(*d));
	int ret;

	if (!d)
		return -ENOMEM;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->wake, NULL);
	k->time->deadlines = d;
	redirects_init(&k->time->redirects);
	ret = timers_init(k);
	if (ret == 0)
		ret = sock_timeouts_init(k);
	d->step = (struct event_source){
		.fd = host_result(timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK)),
		.name = "clock",
		.handler = on_step,
	};
	if (ret == 0)
		ret = d->step.fd < 0 ? d->step.fd : watch_host(&d->step);
	if (ret == 0)
		ret = event_add(&k->ev, &d->step, EPOLLIN);
	if (ret == 0)
		ret = host_thread(NULL, REARM_STACK, rearm_thread, k);
	k->time->changed = deadlines_changed;
	return ret;
}
