/* SPDX-License-Identifier: Apache-2.0 */
/*
 * travel.c - the guest's clocks go to the next deadline while all sleep
 */
#include "kernel/travel/travel.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/kernel.h"
#include "kernel/log.h"
#include "kernel/sched.h"
#include "kernel/time/timekeeper.h"
#include "kernel/travel/quiet.h"
#include "kernel/util.h"
#include "kernel/wait/deadline.h"
#include "kernel/wait/timer.h"
#include "passthrough/hostcall.h"

#define TRAVELLER_STACK (256 * 1024)
/* Of the host's. A guest that is awake is looked at less and less often; one that
 * began to wait falls asleep within LOOK_MIN_NS. */
#define LOOK_MIN_NS 50000
#define LOOK_MAX_NS 20000000
/* Of the guest's: a wait that no leap has shortened is the host's to end. */
#define GRACE_NS 5000000

/* How long until a wait is over, by the guest's clock. */
static uint64_t left_ns(const struct agenda *a, const struct waiter *w)
{
	return w->at_ns > a->now[w->clock] ? w->at_ns - a->now[w->clock] : 0;
}

static int by_left(const void *x, const void *y, void *agenda)
{
	const struct waiter *v = x, *w = y;
	uint64_t a = left_ns(agenda, v), b = left_ns(agenda, w);

	if (a != b)
		return a < b ? -1 : 1;
	return v->serial < w->serial ? -1 : v->serial > w->serial;
}

/* What is waited for now, the first to end first. */
static void gather(struct kernel *k, struct agenda *a)
{
	uint64_t posix;

	free(a->waiter);
	a->waiter = NULL;
	a->n = MAX(waiters_copy(&k->travel->waiters, &a->waiter), 0);
	timekeeper_now(k->time, a->now);
	a->timer = travel_timers_next(&k->travel->timers, a->now, &a->timer_left_ns);
	if (timers_next(k, a->now, &posix)) {
		a->timer_left_ns = a->timer ? MIN(a->timer_left_ns, posix) : posix;
		a->timer = true;
	}
	if (a->n)
		qsort_r(a->waiter, a->n, sizeof(*a->waiter), by_left, a);
}

/* ---- due ---------------------------------------------------------------- */

static bool is_due(struct kernel *k, const struct agenda *a, const struct waiter *w)
{
	uint64_t grace = w->leaps == atomic_load(&k->travel->leaps) ? GRACE_NS : 0;

	return a->now[w->clock] >= w->at_ns && a->now[w->clock] - w->at_ns >= grace;
}

/* As waiter_look(). One who is stopped on its way into the call does not wait yet. */
static int look(struct kernel *k, const struct waiter *w)
{
	bool idle = redirects_idle(k);
	int ret = waiter_look(w);

	return ret == 0 && !idle ? -EAGAIN : ret;
}

/* Return: is it over? It is not while a debugger of the guest's has the thread. */
static bool end_one(struct kernel *k, const struct waiter *w)
{
	struct travel *t = k->travel;
	int ret = look(k, w);

	if (ret > 0)
		ret = waiter_end(k, &t->waiters, w);
	if (ret == -EPERM || ret == -EAGAIN)
		return false;
	atomic_fetch_add(&t->ended, ret > 0);
	waiters_drop(&t->waiters, w);
	return true;
}

/* Return: was there any? */
static bool end_due(struct kernel *k, struct agenda *a)
{
	bool any = travel_timers_fire(&k->travel->timers, a->now);

	for (int i = 0; i < a->n && left_ns(a, &a->waiter[i]) == 0; i++)
		if (is_due(k, a, &a->waiter[i]))
			any |= end_one(k, &a->waiter[i]);
	return any;
}

/* ---- leaps -------------------------------------------------------------- */

/* One that could not be ended may not be left behind. */
static bool is_held_back(struct kernel *k, const struct agenda *a)
{
	for (int i = 0; i < a->n; i++) {
		if (!quiet_traced(&a->quiet[0], a->waiter[i].tid))
			continue;
		if (atomic_fetch_add(&k->travel->held_back, 1) == 0)
			log_info("travel: no leaps while a debugger of the guest's has a task that waits");
		return true;
	}
	return false;
}

/* The first wait that is going on; those that are over are forgotten. Return: 1,
 * 0 if there is none, or negative if one before it may be. */
static int first_wait(struct kernel *k, struct agenda *a, const struct waiter **ret)
{
	for (int i = 0; i < a->n; i++) {
		int does = look(k, &a->waiter[i]);

		*ret = &a->waiter[i];
		if (does)
			return does;
		waiters_drop(&k->travel->waiters, &a->waiter[i]);
	}
	return 0;
}

