/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.c - what the host's /proc says of the guest's tasks, into the table
 *
 * From init, and the other processes that the kernel put into the guest,
 * downwards.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/hostproc.h"
#include "kernel/sched/sched_impl.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define MAX_PASSES 8		/* of a walk that meets new threads every time */
#define ATTACH_MAX_NS 1000000	/* one that took longer was kept waiting */

/* What /proc says of one thread. */
struct found {
	struct hostproc_stat st;
	struct hostproc_status status;	/* of one that was not known */
	uint64_t run_ns, slices;
	struct host_cpus cpus;
};

/* While a thread is attached to, CPU by CPU, what it forks is not reported on
 * all CPUs: children from then are attached to as well. */
struct window {
	uint64_t begin, end;
};

#define WINDOWS 64

struct walker {
	struct window window[WINDOWS];
	unsigned nwindows;
	struct sched *s;
	bool blind;		/* attach to who is not observed */
	bool lost;		/* records were: who is not known is observed all the same */
	unsigned fresh;		/* threads met for the first time in this pass */
	uint64_t tree_ns;	/* run time of processes and the children they waited for, in it */
	uint64_t attach_ns;	/* time that attaching took and is not accounted for yet */
};

static enum task_state state_of(char letter)
{
	switch (letter) {
	case 'R':
		return TASK_RUNNABLE;
	case 'D':
		return TASK_BLOCKED;
	case 'T':
	case 't':
		return TASK_STOPPED;
	case 'Z':
	case 'X':
		return TASK_ZOMBIE;
	default:
		return TASK_SLEEPING;
	}
}

/* What records did not tell: all up to the walk that met it first, and where
 * nobody observes it, all. Lock held. */
static void account_unobserved(struct sched *s, struct task *t, const struct found *f)
{
	uint64_t before = t->time_ns[TASK_RUNNING];

	if (t->state != TASK_RUNNING) {
		t->cpu = f->st.cpu;
		t->vcpu = vcpu_name(&s->vcpus, t->vcpu, f->st.cpu);
	}
	if (f->run_ns <= before)
		return;
	t->time_ns[TASK_RUNNING] = f->run_ns;
	s->tasks.busy_ns[t->vcpu] += f->run_ns - before;
}

static void take_name(struct task *t, const struct hostproc_stat *st)
{
	memcpy(t->comm, st->comm, sizeof(t->comm));
	t->ppid = st->ppid;
}

static bool is_active(const struct task *t)
{
	return t->state == TASK_RUNNING || t->state == TASK_RUNNABLE;
}

static bool is_stale(const struct task *t, uint64_t now)
{
	return !is_active(t) || (now > t->since_ns && now - t->since_ns > SCHED_STALE_NS);
}

static bool state_may_change(const struct task *t, enum task_state to, uint64_t now)
{
	return is_stale(t, now) && to != TASK_RUNNABLE;
}

/* Lock held. */
static void take_stat(struct sched *s, struct task *t, const struct hostproc_stat *st, uint64_t now)
{
	enum task_state state = state_of(st->state);

	take_name(t, st);
	/* Of a thread that is observed, records know better whether it runs. */
	if (!t->observed || state_may_change(t, state, now))
		task_set_state(&s->tasks, t, state, now);
}

/* Lock held. */
static void take_first_look(struct sched *s, struct task *t, const struct found *f, uint64_t now)
{
	account_unobserved(s, t, f);
	take_name(t, &f->st);
	/* It has had a record since: that is newer than what we were told. */
	if (t->observed && t->last_ns)
		return;
	task_set_state(&s->tasks, t, state_of(f->st.state), now);
	/* No record comes of a run that began before. */
	if (t->observed && t->state == TASK_RUNNABLE)
		task_found_running(&s->tasks, t, f->st.cpu, now);
}

static bool attach(struct walker *w, pid_t tid)
{
	struct sleepwake *sw = atomic_load(&w->s->sw);
	uint64_t begin = host_now();
	bool ok = sw && sleepwake_attach(sw, tid) == 0;

	w->window[w->nwindows++ % WINDOWS] = (struct window){ begin, host_now() };
	w->attach_ns += MIN(host_now() - begin, (uint64_t)ATTACH_MAX_NS);
	return ok;
}

static bool in_window(const struct walker *w, uint64_t ns)
{
	for (unsigned i = 0; i < MIN(w->nwindows, (unsigned)WINDOWS); i++)
		if (ns >= w->window[i].begin && ns <= w->window[i].end)
			return true;
	return false;
}

/* A FORK that came behind our attaching to its parent is in the records.
 * @start: of the thread that is known by this id; 0: it is not known, or since when */
