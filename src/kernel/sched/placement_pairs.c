/* SPDX-License-Identifier: Apache-2.0 */
/*
 * placement_pairs.c - placement = auto: who wakes whom belongs together
 *
 * What the numbers below stand for: a wake-up across CPUs costs some 20 us one
 * way. Tasks that work for less than PAIR_BURST_NS between sleeps lose more by
 * it than they could gain by working side by side; from APART_BURST_NS on the
 * gain is theirs. Between the two lies the hysteresis.
 *
 * How much of a CPU two tasks need can be seen while each has one. On one CPU
 * they never need more; what shows there is that each waits for it while the
 * other works. Where one wakes the other and sleeps, as in a ping-pong, that is
 * 1 to 6 us; of redis-server and a client with ten requests under way, which do
 * twice as much side by side, each waits 16 us.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/sched/placement_impl.h"
#include "kernel/util.h"

#define WAKE_GAP_NS 200000	/* a run this long after a sleep may be due to it */
#define PAIR_SCORE 24		/* wake-ups across CPUs, each way, before a pair is one */
#define PAIR_SCORE_MAX 32
#define PAIR_BURST_NS 100000
#define APART_BURST_NS 300000	/* mean */
#define LONG_BURST_NS 1000000	/* one: a second in a window ends a group */
#define NEAR_BURST_NS 10000	/* on one CPU; who keeps it longer has others wait */
#define APART_WAIT_NS 12000	/* mean, of each member, in two samples running */
#define HOG_NS 5000000		/* still running after that, twice we look: it ends */
#define PAIR_LOAD 85		/* percent of a CPU that a group may need */
#define SAMPLE_RUN_NS 1000000	/* less says nothing of how long a task runs in one go */
#define WINDOW_NS 50000000
#define WINDOW_WAKES 20		/* fewer say nothing */
#define AGAIN_DOUBLES 6		/* PLACEMENT_AGAIN_NS doubles with each time, so often */
#define FORGIVE_NS 10000000000	/* together for so long: the count begins anew */

/* ---- groups ----------------------------------------------------------------- */

static void group_unlink(struct placement *p, struct task_group *g)
{
	struct task_group **pp = &p->group;

	while (*pp != g)
		pp = &(*pp)->next;
	*pp = g->next;
	p->ngroups--;
	free(g);
}

/* It was tried, and is not soon to be again. */
static void postpone(struct task *t, bool failed, uint64_t now)
{
	t->place.score = 0;
	t->place.partner = 0;
	t->place.splits = failed ? t->place.splits + 1 : 0;
	t->place.not_before_ns =
		now + ((uint64_t)PLACEMENT_AGAIN_NS << MIN(t->place.splits, (unsigned)AGAIN_DOUBLES));
}

/* Each member is where the guest wants it again. */
void placement_group_end(struct placement *p, struct task_group *g, const char *reason, uint64_t now)
{
	pid_t tid[2] = {};
	unsigned vcpu = g->vcpu, n = 0;

	while (g->member) {
		struct task *t = g->member;

		g->member = t->place.next;
		t->place.group = NULL;
		postpone(t, now - g->since_ns <= FORGIVE_NS, now);
		placement_free(p, t);
		if (n < 2)
			tid[n++] = t->tid;
	}
	group_unlink(p, g);
	placement_note(p, now, "apart", reason, tid[0], tid[1], vcpu);
}

void placement_group_drop(struct task_group *g, struct task *t)
{
	struct task **pp = &g->member;

	while (*pp != t)
		pp = &(*pp)->place.next;
	*pp = t->place.next;
	t->place.group = NULL;
	g->n--;
	if (g->n < 2 && !g->over)
		g->over = "the other has ended";
}

static bool group_add(struct placement *p, struct task_group *g, struct task *t)
{
	if (placement_hold(p, t, g->vcpu) < 0)
		return false;
	t->place.group = g;
	t->place.sample_slices = t->place.mean_wait_ns = 0;
	t->place.next = g->member;
	g->member = t;
	g->n++;
	return true;
}

static void begin_window(struct task_group *g, uint64_t now)
{
	g->window_ns = now;
	g->wakes = g->partners = g->long_bursts = 0;
}

/* As far as this window can tell. */
static bool wake_each_other(const struct task_group *g)
{
	return g->wakes < WINDOW_WAKES || g->partners >= g->wakes / 2;
}

/* ---- auto: records ----------------------------------------------------------- */

