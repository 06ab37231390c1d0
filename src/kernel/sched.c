/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched.c - the guest's virtual CPUs: who runs where, and who idles
 */
#include "kernel/sched.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/hostproc.h"
#include "kernel/log.h"
#include "kernel/sched/sched_impl.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

/* ---- boot ------------------------------------------------------------------ */

static void on_gone(void *ctx, struct task *t)
{
	struct sched *s = ctx;

	placement_gone(&s->placement, t);
}

static void locks_init(struct sched *s)
{
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->walk_lock, NULL);
	host_cond_init(&s->cond);
}

static int choose_cpus(struct sched *s, struct ns_error *err)
{
	const struct guest_config *cfg = s->kernel->cfg;
	cleanup_fd int guests = host_openat(cfg->state_dir, "..", O_RDONLY | O_DIRECTORY, 0);
	int ret = vcpus_init(&s->vcpus, cfg->policy->vcpus, guests, cfg->state_dir);

	if (ret < 0)
		return ns_fail(err, ret, "sched: the host's CPUs: %s", strerror(-ret));
	if (s->vcpus.limited)
		log_info("sched: %u CPUs of the guest's, held on host CPU %d%s", s->vcpus.n,
			 s->vcpus.host[0], s->vcpus.nhost > 1 ? " and others" : "");
	else if (s->vcpus.n > s->vcpus.nhost)
		log_info("sched: %u CPUs of the guest's share %u of the host's", s->vcpus.n,
			 s->vcpus.nhost);
	return 0;
}

int sched_init(struct kernel *k, struct ns_error *err)
{
	const struct policy *p = k->cfg->policy;
	struct sched *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return -ENOMEM;
	k->sched = s;
	s->kernel = k;
	s->want = p->sched_source;
	locks_init(s);
	ret = choose_cpus(s, err);
	if (ret < 0)
		return ret;
	if (s->want == SCHED_SOURCE_PERF) {
		ret = observe_probe();
		if (ret < 0)
			return ns_fail(err, ret, "sched: source = perf: the host does not let us "
				       "observe the guest: %s (write source = auto or traps)",
				       strerror(-ret));
	}
	ret = task_table_init(&s->tasks, &s->vcpus, k->start_ns);
	s->tasks.gone = on_gone;
	s->tasks.ctx = s;
	observe_budget_init(&s->budget, host_now());
	s->unseen = s->unseen_based = true;	/* from the beginning, when nobody had run */
	placement_init(&s->placement, p->placement, &s->tasks, &s->vcpus);
	s->told_idle = true;
	return ret;
}

/* The thread that observes may be waiting for the host; what it uses goes with
 * the process, which ends next. */
void sched_exit(struct kernel *k)
{
	if (!k->sched)
		return;
	observe_stop(k->sched);
	unlinkat(k->cfg->state_dir, "cpus", 0);
}

void sched_start(struct kernel *k)
{
	pthread_mutex_lock(&k->sched->lock);
	observe_start(k->sched);
	pthread_mutex_unlock(&k->sched->lock);
}

void sched_adopt(struct kernel *k, pid_t host_pid)
{
	struct sched *s = k->sched;

	pthread_mutex_lock(&s->lock);
	if (s->nroots < SCHED_MAX_ROOTS)
		s->root[s->nroots++] = host_pid;
	s->walk_blind |= !atomic_load(&s->sw);
	pthread_mutex_unlock(&s->lock);
	if (atomic_load(&s->sw))
		walk_from(s, host_pid);
}

void sched_adopted(struct kernel *k, pid_t host_pid)
{
	struct sched *s = k->sched;
	struct task *t;
	bool observed;

	pthread_mutex_lock(&s->lock);
	t = task_find(&s->tasks, host_pid);
	observed = !atomic_load(&s->sw) || (t && t->observed);
	pthread_mutex_unlock(&s->lock);
	if (!observed)
		walk_from(s, host_pid);
}

void sched_enter(struct kernel *k)
{
	if (k->sched->vcpus.limited)
		host_cpus_set(0, &k->sched->vcpus.all);
}

int sched_walk(struct kernel *k, void (*visit)(void *ctx, pid_t pid, pid_t tid), void *ctx)
{
	struct sched *s = k->sched;
	pid_t root[SCHED_MAX_ROOTS];
	unsigned n;

	pthread_mutex_lock(&s->lock);
	n = s->nroots;
	memcpy(root, s->root, n * sizeof(*root));
	pthread_mutex_unlock(&s->lock);
	return hostproc_walk(root, n, visit, ctx);
}