static bool is_observed(struct walker *w, pid_t tid, bool *known, uint64_t *start)
{
	struct sched *s = w->s;
	struct sleepwake *sw = atomic_load(&s->sw);
	struct task *t;
	bool ret;

	if (sw && w->blind)
		sleepwake_drain(sw);
	pthread_mutex_lock(&s->lock);
	t = task_find(&s->tasks, tid);
	/* Its first records may have been quicker than we are. */
	*known = t && (t->observed || t->seen);
	*start = t ? t->host_start : 0;
	ret = t && t->observed && t->state != TASK_ZOMBIE &&
	      (t->seen == s->walk || !in_window(w, t->start_ns));
	pthread_mutex_unlock(&s->lock);
	return ret;
}

/* @start: of who had the id when it was seen last: it may be another's by now. */
static int find_out(pid_t tid, uint64_t start, bool *known, struct found *ret)
{
	struct hostproc_slices sl = {};
	int err = hostproc_stat(tid, &ret->st);

	if (err == 0 && start && start != ret->st.start)
		*known = false;
	if (err == 0)
		ret->run_ns = hostproc_slices(tid, &sl) < 0 ? ret->st.run_ns : sl.run_ns;
	ret->slices = sl.n;
	if (err == 0 && !*known)
		err = hostproc_status(tid, &ret->status);
	if (err == 0 && !*known)
		err = host_cpus_of(tid, &ret->cpus);
	return err;
}

/* What it has inherited: from a parent that we hold, the parent's own choice. */
static cpu_set_t *inherited_wish(struct sched *s, const struct found *f)
{
	struct task *parent = task_find(&s->tasks, f->st.ppid);
	cpu_set_t *wish;

	if (parent && (placement_holds(&s->placement, parent) || s->vcpus.n > s->vcpus.nhost))
		return cpus_copy(parent->wish);
	if (memcmp(&f->cpus, &s->vcpus.all, sizeof(f->cpus)) == 0)
		return NULL;
	wish = malloc(sizeof(*wish));
	if (wish)
		vcpus_from_host(&s->vcpus, &f->cpus, wish, sizeof(*wish));
	return wish;
}

/* What happened before it was met. Lock held. */
static void take_past(struct sched *s, struct task *t, const struct found *f)
{
	s->tasks.forks++;
	t->sleeps = MAX(t->sleeps, f->status.voluntary);
	t->preempts = MAX(t->preempts, f->status.involuntary);
	t->guest_tid = f->status.guest_tid;
	t->guest_pid = f->status.guest_pid;
	t->uid = f->status.uid;
	free(t->wish);
	t->wish = inherited_wish(s, f);
	placement_found(&s->placement, t);
}

/* Lock held. */
static void take_found(struct walker *w, pid_t pid, pid_t tid, bool known, bool attached,
		       const struct found *f)
{
	struct sched *s = w->s;
	struct task *t = task_find(&s->tasks, tid);
	uint64_t now = host_now();

	observe_budget_spend(&s->budget, OBSERVE_COST_ATTACH, w->attach_ns);
	w->attach_ns = 0;
	if (t && t->host_start && t->host_start != f->st.start) {
		task_remove(&s->tasks, t, now);
		t = NULL;
	}
	if (!t && known)
		return;		/* it has ended meanwhile */
	if (!t)
		t = task_add(&s->tasks, pid, tid, now);
	if (!t)
		return;
	if (!known) {
		take_past(s, t, f);
		/* Lost was its FORK, not the host's reports of it. Not so while observing only
		 * begins: the walk of somebody who asks for stats may be quicker than the blind. */
		t->observed = w->lost && s->told;
	}
	w->fresh += !known || attached;
	t->observed |= attached;
	if (!known || attached || !t->observed)
		take_first_look(s, t, f, now);
	else
		take_stat(s, t, &f->st, now);
	t->host_start = f->st.start;
	t->slices = MAX(t->slices, f->slices);
	t->seen = s->walk;
}

static void visit(void *ctx, pid_t pid, pid_t tid)
{
	struct walker *w = ctx;
	struct sched *s = w->s;
	uint64_t start;
	bool known, observed = is_observed(w, tid, &known, &start);
	bool attached = w->blind && !observed && attach(w, tid);
	struct found f = {};

	if (find_out(tid, start, &known, &f) < 0)
		return;
	if (tid == pid)
		w->tree_ns += f.st.run_ns + f.st.child_ns;
	pthread_mutex_lock(&s->lock);
	take_found(w, pid, tid, known, attached, &f);
	pthread_mutex_unlock(&s->lock);
}

/* Who was not met is dead, unless it is younger than the walk. Lock held. */
static void sweep(struct sched *s, uint64_t begin)
{
	for (unsigned i = 0; i < TASK_BUCKETS; i++) {
		struct task *t = s->tasks.bucket[i], *next;

		for (; t; t = next) {
			next = t->next;
			if (t->seen != s->walk && t->start_ns < begin)
				task_remove(&s->tasks, t, begin);
		}
	}
}