static void wait_for_decision(struct placement *p, struct task *t)
{
	for (unsigned i = 0; i < p->nwaiting; i++)
		if (p->waiting[i] == t->tid)
			return;
	if (p->nwaiting < PLACEMENT_WAITING)
		p->waiting[p->nwaiting++] = t->tid;
}

/* Percent of a CPU that a task has used since it met its partner. */
static unsigned load_of(const struct task *t, uint64_t now)
{
	uint64_t run = task_time(t, TASK_RUNNING, now) - t->place.mark_run_ns;
	uint64_t all = now > t->place.mark_ns ? now - t->place.mark_ns : 1;

	return run * 100 / all;
}

static void count_anew(struct task *t, uint64_t ns)
{
	t->place.score = 0;
	t->place.mark_ns = ns;
	t->place.mark_run_ns = t->time_ns[TASK_RUNNING];
}

static bool are_pair(const struct task *a, const struct task *b, uint64_t ns)
{
	return a->place.score >= PAIR_SCORE && b->place.score >= PAIR_SCORE &&
	       b->place.partner == a->tid && load_of(a, ns) + load_of(b, ns) < PAIR_LOAD;
}

/* @by went to sleep, and @t was woken right after. */
static void note_partner(struct placement *p, struct task *t, struct task *by, uint64_t ns)
{
	if (t->place.partner != by->tid) {
		if (t->place.score > 1) {
			t->place.score -= 2;
			return;
		}
		t->place.partner = by->tid;
		t->place.near = 0;
		count_anew(t, ns);
	}
	/* On one CPU it costs nothing, and load there is not what they need. */
	if (t->cpu == by->cpu) {
		count_anew(t, ns);
		t->place.near = MIN(t->place.near + 1, (unsigned)PAIR_SCORE_MAX);
		return;
	}
	t->place.near = 0;
	if (t->place.score < PAIR_SCORE_MAX)
		t->place.score++;
	if (are_pair(t, by, ns))
		wait_for_decision(p, t);
}

static bool slept_before(const struct task *t, uint64_t ns)
{
	return t->state == TASK_SLEEPING && ns >= t->since_ns && ns - t->since_ns < WAKE_GAP_NS;
}

/* Who may have woken @t: the partner it had, if that sleeps now, else the last to sleep. */
static struct task *waker_of(struct placement *p, struct task *t, uint64_t ns)
{
	struct task *by = t->place.partner ? task_find(p->tasks, t->place.partner) : NULL;

	if (by && by != t && slept_before(by, ns))
		return by;
	by = p->slept;
	return by && by != t && slept_before(by, ns) ? by : NULL;
}

static void on_run(struct placement *p, struct task *t, uint64_t ns)
{
	struct task_group *g = t->place.group;
	struct task *by;

	t->place.run_ns = ns;
	if (!t->place.asleep)
		return;
	t->place.asleep = false;
	if (g) {
		/* On one CPU the waker may be preempted before it sleeps. */
		g->wakes++;
		g->partners += p->left && p->left != t && p->left->place.group == g;
		return;
	}
	by = waker_of(p, t, ns);
	if (by)
		note_partner(p, t, by, ns);
}

/* It leaves its CPU. A task whose partner is quick, on the same CPU, is preempted
 * by it and need not sleep: what counts is how long it stays in one go. */
static void on_leave(struct placement *p, struct task *t, uint64_t ns)
{
	uint64_t burst = ns > t->place.run_ns ? ns - t->place.run_ns : 0;

	p->left = t;
	if (!t->place.run_ns)
		return;
	t->place.mean_burst_ns += (int64_t)(burst - t->place.mean_burst_ns) / 8;
	if (t->place.group && burst > LONG_BURST_NS)
		t->place.group->long_bursts++;
}

static void on_sleep(struct placement *p, struct task *t)
{
	t->place.asleep = true;
	p->slept = t;
}

void placement_pairs_record(struct placement *p, struct task *t, const struct sleepwake_record *r)
{
	if (r->kind == SLEEPWAKE_RUN)
		on_run(p, t, r->ns);
	if (r->kind == SLEEPWAKE_SLEEP || r->kind == SLEEPWAKE_PREEMPT)
		on_leave(p, t, r->ns);
	if (r->kind == SLEEPWAKE_SLEEP)
		on_sleep(p, t);
	if (r->kind == SLEEPWAKE_EXEC && t->place.group)
		t->place.group->over = "a member runs another program";
}

/* ---- auto: decisions ----------------------------------------------------------- */