bool travel_next(struct kernel *k, struct agenda *a, uint64_t *ret_left_ns)
{
	const struct waiter *w;
	int any = first_wait(k, a, &w);

	*ret_left_ns = any > 0 ? left_ns(a, w) : UINT64_MAX;
	if (a->timer)
		*ret_left_ns = MIN(*ret_left_ns, a->timer_left_ns);
	return any > 0 || (any == 0 && a->timer);
}

struct second_look {
	struct kernel *k;
	struct agenda *a;
};

static bool all_slept(void *ctx)
{
	struct second_look *l = ctx;

	return travel_all_slept(l->k, l->a);
}

static bool whatever(void *ctx)
{
	return true;
}

/* What was gathered before the first look, somebody may have added to since. */
bool travel_all_sleep(struct kernel *k, struct agenda *a)
{
	/* A wait whose task is just being let go of (redirect.h) is noted by then. */
	if (!quiet_look(k, &a->quiet[0]) || !redirects_idle(k) || !deadlines_idle(k))
		return false;
	gather(k, a);
	return !is_held_back(k, a);
}

bool travel_all_slept(struct kernel *k, struct agenda *a)
{
	/* Timers that are due are made to ring by another thread, after a leap. */
	return deadlines_idle(k) && quiet_since(k, &a->quiet[0], &a->quiet[1]);
}

bool travel_leap(struct kernel *k, struct agenda *a, uint64_t monotonic_ns, bool if_all_slept)
{
	struct travel *t = k->travel;
	struct second_look look = { k, a };
	uint64_t by;

	if (timekeeper_leap(k, monotonic_ns, if_all_slept ? all_slept : whatever, &look, &by) < 0)
		return false;
	if (by == 0)
		return true;
	atomic_fetch_add(&t->leaps, 1);
	atomic_fetch_add(&t->leapt_ns, by);
	timekeeper_now(k->time, a->now);
	travel_timers_leapt(&t->timers, a->now);
	deadlines_leapt(k);
	return true;
}

/* Return: did the clocks move? */
static bool leap(struct kernel *k, struct agenda *a)
{
	uint64_t before, left;

	if (!travel_all_sleep(k, a) || !travel_next(k, a, &left))
		return false;
	before = a->now[VCLOCK_MONOTONIC];
	return travel_leap(k, a, before + left, true) && a->now[VCLOCK_MONOTONIC] > before;
}

/* ---- the traveller ------------------------------------------------------ */

/* Of the host's, until the first wait is due by itself. */
static uint64_t until_due(struct kernel *k, const struct agenda *a)
{
	uint64_t left = a->timer ? a->timer_left_ns : UINT64_MAX;

	/* What is due already and could not be ended is tried again with time. */
	for (int i = 0; i < a->n; i++)
		if (left_ns(a, &a->waiter[i])) {
			left = MIN(left, left_ns(a, &a->waiter[i]));
			break;
		}
	return MAX(timekeeper_span(k->time, left), (uint64_t)LOOK_MIN_NS);
}

/* Return: did anything move? @ret_until: host ns until there is something to do
 * in any case; UINT64_MAX: not before we are prompted. */
static bool turn(struct kernel *k, struct agenda *a, uint64_t *ret_until)
{
	bool moved, step = lockstep_on(&k->travel->lockstep);

	gather(k, a);
	*ret_until = UINT64_MAX;
	if (a->n == 0 && !a->timer && !step)
		return false;
	moved = end_due(k, a);
	if (!moved && (step ? lockstep_turn(k, a) : leap(k, a))) {
		moved = true;
		end_due(k, a);
	}
	*ret_until = MIN(until_due(k, a), (uint64_t)LOOK_MAX_NS);
	return moved;
}

/* Lock held, and given back meanwhile. */
static void traveller_wait(struct travel *t, uint64_t ns)
{
	struct timespec ts = timespec_of(host_now() + ns);

	while (!t->prompt && !t->ending &&
	       pthread_cond_timedwait(&t->wake, &t->lock, &ts) == 0)
		;
}

static void *traveller(void *arg)
{
	struct kernel *k = arg;
	struct travel *t = k->travel;
	struct agenda a = {};
	uint64_t pause = LOOK_MIN_NS, until;
	bool moved;

	pthread_mutex_lock(&t->lock);
	while (!t->ending) {
		if (t->prompt)
			pause = LOOK_MIN_NS;
		t->prompt = false;
		pthread_mutex_unlock(&t->lock);
		moved = turn(k, &a, &until);
		pthread_mutex_lock(&t->lock);
		pause = moved ? LOOK_MIN_NS : MIN(pause * 2, (uint64_t)LOOK_MAX_NS);
		if (until == UINT64_MAX && !moved)
			while (!t->prompt && !t->ending)
				pthread_cond_wait(&t->wake, &t->lock);
		else
			traveller_wait(t, MIN(pause, until));
	}
	pthread_mutex_unlock(&t->lock);
	free(a.waiter);
	quiet_free(&a.quiet[0]);
	quiet_free(&a.quiet[1]);
	return NULL;
}

