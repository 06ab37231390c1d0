/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.c - the guest's threads as the guest kernel knows them
 */
#include "kernel/task.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/util.h"

const char *const task_state_str[TASK_NUM_STATES] = {
	[TASK_RUNNING] = "running",   [TASK_RUNNABLE] = "runnable", [TASK_SLEEPING] = "sleeping",
	[TASK_BLOCKED] = "blocked",   [TASK_STOPPED] = "stopped",   [TASK_ZOMBIE] = "zombie",
};
static_assert(ARRAY_SIZE(task_state_str) == TASK_NUM_STATES, "a task state has no name");

int task_table_init(struct task_table *tt, const struct vcpus *v, uint64_t now_ns)
{
	*tt = (struct task_table){ .vcpus = v, .now_ns = now_ns, .idle_since_ns = now_ns };
	tt->on_cpu = calloc(HOST_MAX_CPUS, sizeof(*tt->on_cpu));
	tt->busy_ns = calloc(v->n, sizeof(*tt->busy_ns));
	loadavg_init(&tt->load, now_ns);
	return tt->on_cpu && tt->busy_ns ? 0 : -ENOMEM;
}

static void task_free(struct task *t)
{
	free(t->wish);
	free(t);
}

void task_table_destroy(struct task_table *tt)
{
	for (unsigned i = 0; i < TASK_BUCKETS; i++) {
		while (tt->bucket[i]) {
			struct task *t = tt->bucket[i];

			tt->bucket[i] = t->next;
			task_free(t);
		}
	}
	free(tt->on_cpu);
	free(tt->busy_ns);
}

static struct task **bucket_of(struct task_table *tt, pid_t tid)
{
	return &tt->bucket[(unsigned)tid % TASK_BUCKETS];
}

struct task *task_find(struct task_table *tt, pid_t tid)
{
	struct task *t = *bucket_of(tt, tid);

	while (t && t->tid != tid)
		t = t->next;
	return t;
}

/* ---- states and time ----------------------------------------------------- */

static unsigned demand(const struct task_table *tt)
{
	return task_active(tt) + tt->count[TASK_BLOCKED];
}

void task_table_advance(struct task_table *tt, uint64_t now_ns)
{
	loadavg_advance(&tt->load, demand(tt), now_ns);
	tt->now_ns = MAX(tt->now_ns, now_ns);
}

/* Somebody runs again, or the last one that did sleeps. */
static void note_idle(struct task_table *tt, uint64_t ns)
{
	if (task_active(tt) && tt->idle_since_ns) {
		tt->idle_ns += ns > tt->idle_since_ns ? ns - tt->idle_since_ns : 0;
		tt->idle_since_ns = 0;
	} else if (!task_active(tt) && !tt->idle_since_ns) {
		tt->idle_since_ns = ns;
	}
}

static void count_state(struct task_table *tt, enum task_state s, int by, uint64_t ns)
{
	task_table_advance(tt, ns);
	tt->count[s] += by;
}

static void leave_state(struct task_table *tt, struct task *t, uint64_t ns)
{
	uint64_t spent = ns > t->since_ns ? ns - t->since_ns : 0;

	t->time_ns[t->state] += spent;
	if (t->state == TASK_RUNNING) {
		tt->busy_ns[t->vcpu] += spent;
		if (tt->on_cpu[t->cpu] == t)
			tt->on_cpu[t->cpu] = NULL;
	}
	count_state(tt, t->state, -1, ns);
}

static void enter_state(struct task_table *tt, struct task *t, enum task_state to, uint64_t ns)
{
	t->state = to;
	t->since_ns = ns;
	count_state(tt, to, 1, ns);
	note_idle(tt, ns);
}

void task_set_state(struct task_table *tt, struct task *t, enum task_state to, uint64_t ns)
{
	if (t->state == to)
		return;
	leave_state(tt, t, ns);
	enter_state(tt, t, to, ns);
}

uint64_t task_time(const struct task *t, enum task_state s, uint64_t now_ns)
{
	uint64_t ns = t->time_ns[s];

	if (t->state == s && now_ns > t->since_ns)
		ns += now_ns - t->since_ns;
	return ns;
}

/* ---- coming and going ----------------------------------------------------- */

struct task *task_add(struct task_table *tt, pid_t pid, pid_t tid, uint64_t ns)
{
	struct task **b = bucket_of(tt, tid), *t, *first;