/* ---- the view --------------------------------------------------------------- */

unsigned sched_nvcpus(const struct kernel *k)
{
	return k->sched->vcpus.n;
}

/* Pids of a namespace are dealt out in turn: with one that is known, and how
 * many forks came after it, so is the last. Lock held. */
static pid_t last_pid(struct sched *s)
{
	struct task *t = s->tasks.newest;
	struct hostproc_status st;

	if (t && !t->guest_tid && hostproc_status(t->tid, &st) == 0) {
		t->guest_tid = st.guest_tid;
		t->guest_pid = st.guest_pid;
	}
	if (t && t->guest_tid) {
		s->anchor_pid = t->guest_tid;
		s->anchor_fork = t->fork_nr;
	}
	return s->anchor_pid + (s->tasks.forks - s->anchor_fork);
}

/* Lock held. What runs now counts up to now. */
static void copy_vcpus(struct sched *s, uint64_t now, struct sched_vcpu *ret)
{
	uint64_t since = s->kernel->start_ns;

	for (unsigned i = 0; i < s->vcpus.n; i++)
		ret[i] = (struct sched_vcpu){
			.host_cpu = vcpu_host(&s->vcpus, i), .busy_ns = s->tasks.busy_ns[i],
		};
	for (unsigned i = 0; i < s->vcpus.nhost; i++) {
		const struct task *t = s->tasks.on_cpu[s->vcpus.host[i]];

		if (t && now > t->since_ns)
			ret[t->vcpu].busy_ns += now - t->since_ns;
	}
	for (unsigned i = 0; i < s->vcpus.n; i++) {
		ret[i].busy_ns = MIN(ret[i].busy_ns, now - since);
		ret[i].idle_ns = now - since - ret[i].busy_ns;
	}
}

static const char *source_str(struct sched *s)
{
	/* Records are to come until it is known that there will be none. */
	return atomic_load(&s->traps) || s->want == SCHED_SOURCE_TRAPS ? "traps" : "perf";
}

void sched_look(struct kernel *k, struct sched_view *ret, struct sched_vcpu *vcpu)
{
	struct sched *s = k->sched;
	struct task_table *tt = &s->tasks;
	uint64_t now;

	observe_now(s);
	pthread_mutex_lock(&s->lock);
	now = host_now();
	task_table_advance(tt, now);
	*ret = (struct sched_view){
		.source = source_str(s), .nvcpus = s->vcpus.n, .vcpu = vcpu,
		.now_ns = now, .since_ns = k->start_ns,
		.tasks = tt->n, .runnable = task_active(tt), .blocked = tt->count[TASK_BLOCKED],
		.forks = tt->forks, .execs = tt->execs, .exits = tt->exits, .sleeps = tt->sleeps,
		.wakes = tt->wakes, .preempts = tt->preempts, .lost = tt->lost,
		.migrations = s->placement.migrations, .pairs = s->placement.ngroups,
		.last_pid = last_pid(s), .idle = tt->idle_since_ns != 0, .idle_ns = tt->idle_ns,
	};
	if (ret->idle && now > tt->idle_since_ns)
		ret->idle_ns += now - tt->idle_since_ns;
	memcpy(ret->load, tt->load.avg, sizeof(ret->load));
	copy_vcpus(s, now, vcpu);
	pthread_mutex_unlock(&s->lock);
}

int sched_on_idle(struct kernel *k, sched_idle_hook hook)
{
	struct sched *s = k->sched;
	int ret = -ENOSPC;

	pthread_mutex_lock(&s->lock);
	if (s->nhooks < SCHED_MAX_HOOKS) {
		s->hook[s->nhooks++] = hook;
		ret = 0;
	}
	pthread_mutex_unlock(&s->lock);
	return ret;
}

/* ---- affinity ----------------------------------------------------------------- */

/* Lock held. The guest's own choice, where the host's mask does not show it:
 * we hold the task on fewer, or guest CPUs share host CPUs. */
static bool own_choice(struct sched *s, const struct task *t, cpu_set_t *ret, size_t size)
{
	if (!t || (!placement_holds(&s->placement, t) && s->vcpus.n <= s->vcpus.nhost))
		return false;
	CPU_ZERO_S(size, ret);
	for (unsigned i = 0; i < s->vcpus.n; i++)
		if (!t->wish || CPU_ISSET(i, t->wish))
			CPU_SET_S(i, size, ret);
	return true;
}

