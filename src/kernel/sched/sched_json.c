/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched_json.c - "sched" and "tasks" of weir stats
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/hostproc.h"
#include "kernel/sched/sched_impl.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define DECISIONS_SHOWN 32

static json_t *vcpus_json(const struct sched_view *v)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < v->nvcpus; i++)
		json_array_append_new(all, json_pack("{s:i, s:i, s:I, s:I}", "id", (int)i, "host_cpu",
						     v->vcpu[i].host_cpu, "busy_ns",
						     (json_int_t)v->vcpu[i].busy_ns, "idle_ns",
						     (json_int_t)v->vcpu[i].idle_ns));
	return all;
}

/* Newest first. */
static json_t *decisions_json(struct sched *s)
{
	json_t *all = json_array();

	pthread_mutex_lock(&s->lock);
	for (uint64_t i = 0; i < MIN(s->placement.ndecisions, (uint64_t)DECISIONS_SHOWN); i++) {
		const struct placement_decision *d =
			&s->placement.decision[(s->placement.ndecisions - 1 - i) %
					       PLACEMENT_DECISIONS];
		json_t *pids = json_array();

		for (size_t n = 0; n < ARRAY_SIZE(d->tid); n++)
			if (d->tid[n])
				json_array_append_new(pids, json_integer(d->tid[n]));
		json_array_append_new(all, json_pack("{s:I, s:s, s:s, s:o, s:i}", "ns",
						     (json_int_t)(d->ns - s->kernel->start_ns),
						     "what", d->what, "reason", d->reason,
						     "host_pids", pids, "vcpu", (int)d->vcpu));
	}
	pthread_mutex_unlock(&s->lock);
	return all;
}

static json_t *counters_json(const struct sched_view *v)
{
	return json_pack("{s:s, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:b, s:I, "
			 "s:[f,f,f]}",
			 "source", v->source, "tasks", (int)v->tasks, "runnable", (int)v->runnable,
			 "blocked", (int)v->blocked, "sleeps", (json_int_t)v->sleeps, "wakes",
			 (json_int_t)v->wakes, "preempts", (json_int_t)v->preempts, "forks",
			 (json_int_t)v->forks, "execs", (json_int_t)v->execs, "exits",
			 (json_int_t)v->exits, "lost", (json_int_t)v->lost, "migrations",
			 (json_int_t)v->migrations, "pairs", (int)v->pairs, "idle", v->idle,
			 "idle_ns", (json_int_t)v->idle_ns, "load", v->load[0], v->load[1],
			 v->load[2]);
}

/* What observing has cost the guest, as it is estimated, and the rests from it. */
static json_t *observer_json(struct sched *s)
{
	const struct observe_budget *b = &s->budget;
	json_t *ret;

	pthread_mutex_lock(&s->lock);
	ret = json_pack("{s:i, s:i, s:s*, s:I, s:I, s:I, s:I, s:I}", "rests", (int)s->rests,
			"early_ends", (int)s->early, "reason",
			s->rests ? observe_cost_str[s->rest_reason] : NULL, "records_cost_ns",
			(json_int_t)b->spent_ns[OBSERVE_COST_RECORDS], "calls_cost_ns",
			(json_int_t)b->spent_ns[OBSERVE_COST_CALLS], "forks_cost_ns",
			(json_int_t)b->spent_ns[OBSERVE_COST_FORKS], "attach_cost_ns",
			(json_int_t)b->spent_ns[OBSERVE_COST_ATTACH], "budget_ns",
			(json_int_t)b->left_ns);
	pthread_mutex_unlock(&s->lock);
	return ret;
}

json_t *sched_json(struct kernel *k)
{
	cleanup_free struct sched_vcpu *vcpu = calloc(SCHED_MAX_VCPUS, sizeof(*vcpu));
	struct sched_view v;
	json_t *ret;

	if (!vcpu)
		return NULL;
	sched_look(k, &v, vcpu);
	ret = counters_json(&v);
	json_object_set_new(ret, "placement",
			    json_string(policy_sched_placement_str[k->cfg->policy->placement]));
	/* Records come in; before that, /proc is looked at. */
	json_object_set_new(ret, "observing", json_boolean(atomic_load(&k->sched->sw)));
	json_object_set_new(ret, "observer", observer_json(k->sched));
	json_object_set_new(ret, "observer_wakeups",
			    json_integer(observe_wakeups(k->sched)));
	json_object_set_new(ret, "vcpus", vcpus_json(&v));
	json_object_set_new(ret, "decisions", decisions_json(k->sched));
	return ret;
}