	if (tt->n >= TASK_MAX || !(t = calloc(1, sizeof(*t)))) {
		tt->untracked++;
		return NULL;
	}
	t->tid = tid;
	t->pid = pid;
	t->cpu = -1;
	t->start_ns = ns;
	t->fork_nr = tt->forks;
	t->next = *b;
	*b = t;
	tt->n++;
	tt->newest = t;
	first = tid == pid ? NULL : task_find(tt, pid);
	if (first)
		first->nthreads++;
	enter_state(tt, t, TASK_RUNNABLE, ns);
	return t;
}

void task_remove(struct task_table *tt, struct task *t, uint64_t ns)
{
	struct task **b = bucket_of(tt, t->tid), *first;

	if (tt->gone)
		tt->gone(tt->ctx, t);
	leave_state(tt, t, ns);
	note_idle(tt, ns);
	while (*b != t)
		b = &(*b)->next;
	*b = t->next;
	tt->n--;
	if (tt->newest == t)
		tt->newest = NULL;
	first = task_is_first(t) ? NULL : task_find(tt, t->pid);
	if (first && first->nthreads)
		first->nthreads--;
	task_free(t);
}

static struct task *take_fork(struct task_table *tt, const struct sleepwake_record *r)
{
	struct task *t = task_find(tt, r->tid), *maker = task_find(tt, r->ptid);

	tt->forks++;
	if (t)
		task_remove(tt, t, r->ns);	/* the id had been free */
	t = task_add(tt, r->pid, r->tid, r->ns);
	if (!t)
		return NULL;
	t->last_ns = r->ns;
	t->last_kind = r->kind;
	t->observed = true;
	t->ppid = r->ppid;
	if (!maker)
		return t;
	if (r->tid != r->pid)
		t->ppid = maker->ppid;
	memcpy(t->comm, maker->comm, sizeof(t->comm));
	t->uid = maker->uid;
	t->vcpu = maker->vcpu;
	t->wish = cpus_copy(maker->wish);
	return t;
}

/* ---- exec ------------------------------------------------------------------ */

/* Other threads do not survive an exec; the one that did it goes on as the first. */
static struct task *surviving_thread(struct task_table *tt, const struct sleepwake_record *r)
{
	struct task *on = r->cpu < HOST_MAX_CPUS ? tt->on_cpu[r->cpu] : NULL;

	return on && on->pid == r->pid && !task_is_first(on) ? on : NULL;
}

static void take_over(struct task_table *tt, struct task *first, struct task *by, uint64_t ns)
{
	task_set_state(tt, by, TASK_RUNNABLE, ns);
	for (int s = 0; s < TASK_NUM_STATES; s++)
		first->time_ns[s] = by->time_ns[s];
	first->sleeps = by->sleeps;
	first->wakes = by->wakes;
	first->preempts = by->preempts;
	first->vcpu = by->vcpu;
}

static void remove_threads(struct task_table *tt, struct task *first, uint64_t ns)
{
	for (unsigned i = 0; i < TASK_BUCKETS && first->nthreads; i++) {
		struct task *t = tt->bucket[i], *next;

		for (; t; t = next) {
			next = t->next;
			if (t->pid == first->pid && t != first)
				task_remove(tt, t, ns);
		}
	}
	first->nthreads = 0;
}

static void run_on(struct task_table *tt, struct task *t, unsigned cpu, uint64_t ns)
{
	struct task *before = tt->on_cpu[cpu];

	if (before && before != t && before->state == TASK_RUNNING)
		task_set_state(tt, before, TASK_RUNNABLE, ns);
	if (t->state == TASK_RUNNING && (unsigned)t->cpu != cpu)
		task_set_state(tt, t, TASK_RUNNABLE, ns);
	t->cpu = cpu;
	t->vcpu = vcpu_name(tt->vcpus, t->vcpu, cpu);
	task_set_state(tt, t, TASK_RUNNING, ns);
	tt->on_cpu[cpu] = t;
}

void task_found_running(struct task_table *tt, struct task *t, int cpu, uint64_t ns)
{
	if (cpu >= 0 && cpu < HOST_MAX_CPUS && !tt->on_cpu[cpu])
		run_on(tt, t, cpu, ns);
	else
		task_set_state(tt, t, TASK_RUNNABLE, ns);
}

static struct task *take_exec(struct task_table *tt, const struct sleepwake_record *r)
{
	struct task *t = task_find(tt, r->pid), *by = surviving_thread(tt, r);