static void prompt(struct travel *t)
{
	pthread_mutex_lock(&t->lock);
	t->prompt = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
}

static void on_idle(struct kernel *k, bool idle, uint64_t since_ns)
{
	if (idle || lockstep_on(&k->travel->lockstep))
		prompt(k->travel);
}

static void on_news(void *travel)
{
	prompt(travel);
}

/* ---- for handlers -------------------------------------------------------- */

bool travel_wait(struct kernel *k, struct waiter *w, clockid_t id, uint64_t ns)
{
	struct travel *t = k->travel;

	w->clock = vclock_of_id(id == CLOCK_TAI ? CLOCK_REALTIME : id);
	w->leaps = atomic_load(&t->leaps);
	w->at_ns = ns;
	if (id == CLOCK_TAI)
		w->at_ns -= MIN(ns, k->time->timex.tai * NSEC_PER_SEC);
	if (waiters_add(&t->waiters, w) < 0)
		return false;
	atomic_fetch_add(&t->waits, 1);
	prompt(t);
	return true;
}

int travel_timerfd(struct kernel *k, pid_t pid, int fd, int file, enum vclock clock,
		   const struct timer_value *v, const uint64_t now_ns[NUM_VCLOCKS])
{
	int ret = travel_timers_set_fd(&k->travel->timers, pid, fd, file, clock, v, now_ns);

	if (ret == 0)
		prompt(k->travel);
	return ret;
}

int travel_itimer(struct kernel *k, pid_t pid, const struct timer_value *new,
		  struct timer_value *old)
{
	uint64_t now[NUM_VCLOCKS];
	int ret;

	timekeeper_now(k->time, now);
	ret = travel_timers_itimer(&k->travel->timers, pid, new, old, now);
	if (ret == 0 && new)
		prompt(k->travel);
	return ret;
}

void travel_prompt(struct kernel *k)
{
	prompt(k->travel);
}

void travel_clocks_changed(struct kernel *k)
{
	uint64_t now[NUM_VCLOCKS];

	timekeeper_now(k->time, now);
	travel_timers_leapt(&k->travel->timers, now);
	prompt(k->travel);
}

/* ---- boot --------------------------------------------------------------- */

int travel_init(struct kernel *k, struct ns_error *err)
{
	struct travel *t;
	int ret;

	if (!k->cfg->policy->clock.travels)
		return 0;
	if (!k->time->redirects.able)
		return ns_fail(err, -EPERM, "time.idle: this host does not let the guest's tasks be traced "
			       "(ptrace(2)), which time travel needs; write idle = run");
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	host_cond_init(&t->wake);
	waiters_init(&t->waiters);
	travel_timers_init(&t->timers);
	k->travel = t;
	ret = lockstep_init(k, on_news, err);
	if (ret == 0)
		ret = sched_on_idle(k, on_idle);
	if (ret < 0)
		return ret;
	ret = host_thread(&t->thread, TRAVELLER_STACK, traveller, k);
	t->runs = ret == 0;
	if (ret == 0)
		log_info("travel: the clocks go to the next deadline while all tasks sleep%s",
			 k->cfg->policy->clock.cpu_free ? ", and stand still otherwise" : "");
	return ret;
}

/* The doors may still be answering: what they use stays until the process ends. */
void travel_exit(struct kernel *k)
{
	struct travel *t = k->travel;

	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->ending = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
	if (t->runs)
		pthread_join(t->thread, NULL);
	t->runs = false;
	lockstep_exit(&t->lockstep);
}

struct json_t *travel_stats(struct kernel *k)
{
	struct travel *t = k->travel;
	bool free_cpu = k->cfg->policy->clock.cpu_free;

	return json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I}", "cpu", free_cpu ? "free" : "real",
			 "calendar", lockstep_on(&t->lockstep),
			 "leaps", (json_int_t)atomic_load(&t->leaps), "leapt_ns",
			 (json_int_t)atomic_load(&t->leapt_ns), "waits",
			 (json_int_t)atomic_load(&t->waits), "ended",
			 (json_int_t)atomic_load(&t->ended), "held_back",
			 (json_int_t)atomic_load(&t->held_back));
}