/* ---- tasks --------------------------------------------------------------------- */

/* Copies, so that nobody waits while we ask /proc for their ids. */
static struct task *copy_tasks(struct sched *s, unsigned *ret_n)
{
	struct task *copy;
	unsigned n = 0;

	pthread_mutex_lock(&s->lock);
	copy = malloc((s->tasks.n + 1) * sizeof(*copy));
	TASK_FOR_EACH(&s->tasks, t)
		if (copy)
			copy[n++] = *t;
	pthread_mutex_unlock(&s->lock);
	*ret_n = n;
	return copy;
}

/* The ids in the guest; kept for the next time. Ids may change with setuid(2),
 * so that those are asked for every time. */
static void ask_ids(struct sched *s, struct task *copy, bool counts)
{
	struct hostproc_status st;
	struct task *t;

	if (hostproc_status(copy->tid, &st) < 0)
		return;
	copy->guest_tid = st.guest_tid;
	copy->guest_pid = st.guest_pid;
	copy->uid = st.uid;
	if (counts) {
		copy->sleeps = st.voluntary;
		copy->preempts = st.involuntary;
	}
	pthread_mutex_lock(&s->lock);
	t = task_find(&s->tasks, copy->tid);
	if (t && t->start_ns == copy->start_ns) {
		t->guest_tid = st.guest_tid;
		t->guest_pid = st.guest_pid;
		t->uid = st.uid;
	}
	pthread_mutex_unlock(&s->lock);
}

static int by_guest_pid(const void *va, const void *vb)
{
	const struct task *a = va, *b = vb;

	return a->guest_tid != b->guest_tid ? a->guest_tid - b->guest_tid : a->tid - b->tid;
}

/* The parent's number in the guest; 0 outside it, as the guest sees it itself. */
static pid_t guest_parent(const struct task *all, unsigned n, pid_t ppid)
{
	for (unsigned i = 0; i < n; i++)
		if (all[i].tid == ppid)
			return all[i].guest_tid;
	return 0;
}

static json_t *task_json(struct sched *s, const struct task *t, pid_t guest_ppid, uint64_t now)
{
	int64_t uid = ids_to_inner(&s->kernel->guest_uid, t->uid);

	return json_pack("{s:i, s:i, s:i, s:i, s:I, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "pid", (int)t->guest_tid, "tgid", (int)t->guest_pid, "host_pid",
			 (int)t->tid, "ppid", (int)guest_ppid, "uid",
			 (json_int_t)(uid < 0 ? 65534 : uid), "comm", t->comm, "state",
			 task_state_str[t->state], "vcpu", (int)t->vcpu, "run_ns",
			 (json_int_t)task_time(t, TASK_RUNNING, now), "runnable_ns",
			 (json_int_t)task_time(t, TASK_RUNNABLE, now), "sleep_ns",
			 (json_int_t)(task_time(t, TASK_SLEEPING, now) +
				      task_time(t, TASK_BLOCKED, now) +
				      task_time(t, TASK_STOPPED, now)),
			 "state_ns", (json_int_t)(now > t->since_ns ? now - t->since_ns : 0),
			 "sleeps", (json_int_t)t->sleeps, "preempts", (json_int_t)t->preempts);
}

json_t *sched_tasks_json(struct kernel *k)
{
	struct sched *s = k->sched;
	cleanup_free struct task *all = NULL;
	json_t *ret = json_array();
	uint64_t now;
	unsigned n;

	observe_now(s);
	walk_asleep(s);
	all = copy_tasks(s, &n);
	now = host_now();
	for (unsigned i = 0; i < n; i++)
		ask_ids(s, &all[i], !all[i].observed);
	if (n)
		qsort(all, n, sizeof(*all), by_guest_pid);
	for (unsigned i = 0; i < n; i++) {
		json_t *t = NULL;

		/* One that was gone before it could be asked has no number to be shown by. */
		if (all[i].guest_tid)
			t = task_json(s, &all[i], guest_parent(all, n, all[i].ppid), now);
		/* A name need not be text. */
		if (t)
			json_array_append_new(ret, t);
	}
	return ret;
}
