/* SPDX-License-Identifier: Apache-2.0 */
/*
 * observe.c - how the task table learns what happens in the guest
 *
 * Records of the host (passthrough/sleepwake.h) say it as it happens. They
 * have four gaps, and a walk over /proc from init downwards fills each:
 *
 *   at the start   init has run for a moment already: the first observer of a
 *                  host may have to wait for all its CPUs, and nobody shall
 *                  wait for us. A thread is attached to before its children
 *                  are looked for, so none is missed; what was forked behind
 *                  that is in the records.
 *   lost records   a ring ran full.
 *   a rest         observing costs a guest that switches or forks all the time
 *                  more than it may (rest.c): it is not observed for a while,
 *                  and then looked at again.
 *   set-id exec    the host stops reporting the program and all it starts, and
 *                  says EXIT of a task that lives on.
 *
 * Where there are no records (source = traps), the walk is all there is: when
 * somebody asks, and every 5 s for the load averages.
 *
 * All of this is done by a thread of its own, the worker; records are taken in
 * by sleepwake's thread.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/hostproc.h"
#include "kernel/log.h"
#include "kernel/sched/calm.h"
#include "kernel/sched/sched_impl.h"
#include "kernel/util.h"
#include "ns/feature.h"
#include "passthrough/hostcall.h"
#include "passthrough/trap.h"

#define TRAPS_WALK_NS LOADAVG_PERIOD_NS
#define LOOK_NS 50000000	/* source = traps: what is newer need not be looked at again */
#define LOST_WALK_NS 200000000	/* between two walks for lost records */
#define CHECK_NS 500000000	/* a task that could run usually does within this */
#define AGAIN_NS 100000000	/* after the first walk */
#define ENDED_AT_ONCE 32	/* zombies asked after in one drain */
#define SET_ID_NS 1000000000	/* a set-id exec's EXIT comes within this of its EXEC */

/* ---- records -------------------------------------------------------------- */

static void note_ended(struct sched *s, const struct task *t)
{
	if (s->nended < SCHED_MAX_ENDED)
		s->ended[s->nended++] = (struct sched_ended){ t->tid, true };
}

static void on_record(void *ctx, const struct sleepwake_record *r)
{
	struct sched *s = ctx;
	struct task *t;

	if (!s->draining) {
		pthread_mutex_lock(&s->lock);
		s->draining = true;
	}
	t = task_record(&s->tasks, r);
	s->forked += r->kind == SLEEPWAKE_FORK;
	if (r->kind == SLEEPWAKE_LOST)
		s->walk_all = true;
	if (!t)
		return;
	if (r->kind == SLEEPWAKE_EXIT)
		note_ended(s, t);
	placement_record(&s->placement, t, r);
}

/* Is a thread whose EXIT we have just seen alive? Only now can its id not yet
 * be another's. */
static bool lives_on(const struct task *t)
{
	struct hostproc_stat st;

	return t->exec_ns && t->since_ns - t->exec_ns < SET_ID_NS &&
	       hostproc_stat(t->tid, &st) == 0 && !st.exiting;
}

/* Return: false when it need not be looked after any more. */
static bool look_after(struct sched *s, struct sched_ended *e, uint64_t now)
{
	struct task *t = task_find(&s->tasks, e->tid);

	if (!t || t->state != TASK_ZOMBIE)
		return false;
	if (host_call(SYS_tgkill, e->tid, e->tid, 0) < 0) {
		task_remove(&s->tasks, t, now);
		return false;
	}
	if (e->fresh && s->nrevived < SCHED_MAX_ENDED && lives_on(t)) {
		s->revived[s->nrevived++] = e->tid;
		return false;
	}
	e->fresh = false;
	return true;
}

/* The oldest first; those that stay go behind the others. */
static void look_after_ended(struct sched *s, uint64_t now)
{
	struct sched_ended stay[ENDED_AT_ONCE];
	unsigned n = 0, end = 0, total = s->nended;

	/* New ones lie at the end, and must be looked at while they are fresh. */
	while (end < total && end < ENDED_AT_ONCE && !s->ended[end].fresh)
		end++;
	for (unsigned i = end; i < total; i++)
		if (s->ended[i].fresh && !look_after(s, &s->ended[i], now))
			s->ended[i].tid = 0;
	for (unsigned i = 0; i < end; i++)
		if (look_after(s, &s->ended[i], now))
			stay[n++] = s->ended[i];
	s->nended = 0;
	for (unsigned i = end; i < total; i++)
		if (s->ended[i].tid)
			s->ended[s->nended++] = s->ended[i];
	memcpy(s->ended + s->nended, stay, n * sizeof(*stay));
	s->nended += n;
}