static const char *why_apart(struct task_group *g, uint64_t now)
{
	bool hog = false;

	for (struct task *t = g->member; t; t = t->place.next) {
		if (t->state == TASK_ZOMBIE)
			return "the other has ended";
		if (t->place.mean_burst_ns > APART_BURST_NS)
			return "a member needs more of a CPU";
		hog |= t->state == TASK_RUNNING && now > t->since_ns + HOG_NS;
	}
	g->hogged = hog ? g->hogged + 1 : 0;
	if (g->hogged > 1)
		return "a member does not leave its CPU any more";
	if (g->long_bursts > 1)
		return "a member needs more of a CPU";
	if (g->crowded > 1)
		return "they could work at the same time";
	if (now - g->window_ns < WINDOW_NS)
		return NULL;
	if (!wake_each_other(g))
		return "they do not wake each other any more";
	begin_window(g, now);
	return NULL;
}

static void end_groups(struct placement *p, uint64_t now)
{
	struct task_group *g, *next;

	for (g = p->group; g; g = next) {
		next = g->next;
		if (!g->over)
			g->over = why_apart(g, now);
		if (g->over)
			placement_group_end(p, g, g->over, now);
	}
}

/* How many others run, or want to, on each CPU of the guest. */
static void count_others(struct placement *p, const struct task *a, const struct task *b,
			 unsigned *n)
{
	memset(n, 0, p->vcpus->n * sizeof(*n));
	TASK_FOR_EACH(p->tasks, t)
		if (t != a && t != b && !t->place.group &&
		    (t->state == TASK_RUNNING || t->state == TASK_RUNNABLE))
			n[t->vcpu] += 2;
	for (const struct task_group *g = p->group; g; g = g->next)
		n[g->vcpu]++;
}

/* The emptiest CPU that both may use, best one they are on. -1: none is free of others. */
static int choose_vcpu(struct placement *p, const struct task *a, const struct task *b)
{
	unsigned n[SCHED_MAX_VCPUS];
	int best = -1;

	count_others(p, a, b, n);
	for (unsigned i = 0; i < MIN(p->vcpus->n, p->vcpus->nhost); i++) {
		bool here = i == a->vcpu || i == b->vcpu;

		if (!placement_allowed(a, i) || !placement_allowed(b, i) || n[i] >= 2)
			continue;
		if (best < 0 || n[i] < n[best] ||
		    (n[i] == n[best] && here && (unsigned)best != a->vcpu &&
		     (unsigned)best != b->vcpu))
			best = i;
	}
	return best;
}

static struct task_group *group_new(struct placement *p, struct task *a, struct task *b,
				    uint64_t now)
{
	int vcpu = choose_vcpu(p, a, b);
	struct task_group *g;

	if (vcpu < 0 || p->ngroups == PLACEMENT_GROUPS || !(g = calloc(1, sizeof(*g))))
		return NULL;
	g->vcpu = vcpu;
	g->since_ns = g->window_ns = g->sampled_ns = now;
	g->next = p->group;
	p->group = g;
	p->ngroups++;
	return g;
}

static unsigned group_load(const struct task_group *g, uint64_t now)
{
	unsigned load = 0;

	for (const struct task *t = g->member; t; t = t->place.next)
		load += load_of(t, now);
	return load;
}

static bool suits(const struct task *t, uint64_t now)
{
	return now >= t->place.not_before_ns && t->place.mean_burst_ns < PAIR_BURST_NS;
}

/* A third or fourth comes to a pair. */
static void join_group(struct placement *p, struct task_group *g, struct task *t, uint64_t now)
{
	if (g->n >= PLACEMENT_GROUP_MAX || !placement_allowed(t, g->vcpu) ||
	    group_load(g, now) + load_of(t, now) >= PAIR_LOAD)
		return;
	if (group_add(p, g, t))
		placement_note(p, now, "together", "it and a member of a group wake each other",
			       t->tid, g->member->place.next->tid, g->vcpu);
}

static void pair_up(struct placement *p, struct task *a, struct task *b, const char *why,
		    uint64_t now)
{
	struct task_group *g;

	if (a->place.group && b->place.group)
		return;
	if (a->place.group || b->place.group) {
		struct task *in = a->place.group ? a : b;

		join_group(p, in->place.group, in == a ? b : a, now);
		return;
	}
	g = group_new(p, a, b, now);
	if (!g)
		return;
	if (!group_add(p, g, a) || !group_add(p, g, b)) {
		placement_group_end(p, g, "the host refuses", now);
		postpone(a, true, now);
		postpone(b, true, now);
		return;
	}
	placement_note(p, now, "together", why, a->tid, b->tid, g->vcpu);
}

