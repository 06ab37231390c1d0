/* SPDX-License-Identifier: Apache-2.0 */
/*
 * placement_static.c - placement = spread and placement = pack
 *
 * Both look at how many tasks run, not at who wakes whom.
 */
#include <string.h>

#include "kernel/sched/placement_impl.h"
#include "kernel/util.h"

#define MOVE_NS 10000000	/* spread: at most one task is moved in this time */
#define PACK_NS 20000000	/* pack: load is measured over this */
#define PACK_FULL 90		/* percent of the open CPUs: another is opened */
#define PACK_ROOM 70		/* percent of one CPU less: one is closed */

static bool is_active(const struct task *t)
{
	return t->state == TASK_RUNNING || t->state == TASK_RUNNABLE;
}

/* ---- spread -------------------------------------------------------------------- */

/* Tasks on each host CPU's first number: all, and those that run or want to. */
struct crowd {
	unsigned all[SCHED_MAX_VCPUS], active[SCHED_MAX_VCPUS];
};

static void count_crowd(const struct placement *p, struct crowd *c)
{
	memset(c, 0, sizeof(*c));
	TASK_FOR_EACH(p->tasks, t) {
		unsigned i = t->vcpu % p->vcpus->nhost;

		if (!t->place.held || t->state == TASK_ZOMBIE)
			continue;
		c->all[i]++;
		c->active[i] += is_active(t);
	}
}

static int emptiest(const struct placement *p, const struct crowd *c, const struct task *t)
{
	int best = -1;

	for (unsigned i = 0; i < p->vcpus->nhost; i++) {
		if (!placement_allowed(t, i))
			continue;
		if (best < 0 || c->active[i] < c->active[best] ||
		    (c->active[i] == c->active[best] && c->all[i] < c->all[best]))
			best = i;
	}
	return best;
}

static void spread_one(struct placement *p, struct crowd *c, struct task *t, const char *reason,
		       uint64_t now)
{
	int vcpu = emptiest(p, c, t);

	if (vcpu < 0 || placement_hold(p, t, vcpu) < 0)
		return;
	t->place.held = true;
	t->vcpu = vcpu;
	c->all[vcpu]++;
	c->active[vcpu] += is_active(t);
	placement_note(p, now, "spread", reason, t->tid, 0, vcpu);
}

/* A CPU has two that want to run, another has none. */
static void move_one(struct placement *p, struct crowd *c, uint64_t now)
{
	TASK_FOR_EACH(p->tasks, t) {
		unsigned from = t->vcpu % p->vcpus->nhost;
		int to;

		if (!t->place.held || t->state != TASK_RUNNABLE || c->active[from] < 2)
			continue;
		to = emptiest(p, c, t);
		if (to < 0 || c->active[to] > 0)
			continue;
		c->all[from]--;
		c->active[from]--;
		spread_one(p, c, t, "its CPU had several to run, this one none", now);
		return;
	}
}

void placement_spread(struct placement *p, uint64_t now)
{
	struct crowd c;

	if (!p->nloose && !p->loose_overflow && now - p->mark_ns < MOVE_NS)
		return;
	count_crowd(p, &c);
	for (unsigned i = 0; i < p->nloose; i++) {
		struct task *t = task_find(p->tasks, p->loose[i]);

		if (t && t->state != TASK_ZOMBIE) {
			t->place.held = false;
			spread_one(p, &c, t, "new", now);
		}
	}
	p->nloose = 0;
	p->loose_overflow = false;
	/* Those that were there before, and those that had no room above. */
	TASK_FOR_EACH(p->tasks, t)
		if (!t->place.held && t->state != TASK_ZOMBIE && now >= t->place.not_before_ns &&
		    placement_may_decide(p, now))
			spread_one(p, &c, t, "not placed yet", now);
	if (now - p->mark_ns < MOVE_NS)
		return;
	p->mark_ns = now;
	if (placement_may_decide(p, now))
		move_one(p, &c, now);
}

/* ---- pack ------------------------------------------------------------------------ */

static uint64_t busy_so_far(const struct placement *p, uint64_t now)
{
	uint64_t ns = 0;

	for (unsigned i = 0; i < p->vcpus->n; i++)
		ns += p->tasks->busy_ns[i];
	TASK_FOR_EACH(p->tasks, t)
		if (t->state == TASK_RUNNING && now > t->since_ns)
			ns += now - t->since_ns;
	return ns;
}

/* The open CPUs, or what the guest wants if it wants none of them. */
static void pack_one(struct placement *p, struct task *t)
{
	struct host_cpus set = {};
	bool any = false;

	for (unsigned i = 0; i < p->open; i++) {
		if (!placement_allowed(t, i))
			continue;
		host_cpus_add(&set, vcpu_host(p->vcpus, i));
		any = true;
	}
	t->place.held = any;
	if (!any)
		placement_free(p, t);
	else if (p->apply(t->tid, &set) == 0)
		p->migrations += t->cpu >= 0 && !host_cpus_has(&set, t->cpu);
}

static void pack_all(struct placement *p, unsigned open, const char *what, const char *reason,
		     uint64_t now)
{
	p->open = open;
	TASK_FOR_EACH(p->tasks, t)
		if (t->state != TASK_ZOMBIE)
			pack_one(p, t);
	placement_note(p, now, what, reason, 0, 0, open - 1);
}

static void pack_new(struct placement *p)
{
	TASK_FOR_EACH(p->tasks, t)
		if (!t->place.held && t->state != TASK_ZOMBIE)
			pack_one(p, t);
	p->nloose = 0;
	p->loose_overflow = false;
}

void placement_pack(struct placement *p, uint64_t now)
{
	uint64_t busy, passed = now - p->mark_ns;
	unsigned percent;

	if (!p->open)
		pack_all(p, 1, "open", "the first CPU", now);
	else if (p->nloose || p->loose_overflow)
		pack_new(p);
	if (passed < PACK_NS)
		return;
	busy = busy_so_far(p, now);
	percent = (busy - MIN(busy, p->mark_busy_ns)) * 100 / passed;
	p->mark_ns = now;
	p->mark_busy_ns = busy;
	if (percent >= p->open * PACK_FULL && p->open < p->vcpus->nhost)
		pack_all(p, p->open + 1, "open", "those in use are busy", now);
	else if (p->open > 1 && percent < (p->open - 1) * PACK_ROOM)
		pack_all(p, p->open - 1, "close", "one fewer is enough", now);
}
