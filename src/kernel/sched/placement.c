/* SPDX-License-Identifier: Apache-2.0 */
/*
 * placement.c - which of the guest's tasks belong on one CPU
 */
#include "kernel/sched/placement.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/sched/placement_impl.h"
#include "kernel/util.h"

#define RATE_NS 100000000	/* in which there are at most RATE_MAX decisions */
#define RATE_MAX 32

void placement_init(struct placement *p, enum policy_sched_placement mode,
		    struct task_table *tt, const struct vcpus *v)
{
	*p = (struct placement){
		.mode = mode, .tasks = tt, .vcpus = v, .apply = host_cpus_set,
	};
	/* With one CPU there is nothing to choose. */
	if (v->nhost < 2)
		p->mode = PLACEMENT_OFF;
}

void placement_destroy(struct placement *p)
{
	while (p->group) {
		struct task_group *g = p->group;

		p->group = g->next;
		free(g);
	}
	p->ngroups = 0;
}

/* ---- what all modes share ------------------------------------------------- */

void placement_note(struct placement *p, uint64_t ns, const char *what, const char *reason,
		    pid_t a, pid_t b, unsigned vcpu)
{
	p->decision[p->ndecisions++ % PLACEMENT_DECISIONS] = (struct placement_decision){
		.ns = ns, .what = what, .reason = reason, .tid = { a, b }, .vcpu = vcpu,
	};
	p->rate++;
}

bool placement_may_decide(struct placement *p, uint64_t now)
{
	if (now - p->rate_ns >= RATE_NS) {
		p->rate_ns = now;
		p->rate = 0;
	}
	return p->rate < RATE_MAX;
}

bool placement_allowed(const struct task *t, unsigned vcpu)
{
	return !t->wish || CPU_ISSET(vcpu, t->wish);
}

int placement_hold(struct placement *p, const struct task *t, unsigned vcpu)
{
	struct host_cpus one = {};

	host_cpus_add(&one, vcpu_host(p->vcpus, vcpu));
	p->migrations += t->cpu != vcpu_host(p->vcpus, vcpu);
	return p->apply(t->tid, &one);
}

int placement_free(struct placement *p, const struct task *t)
{
	struct host_cpus set;

	if (!t->wish || !vcpus_to_host(p->vcpus, t->wish, sizeof(*t->wish), &set))
		set = p->vcpus->all;
	return p->apply(t->tid, &set);
}

bool placement_holds(const struct placement *p, const struct task *t)
{
	return t->place.group || ((p->mode == PLACEMENT_SPREAD || p->mode == PLACEMENT_PACK) &&
				  t->place.held);
}

/* ---- the way in ------------------------------------------------------------------ */

static void note_loose(struct placement *p, const struct task *t)
{
	if (p->nloose < PLACEMENT_WAITING)
		p->loose[p->nloose++] = t->tid;
	else
		p->loose_overflow = true;
}

/* A child begins where its parent was held. */
static void on_fork(struct placement *p, struct task *t, const struct sleepwake_record *r)
{
	struct task *maker = task_find(p->tasks, r->ptid);

	if (p->mode == PLACEMENT_AUTO && !(maker && maker->place.group))
		return;
	t->place.held = maker && placement_holds(p, maker);
	note_loose(p, t);
}

void placement_found(struct placement *p, struct task *t)
{
	if (p->mode == PLACEMENT_SPREAD || p->mode == PLACEMENT_PACK)
		note_loose(p, t);
}

void placement_record(struct placement *p, struct task *t, const struct sleepwake_record *r)
{
	if (p->mode == PLACEMENT_OFF)
		return;
	if (r->kind == SLEEPWAKE_FORK)
		on_fork(p, t, r);
	if (p->mode == PLACEMENT_AUTO)
		placement_pairs_record(p, t, r);
}

void placement_decide(struct placement *p, uint64_t now)
{
	switch (p->mode) {
	case PLACEMENT_AUTO:
		placement_pairs(p, now);
		break;
	case PLACEMENT_SPREAD:
		placement_spread(p, now);
		break;
	case PLACEMENT_PACK:
		placement_pack(p, now);
		break;
	default:
		break;
	}
}

void placement_gone(struct placement *p, struct task *t)
{
	if (t->place.group)
		placement_group_drop(t->place.group, t);
	if (p->slept == t)
		p->slept = NULL;
	if (p->left == t)
		p->left = NULL;
}

void placement_rest(struct placement *p, uint64_t now)
{
	if (p->mode == PLACEMENT_AUTO)
		placement_pairs_rest(p, now);
	placement_decide(p, now);
}

void placement_resume(struct placement *p, uint64_t now)
{
	if (p->mode == PLACEMENT_AUTO)
		placement_pairs_resume(p, now);
}

int placement_release(struct placement *p, struct task *t, uint64_t now)
{
	t->place.held = false;
	t->place.not_before_ns = now + PLACEMENT_AGAIN_NS;
	if (t->place.group)
		placement_group_end(p, t->place.group, "the guest set a member's affinity",
				    now);
	return placement_free(p, t);
}
