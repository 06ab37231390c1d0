/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest.c - when the guest is not observed, because that costs it too much
 *
 * With source = auto, what records and inherited events cost the guest is charged
 * to a budget (observe_budget.h) at each drain. When that is spent, all events
 * are closed, as only a closed one costs nothing, and opened again when enough
 * has been earned for another look. Meanwhile
 *
 *   - states and run time come from /proc, when somebody asks and every few
 *     seconds for the load averages (walk.c);
 *   - groups that placement has put together stay so; whether their members
 *     need more of a CPU by now is seen from the length of their time slices.
 */
#include <errno.h>

#include "kernel/hostproc.h"
#include "kernel/log.h"
#include "kernel/sched/sched_impl.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"
#include "passthrough/trap.h"

#define REST_MIN_NS 250000000	/* opening events again has its price, too */
#define REST_LOOK_NS PLACEMENT_SAMPLE_NS	/* between two looks at groups */
#define REST_WALK_NS LOADAVG_PERIOD_NS

uint64_t sched_busy_ns(const struct sched *s, uint64_t now)
{
	uint64_t busy = 0;

	for (unsigned i = 0; i < s->vcpus.n; i++)
		busy += s->tasks.busy_ns[i];
	for (unsigned i = 0; i < s->vcpus.nhost; i++) {
		const struct task *t = s->tasks.on_cpu[s->vcpus.host[i]];

		if (t && now > t->since_ns)
			busy += now - t->since_ns;
	}
	return busy;
}

void rest_account(struct sched *s, uint64_t now, unsigned records)
{
	struct sleepwake *sw = atomic_load(&s->sw);
	unsigned cpus = sw ? sleepwake_cpus(sw) : 0;
	uint64_t calls = door_all_calls();

	observe_budget_earn(&s->budget, now, sw ? sched_busy_ns(s, now) : OBSERVE_UNKNOWN);
	observe_budget_spend(&s->budget, OBSERVE_COST_RECORDS,
			     records * (uint64_t)OBSERVE_PRICE_RECORD);
	observe_budget_spend(&s->budget, OBSERVE_COST_FORKS,
			     (uint64_t)s->forked * cpus * OBSERVE_PRICE_EVENT);
	if (sw)
		observe_budget_spend(&s->budget, OBSERVE_COST_CALLS,
				     (calls - s->calls) * OBSERVE_PRICE_CALL);
	s->calls = calls;
	s->forked = 0;
	if (sw && s->want == SCHED_SOURCE_AUTO && observe_budget_is_spent(&s->budget))
		s->rest_wanted = true;
}

/* What runs is not known any more. */
static void forget_running(struct sched *s, uint64_t now)
{
	TASK_FOR_EACH(&s->tasks, t) {
		t->observed = false;
		if (t->state == TASK_RUNNING)
			task_set_state(&s->tasks, t, TASK_RUNNABLE, now);
	}
}

/* The first, second, fourth ... : a guest may rest a million times. */
static bool worth_a_line(unsigned n)
{
	return (n & (n - 1)) == 0;
}

static void tell_begin(const struct sched *s)
{
	if (worth_a_line(s->rests))
		log_info("sched: rest %u, of %llu ms: %s that observing would slow the guest down",
			 s->rests, (unsigned long long)(s->rest_until_ns - s->rest_since_ns) / 1000000,
			 observe_cost_str[s->rest_reason]);
}

/* Nobody attaches while we detach: those who do hold walk_lock. */
void rest_begin(struct sched *s)
{
	struct sleepwake *sw = atomic_load(&s->sw);
	uint64_t now;

	pthread_mutex_unlock(&s->lock);
	pthread_mutex_lock(&s->walk_lock);
	sleepwake_detach(sw);
	sleepwake_drain(sw);
	pthread_mutex_lock(&s->lock);
	atomic_store(&s->sw, NULL);
	now = host_now();
	forget_running(s, now);
	s->told = false;
	placement_rest(&s->placement, now);
	s->rested = sw;
	s->rest_since_ns = now;
	s->rest_until_ns = now + MAX(observe_budget_wait(&s->budget), (uint64_t)REST_MIN_NS);
	s->rest_reason = observe_budget_most(&s->budget);
	s->rest_wanted = false;
	s->unseen = s->walk_all = true;
	s->unseen_based = false;
	s->rests++;
	tell_begin(s);
	pthread_mutex_unlock(&s->walk_lock);
}

void rest_end(struct sched *s)
{
	uint64_t now = host_now();

	observe_budget_look(&s->budget, now, sched_busy_ns(s, now));
	placement_resume(&s->placement, now);
	atomic_store(&s->sw, s->rested);
	s->rested = NULL;
	s->calls = door_all_calls();
	s->forked = 0;
	s->checked_ns = now;
	s->walk_blind = true;
	if (worth_a_line(s->rests))
		log_info("sched: observing again after rest %u: there is budget for a look", s->rests);
}

bool rest_is_over(const struct sched *s)
{
	return host_now() >= s->rest_until_ns;
}

uint64_t rest_next_look(const struct sched *s)
{
	uint64_t now = host_now(), ns = s->rest_until_ns > now ? s->rest_until_ns - now : 1;

	return MIN(ns, (uint64_t)(s->placement.ngroups ? REST_LOOK_NS : REST_WALK_NS));
}

static void look_at_members(struct sched *s, struct task_group *g, uint64_t now)
{
	for (struct task *t = g->member, *next; t; t = next) {
		struct hostproc_slices sl;

		next = t->place.next;
		if (hostproc_slices(t->tid, &sl) == 0)
			placement_sample(t, &sl);
		else if (s->rested && host_call(SYS_tgkill, t->pid, t->tid, 0) == -ESRCH)
			task_remove(&s->tasks, t, now);
	}
	placement_sampled(g, now);
}

void rest_look_at_groups(struct sched *s, uint64_t now)
{
	for (struct task_group *g = s->placement.group; g; g = g->next)
		if (now - g->sampled_ns >= PLACEMENT_SAMPLE_NS)
			look_at_members(s, g, now);
}

void rest_look(struct sched *s)
{
	uint64_t now = host_now();

	s->walk_all |= now - s->walked_ns >= REST_WALK_NS;
	rest_look_at_groups(s, now);
	placement_decide(&s->placement, now);
}