/* A task that could run and has no record for long: was its end missed? */
static bool some_are_stale(struct sched *s, uint64_t now)
{
	if (now - s->checked_ns < CHECK_NS || !s->tasks.count[TASK_RUNNABLE])
		return false;
	s->checked_ns = now;
	TASK_FOR_EACH(&s->tasks, t)
		if (t->state == TASK_RUNNABLE && now > t->since_ns && now - t->since_ns > CHECK_NS)
			return true;
	return false;
}

static void tell_idle(struct sched *s, bool idle, uint64_t since)
{
	for (unsigned i = 0; i < s->nhooks; i++)
		s->hook[i](s->kernel, idle, since);
}

static void on_drained(void *ctx, uint64_t now_ns, unsigned n)
{
	struct sched *s = ctx;
	uint64_t since;
	bool idle, changed;

	if (!s->draining)
		pthread_mutex_lock(&s->lock);
	look_after_ended(s, now_ns);
	rest_look_at_group(s, now_ns);
	placement_decide(&s->placement, now_ns);
	rest_account(s, now_ns, n);
	since = s->tasks.idle_since_ns;
	idle = since != 0 && !s->rested;
	changed = idle != s->told_idle;
	s->told_idle = idle;
	s->walk_all |= some_are_stale(s, now_ns);
	if (s->nrevived || s->walk_all || s->rest_wanted)
		observe_wake(s);
	s->draining = false;
	pthread_mutex_unlock(&s->lock);
	/* Without the lock: a hook may ask us. */
	if (changed)
		tell_idle(s, idle, idle ? since : now_ns);
}

/* ---- the worker --------------------------------------------------------------- */

/* Lock held, and given back meanwhile. @ns: 0 for as long as it takes. */
static void worker_wait(struct sched *s, uint64_t ns)
{
	struct timespec ts = timespec_of(host_now() + ns);

	s->worker_waits = true;
	if (ns)
		pthread_cond_timedwait(&s->cond, &s->lock, &ts);
	else
		pthread_cond_wait(&s->cond, &s->lock);
	s->worker_waits = false;
}

static void revive(struct sched *s, pid_t tid)
{
	struct task *t;

	pthread_mutex_lock(&s->lock);
	t = task_find(&s->tasks, tid);
	if (t && t->state == TASK_ZOMBIE) {
		s->tasks.exits -= s->tasks.exits > 0;
		t->observed = false;
		task_set_state(&s->tasks, t, TASK_RUNNABLE, host_now());
	}
	pthread_mutex_unlock(&s->lock);
	walk_from(s, tid);
}

/* A guest that may use all CPUs that are online may use those that come, too. */
static bool on_some_cpus(const struct vcpus *v)
{
	return v->limited || v->nhost < sysconf(_SC_NPROCESSORS_ONLN);
}