int sched_get_affinity(struct kernel *k, pid_t host_tid, cpu_set_t *ret, size_t size)
{
	struct sched *s = k->sched;
	struct host_cpus host;
	int err;

	/* A child that has just been forked has what its parent has. */
	if (atomic_load(&s->sw))
		observe_now(s);
	pthread_mutex_lock(&s->lock);
	err = host_tid > 0 ? host_cpus_of(host_tid, &host) : -ESRCH;
	if (err == 0 && !own_choice(s, task_find(&s->tasks, host_tid), ret, size))
		vcpus_from_host(&s->vcpus, &host, ret, size);
	pthread_mutex_unlock(&s->lock);
	return err;
}

/* NULL when it is all of them, or when there is no memory for it. */
static cpu_set_t *wish_of(const struct vcpus *v, const cpu_set_t *set, size_t size)
{
	cpu_set_t *wish = malloc(sizeof(*wish));
	unsigned n = 0;

	if (!wish)
		return NULL;
	CPU_ZERO(wish);
	for (unsigned i = 0; i < v->n; i++) {
		if (!CPU_ISSET_S(i, size, set))
			continue;
		CPU_SET(i, wish);
		n++;
	}
	if (n < v->n)
		return wish;
	free(wish);
	return NULL;
}

int sched_set_affinity(struct kernel *k, pid_t host_tid, const cpu_set_t *set, size_t size)
{
	struct sched *s = k->sched;
	struct hostproc_status st;
	struct host_cpus host;
	struct task *t;
	int ret;

	if (!vcpus_to_host(&s->vcpus, set, size, &host))
		return -EINVAL;
	if (host_tid <= 0 || hostproc_status(host_tid, &st) < 0)
		return -ESRCH;
	if (atomic_load(&s->sw))
		observe_now(s);
	pthread_mutex_lock(&s->lock);
	t = task_find(&s->tasks, host_tid);
	if (!t)
		t = task_add(&s->tasks, st.pid, host_tid, host_now());
	if (t) {
		free(t->wish);
		t->wish = wish_of(&s->vcpus, set, size);
		ret = placement_release(&s->placement, t, host_now());
	} else {
		ret = host_cpus_set(host_tid, &host);
	}
	pthread_mutex_unlock(&s->lock);
	return ret;
}

bool sched_host_set(struct kernel *k, const cpu_set_t *set, size_t size, void *ret, size_t ret_size)
{
	struct host_cpus host;
	bool any = vcpus_to_host(&k->sched->vcpus, set, size, &host);

	memset(ret, 0, ret_size);
	memcpy(ret, &host, MIN(ret_size, sizeof(host)));
	return any;
}

int sched_cpu_of(struct kernel *k, pid_t host_tid)
{
	struct sched *s = k->sched;
	struct hostproc_stat st;
	struct task *t;
	int ret = hostproc_stat(host_tid, &st);

	if (ret < 0)
		return -ESRCH;
	pthread_mutex_lock(&s->lock);
	t = task_find(&s->tasks, host_tid);
	ret = vcpu_name(&s->vcpus, t ? t->vcpu : 0, st.cpu);
	pthread_mutex_unlock(&s->lock);
	return ret;
}

/* Lock held. */
static void ask_guest_pid(struct task *t)
{
	struct hostproc_status st;

	if (t->guest_tid || hostproc_status(t->tid, &st) < 0)
		return;
	t->guest_tid = st.guest_tid;
	t->guest_pid = st.guest_pid;
	t->uid = st.uid;
}

static pid_t find_guest_tid(struct sched *s, pid_t guest_tid)
{
	pid_t ret = -ESRCH;

	pthread_mutex_lock(&s->lock);
	TASK_FOR_EACH(&s->tasks, t) {
		if (ret > 0)
			break;
		ask_guest_pid(t);
		if (t->guest_tid == guest_tid)
			ret = t->tid;
	}
	pthread_mutex_unlock(&s->lock);
	return ret;
}

pid_t sched_host_tid(struct kernel *k, pid_t guest_tid)
{
	struct sched *s = k->sched;
	pid_t ret;

	if (guest_tid <= 0)
		return -ESRCH;
	observe_now(s);
	ret = find_guest_tid(s, guest_tid);
	if (ret > 0)
		return ret;
	/* Not observed yet: it began a moment ago. */
	observe_walk(s);
	return find_guest_tid(s, guest_tid);
}