/*
 * What tasks have run that nobody observed, and that ended before a walk met them
 * again: who waited for them knows. On which CPUs, nobody does. A process that
 * ends at once is in nobody's count but that. Lock held, behind a walk of all.
 */
static void account_ended(struct sched *s, uint64_t tree_ns)
{
	uint64_t busy = sched_busy_ns(s, host_now());
	uint64_t seen = busy - s->unseen_busy_ns, ran = tree_ns - s->unseen_tree_ns;

	if (!s->unseen_based) {
		s->unseen_tree_ns = tree_ns;
		s->unseen_busy_ns = busy;
		s->unseen_based = true;
	} else if (tree_ns > s->unseen_tree_ns && ran > seen) {
		for (unsigned i = 0; i < s->vcpus.n; i++)
			s->tasks.busy_ns[i] += (ran - seen) / s->vcpus.n;
	}
	s->unseen = !atomic_load(&s->sw);
}

/* walk_lock held. Return: run time of the processes that it met, and of the
 * children that these have waited for. */
static uint64_t walk(struct sched *s, bool blind, bool lost, const pid_t *root, unsigned n)
{
	struct walker w = { .s = s, .blind = blind, .lost = lost && !blind };
	uint64_t begin = host_now();

	if (atomic_load(&s->sw))
		sleepwake_drain(atomic_load(&s->sw));
	pthread_mutex_lock(&s->lock);
	s->walk++;
	pthread_mutex_unlock(&s->lock);
	for (int pass = 0; pass < MAX_PASSES; pass++) {
		w.fresh = 0;
		w.tree_ns = 0;
		if (hostproc_walk(root, n, visit, &w) < 0 || !w.fresh)
			break;
	}
	pthread_mutex_lock(&s->lock);
	if (lost)
		sweep(s, begin);
	task_table_advance(&s->tasks, host_now());
	s->walked_ns = host_now();
	pthread_mutex_unlock(&s->lock);
	return w.tree_ns;
}

void walk_from_roots(struct sched *s, bool blind, bool lost)
{
	pid_t root[SCHED_MAX_ROOTS];
	uint64_t tree_ns, begin = host_clock(CLOCK_THREAD_CPUTIME_ID);
	unsigned n = 0;

	pthread_mutex_lock(&s->walk_lock);
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->nroots; i++)
		if (host_result(kill(s->root[i], 0)) != -ESRCH)
			s->root[n++] = s->root[i];
	s->nroots = n;
	memcpy(root, s->root, n * sizeof(*root));
	pthread_mutex_unlock(&s->lock);
	tree_ns = walk(s, blind, lost, root, n);
	pthread_mutex_lock(&s->lock);
	s->told |= blind && atomic_load(&s->sw);
	if (s->unseen)
		account_ended(s, tree_ns);
	s->walk_took_ns = host_clock(CLOCK_THREAD_CPUTIME_ID) - begin;
	s->tree_ns = tree_ns;
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_unlock(&s->walk_lock);
}

void walk_from(struct sched *s, pid_t pid)
{
	pthread_mutex_lock(&s->walk_lock);
	walk(s, true, false, &pid, 1);
	pthread_mutex_unlock(&s->walk_lock);
}

/* ---- those that sleep ------------------------------------------------------ */

static unsigned stale_tasks(struct sched *s, pid_t **ret)
{
	uint64_t now = host_now();
	unsigned n = 0;

	pthread_mutex_lock(&s->lock);
	*ret = malloc((s->tasks.n + 1) * sizeof(**ret));
	TASK_FOR_EACH(&s->tasks, t)
		if (*ret && is_stale(t, now))
			(*ret)[n++] = t->tid;
	pthread_mutex_unlock(&s->lock);
	return n;
}

void walk_asleep(struct sched *s)
{
	cleanup_free pid_t *tid = NULL;
	unsigned n;

	if (!atomic_load(&s->sw))
		return;
	n = stale_tasks(s, &tid);
	for (unsigned i = 0; i < n; i++) {
		struct hostproc_stat st;
		int ret = hostproc_stat(tid[i], &st);
		struct task *t;

		pthread_mutex_lock(&s->lock);
		t = task_find(&s->tasks, tid[i]);
		if (t && is_stale(t, host_now())) {
			if (ret < 0 || (t->state == TASK_ZOMBIE && st.state != 'Z'))
				task_remove(&s->tasks, t, host_now());
			else
				take_stat(s, t, &st, host_now());
		}
		pthread_mutex_unlock(&s->lock);
	}
}