static int open_observer(struct sched *s)
{
	const struct sleepwake_config cfg = {
		.record = on_record, .drained = on_drained, .ctx = s, .cpu = s->vcpus.host,
		.ncpus = on_some_cpus(&s->vcpus) ? s->vcpus.nhost : 0,
	};
	struct sleepwake *sw;
	int ret = host_feature_masked("perf") ? -ENOENT : sleepwake_open(&cfg, &sw);

	if (ret < 0)
		return ret;
	pthread_mutex_lock(&s->lock);
	s->calls = door_all_calls();	/* those before were not observed */
	atomic_store(&s->sw, sw);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

int observe_probe(void)
{
	struct sleepwake_config nobody = {};
	struct sleepwake *sw;
	int ret = host_feature_masked("perf") ? -ENOENT : sleepwake_open(&nobody, &sw);

	if (ret == 0)
		sleepwake_close(sw);
	return ret;
}

static const char *why_not(int err)
{
	return err == -EACCES || err == -EPERM ? "perf_event_paranoid or a seccomp filter of the "
						 "host forbids perf_event_open" :
	       err == -ENOENT || err == -ENOSYS ? "this host has no perf events" : strerror(-err);
}

static void choose_source(struct sched *s)
{
	int ret = s->want == SCHED_SOURCE_TRAPS ? -ENOTSUP : open_observer(s);

	if (ret == 0) {
		log_info("sched: source perf: the host tells of each sleep and run");
		return;
	}
	atomic_store(&s->traps, true);
	if (s->want == SCHED_SOURCE_TRAPS)
		log_info("sched: source traps, as the policy says: states are looked up in /proc");
	else
		log_warn("sched: source traps, no placement: %s", why_not(ret));
}

/* Lock held, and given back meanwhile. */
static void do_requests(struct sched *s)
{
	bool blind = s->walk_blind, lost = s->walk_all || atomic_load(&s->traps);
	pid_t revived = s->nrevived ? s->revived[--s->nrevived] : 0;

	if (!revived) {
		s->walk_again = blind;
		s->walk_blind = s->walk_all = false;
	}
	pthread_mutex_unlock(&s->lock);
	if (revived)
		revive(s, revived);
	else
		walk_from_roots(s, blind, lost);
	pthread_mutex_lock(&s->lock);
	if (s->rested && !revived)
		rest_judge(s);
}

/* Lock held. Where records are lost all the time, not all the time is for walks. */
static bool walked_just_now(struct sched *s)
{
	return !s->nrevived && !s->walk_blind && !s->rested && host_now() - s->walked_ns < LOST_WALK_NS;
}

/* Lock held. Until when there is nothing to do; 0: until somebody says so. */
static uint64_t next_look(const struct sched *s, bool again)
{
	if (s->rested)
		return rest_next_look(s);
	return atomic_load(&s->traps) ? TRAPS_WALK_NS : again ? AGAIN_NS : 0;
}

struct calm_sample observe_sample_calm(void)
{
	return (struct calm_sample){
		.ns = host_now(), .calls = door_all_calls(), .last_pid = hostproc_last_pid(),
	};
}

/* Lock held, and given back meanwhile. A guest that is gone by then was never observed. */
static void wait_for_calm(struct sched *s)
{
	struct calm_sample first = observe_sample_calm(), a, b = first;

	do {
		a = b;
		worker_wait(s, CALM_STEP_NS);
		b = observe_sample_calm();
	} while (!s->ending && s->want == SCHED_SOURCE_AUTO &&
		 !calm_between(&first, &a, &b, s->vcpus.nhost));
}

static void *worker_main(void *arg)
{
	struct sched *s = arg;
	bool again;

	pthread_mutex_lock(&s->lock);
	if (!s->ending)
		wait_for_calm(s);
	if (!s->ending) {
		pthread_mutex_unlock(&s->lock);
		choose_source(s);
		pthread_mutex_lock(&s->lock);
	}
	while (!s->ending) {
		if (s->rest_wanted && !s->rested) {
			rest_begin(s);
			continue;
		}
		if (s->rested && rest_is_over(s))
			rest_end(s);
		if (s->nrevived || s->walk_blind || s->walk_all) {
			if (walked_just_now(s))
				worker_wait(s, LOST_WALK_NS);
			else
				do_requests(s);
			continue;
		}
		again = s->walk_again;
		s->walk_again = false;
		worker_wait(s, next_look(s, again));
		s->walk_all |= again || atomic_load(&s->traps);
		if (s->rested)
			rest_look(s);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

void observe_wake(struct sched *s)
{
	pthread_cond_signal(&s->cond);
}

void observe_start(struct sched *s)
{
	int ret;

	if (s->worker_runs)
		return;
	ret = -pthread_create(&s->worker, NULL, worker_main, s);
	s->worker_runs = ret == 0;
	if (ret < 0)
		log_warn("sched: no thread to observe with: %s", strerror(-ret));
}

/* A worker that waits for the host is not waited for: the process ends next. */
void observe_stop(struct sched *s)
{
	bool join;

	pthread_mutex_lock(&s->lock);
	s->ending = true;
	join = s->worker_runs && s->worker_waits;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->lock);
	if (join)
		pthread_join(s->worker, NULL);
}

/* ---- for those who ask ----------------------------------------------------- */

void observe_now(struct sched *s)
{
	struct sleepwake *sw = atomic_load(&s->sw);
	bool old;

	if (sw) {
		sleepwake_drain(sw);
		return;
	}
	pthread_mutex_lock(&s->lock);
	old = host_now() - s->walked_ns > LOOK_NS;
	pthread_mutex_unlock(&s->lock);
	if (old)
		walk_from_roots(s, false, true);
}

void observe_walk(struct sched *s)
{
	walk_from_roots(s, false, !atomic_load(&s->sw));
}

uint64_t observe_wakeups(struct sched *s)
{
	struct sleepwake *sw = atomic_load(&s->sw);

	return sw ? sleepwake_wakeups(sw) : 0;
}