static void make_pairs(struct placement *p, uint64_t now)
{
	for (unsigned i = 0; i < p->nwaiting && placement_may_decide(p, now); i++) {
		struct task *a = task_find(p->tasks, p->waiting[i]);
		struct task *b = a ? task_find(p->tasks, a->place.partner) : NULL;

		if (b && b->place.partner == a->tid && suits(a, now) && suits(b, now))
			pair_up(p, a, b, "they wake each other across CPUs", now);
		/* Count again, should it not have come to a pair. */
		if (a && !a->place.group)
			count_anew(a, now);
	}
	p->nwaiting = 0;
}

/* Children of those that are held are not held. */
static void free_loose(struct placement *p)
{
	for (unsigned i = 0; i < p->nloose; i++) {
		struct task *t = task_find(p->tasks, p->loose[i]);

		if (t && !t->place.group)
			placement_free(p, t);
	}
	if (p->loose_overflow)
		TASK_FOR_EACH(p->tasks, t)
			if (!t->place.group)
				placement_free(p, t);
	p->nloose = 0;
	p->loose_overflow = false;
}

void placement_pairs(struct placement *p, uint64_t now)
{
	free_loose(p);
	end_groups(p, now);
	make_pairs(p, now);
}

/* ---- auto: without records ----------------------------------------------------- */

static bool are_neighbours(const struct task *a, const struct task *b)
{
	return a->place.near >= PAIR_SCORE && b->place.near >= PAIR_SCORE &&
	       b->place.partner == a->tid && a->cpu == b->cpu &&
	       a->place.mean_burst_ns < NEAR_BURST_NS && b->place.mean_burst_ns < NEAR_BURST_NS;
}

/* The host has them on one CPU, and would part them when nobody looks. Those that
 * could work at the same time are none of these. */
static void keep_neighbours(struct placement *p, uint64_t now)
{
	TASK_FOR_EACH(p->tasks, a) {
		struct task *b = a->place.near ? task_find(p->tasks, a->place.partner) : NULL;

		if (!b || !are_neighbours(a, b) || !suits(a, now) || !suits(b, now))
			continue;
		if (!a->place.group && !b->place.group && placement_may_decide(p, now))
			pair_up(p, a, b, "they wake each other on one CPU", now);
	}
}

/* Who slept last has long run again. */
void placement_pairs_rest(struct placement *p, uint64_t now)
{
	keep_neighbours(p, now);
	p->slept = p->left = NULL;
	p->nwaiting = 0;
	TASK_FOR_EACH(p->tasks, t) {
		t->place.asleep = false;
		t->place.near = 0;
		count_anew(t, p->tasks->now_ns);
	}
	for (struct task_group *g = p->group; g; g = g->next)
		if (!g->over && !wake_each_other(g))
			g->over = "they do not wake each other any more";
}

void placement_pairs_resume(struct placement *p, uint64_t now)
{
	TASK_FOR_EACH(p->tasks, t) {
		t->place.run_ns = 0;
		count_anew(t, now);
	}
	for (struct task_group *g = p->group; g; g = g->next)
		begin_window(g, now);
}

void placement_sample(struct task *t, const struct hostproc_slices *sl)
{
	uint64_t ran = sl->run_ns - t->place.sample_run_ns;
	uint64_t waited = sl->wait_ns - t->place.sample_wait_ns;
	uint64_t n = MAX(sl->n - t->place.sample_slices, UINT64_C(1));

	bool known = t->place.sample_slices && ran >= SAMPLE_RUN_NS;

	if (known)
		t->place.mean_burst_ns = ran / n;
	/* Of this sample or of none: each counts once. */
	t->place.mean_wait_ns = known ? waited / n : 0;
	t->place.sample_run_ns = sl->run_ns;
	t->place.sample_wait_ns = sl->wait_ns;
	t->place.sample_slices = sl->n;
}

void placement_sampled(struct task_group *g, uint64_t now)
{
	bool crowded = true;

	for (const struct task *t = g->member; t; t = t->place.next)
		crowded &= t->place.mean_wait_ns > APART_WAIT_NS;
	g->crowded = crowded ? g->crowded + 1 : 0;
	g->sampled_ns = now;
}