	tt->execs++;
	if (!t)
		t = task_add(tt, r->pid, r->pid, r->ns);
	if (!t)
		return NULL;
	if (by)
		take_over(tt, t, by, r->ns);
	remove_threads(tt, t, r->ns);
	/* Its own EXIT was that of the thread whose id it has now. */
	if (t->state == TASK_ZOMBIE || by) {
		tt->exits -= t->state == TASK_ZOMBIE && tt->exits;
		if (r->cpu < HOST_MAX_CPUS)
			run_on(tt, t, r->cpu, r->ns);
	}
	t->exec_ns = r->ns;
	memcpy(t->comm, r->comm, sizeof(t->comm));
	return t;
}

/* ---- the other records ------------------------------------------------------ */

static struct task *take_comm(struct task_table *tt, const struct sleepwake_record *r)
{
	struct task *t = task_find(tt, r->tid);

	if (t)
		memcpy(t->comm, r->comm, sizeof(t->comm));
	return t;
}

static struct task *take_exit(struct task_table *tt, const struct sleepwake_record *r)
{
	struct task *t = task_find(tt, r->tid);

	tt->exits++;
	if (!t)
		return NULL;
	if (task_is_first(t)) {
		task_set_state(tt, t, TASK_ZOMBIE, r->ns);
		return t;
	}
	task_remove(tt, t, r->ns);
	return NULL;
}

/* A thread that was there before it was observed, or whose FORK was lost. */
static struct task *find_or_add(struct task_table *tt, const struct sleepwake_record *r)
{
	struct task *t = task_find(tt, r->tid);

	if (t)
		return t;
	t = task_add(tt, r->pid, r->tid, r->ns);
	if (t) {
		t->last_ns = r->ns;
		t->last_kind = r->kind;
	}
	return t;
}

static struct task *take_run(struct task_table *tt, const struct sleepwake_record *r)
{
	struct task *t = r->cpu < HOST_MAX_CPUS ? find_or_add(tt, r) : NULL;

	/* What ends runs for the last time behind its EXIT. */
	if (!t || t->state == TASK_ZOMBIE)
		return t;
	if (t->state != TASK_RUNNABLE && t->state != TASK_RUNNING) {
		t->wakes++;
		tt->wakes++;
	}
	run_on(tt, t, r->cpu, r->ns);
	return t;
}

static struct task *leave_cpu(struct task_table *tt, const struct sleepwake_record *r,
			      enum task_state to)
{
	struct task *t = r->cpu < HOST_MAX_CPUS ? find_or_add(tt, r) : NULL;

	if (!t || t->state == TASK_ZOMBIE)
		return t;
	if (t->state != TASK_RUNNING)
		run_on(tt, t, r->cpu, r->ns);	/* the record of its RUN was lost */
	task_set_state(tt, t, to, r->ns);
	return t;
}

static struct task *take_sleep(struct task_table *tt, const struct sleepwake_record *r)
{
	struct task *t = leave_cpu(tt, r, TASK_SLEEPING);

	tt->sleeps++;
	if (t)
		t->sleeps++;
	return t;
}

static struct task *take_preempt(struct task_table *tt, const struct sleepwake_record *r)
{
	struct task *t = leave_cpu(tt, r, TASK_RUNNABLE);

	tt->preempts++;
	if (t)
		t->preempts++;
	return t;
}

static struct task *take_lost(struct task_table *tt, const struct sleepwake_record *r)
{
	tt->lost += r->lost;
	return NULL;
}

/* A thread that was attached to twice is reported twice. */
static bool is_duplicate(struct task_table *tt, const struct sleepwake_record *r)
{
	struct task *t = task_find(tt, r->tid);

	if (!t || r->kind == SLEEPWAKE_LOST)
		return false;
	if (t->last_ns == r->ns && t->last_kind == r->kind)
		return true;
	t->last_ns = r->ns;
	t->last_kind = r->kind;
	return false;
}

struct task *task_record(struct task_table *tt, const struct sleepwake_record *r)
{
	static struct task *(*const handler[])(struct task_table *,
					       const struct sleepwake_record *) = {
		[SLEEPWAKE_FORK] = take_fork,	  [SLEEPWAKE_EXEC] = take_exec,
		[SLEEPWAKE_COMM] = take_comm,	  [SLEEPWAKE_EXIT] = take_exit,
		[SLEEPWAKE_RUN] = take_run,	  [SLEEPWAKE_SLEEP] = take_sleep,
		[SLEEPWAKE_PREEMPT] = take_preempt, [SLEEPWAKE_LOST] = take_lost,
	};

	if (is_duplicate(tt, r))
		return NULL;
	return handler[r->kind](tt, r);
}
