/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest.c - when the guest is not observed, because that costs it too much
 *
 * With source = auto, what records and inherited events cost the guest is charged
 * to a budget (observe_budget.h) at each drain. When that is spent, all events
 * are closed, those of the rings too, and opened again when enough has been
 * earned for another look: as long as there is one, and for a second after, each
 * switch costs the guest something, recorded or not. Meanwhile
 *
 *   - states and run time come from /proc, when somebody asks and every few
 *     seconds for the load averages (walk.c);
 *   - groups that placement has put together stay so; whether their members
 *     need more of a CPU by now is seen from the length of their time slices;
 *   - how often each task is given a CPU says when the rest need not be as long:
 *     the guest has become calm (it may even be idle), or tasks switch that did
 *     not when it was last observed (they may be a pair).
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "kernel/hostproc.h"
#include "kernel/log.h"
#include "kernel/sched/sched_impl.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"
#include "passthrough/trap.h"

#define REST_MIN_NS 250000000	/* opening events again has its price, too */
#define REST_AGAIN_NS 10000000000	/* when the host has no events for us */
#define REST_LOOK_NS PLACEMENT_SAMPLE_NS	/* between two looks at groups */
#define REST_WALK_NS LOADAVG_PERIOD_NS	/* between two walks at most */
#define REST_WALK_PART 400	/* walks may take one part in so many of the worker's time */
#define LOOKED_AT_NS 1000000000	/* who ran so shortly before a rest is known */
#define STRANGE_SWITCHES 200	/* of one task that is not: between two walks, at least */
#define STRANGE_SWITCH_NS 500000	/* and so often: a pair loses a tenth of a CPU by it */
#define EARLY_WAIT_NS 250000000	/* from one early end to the next; doubles with each ... */
#define EARLY_WAIT_MAX_NS 8000000000
#define EARLY_FORGET_NS 20000000000	/* ... that comes within this of the last */
/* Two walks judge, so the end of a wait may be seen as late as that. */
static_assert(EARLY_FORGET_NS > EARLY_WAIT_MAX_NS + 2 * REST_WALK_NS, "the longest wait is forgotten at once");

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
		t->looked_at = t->last_ns && now - MIN(t->last_ns, now) < LOOKED_AT_NS;
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

/* It is tried again and again: once a rest is enough. */
static void tell_refused(struct sched *s, int err)
{
	if (!s->rest_refused && worth_a_line(s->rests))
		log_warn("sched: rest %u goes on: %s", s->rests, strerror(-err));
	s->rest_refused = true;
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
	sleepwake_rest(sw);
	pthread_mutex_lock(&s->lock);
	atomic_store(&s->sw, NULL);
	observe_budget_rest(&s->budget);
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
	s->judged.ns = 0;
	s->rest_over = NULL;
	s->rest_refused = false;
	s->rests++;
	tell_begin(s);
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_unlock(&s->walk_lock);
	/* There is nothing to drain, but those who were told that the guest is idle hear
	 * that this is not known any more. */
	sleepwake_drain(sw);
	pthread_mutex_lock(&s->lock);
}

/* Lock held, and given back meanwhile. */
void rest_end(struct sched *s)
{
	uint64_t now;
	int ret;

	pthread_mutex_unlock(&s->lock);
	ret = sleepwake_resume(s->rested);
	pthread_mutex_lock(&s->lock);
	now = host_now();
	if (ret < 0) {
		tell_refused(s, ret);
		s->rest_until_ns = now + REST_AGAIN_NS;
		return;
	}
	observe_budget_look(&s->budget, now, sched_busy_ns(s, now));
	placement_resume(&s->placement, now);
	atomic_store(&s->sw, s->rested);
	s->rested = NULL;
	s->calls = door_all_calls();
	s->forked = 0;
	s->checked_ns = now;
	s->walk_blind = true;
	if (worth_a_line(s->rests))
		log_info("sched: observing again after rest %u: %s", s->rests,
			 s->rest_over ? s->rest_over : "there is budget for a look");
}

bool rest_is_over(const struct sched *s)
{
	return host_now() >= s->rest_until_ns;
}

/* Between two walks: they are for the guest's good only as long as they cost it little. */
static uint64_t walk_pause(const struct sched *s)
{
	return MAX(MIN(s->walk_took_ns * REST_WALK_PART, (uint64_t)REST_WALK_NS), (uint64_t)REST_LOOK_NS);
}

uint64_t rest_next_look(const struct sched *s)
{
	uint64_t now = host_now(), ns = s->rest_until_ns > now ? s->rest_until_ns - now : 1;

	return MIN(ns, s->placement.ngroups ? (uint64_t)REST_LOOK_NS : walk_pause(s));
}

/* Of those that did not run when they could have been observed. */
static bool is_strange(const struct task *t, uint64_t switches, uint64_t ns)
{
	return !t->looked_at && !t->place.group && switches >= STRANGE_SWITCHES &&
	       switches * STRANGE_SWITCH_NS >= ns;
}

/* What it would have to pay for the next look is remitted, but not often. */
static void end_early(struct sched *s, const char *why, uint64_t now)
{
	uint64_t passed = now - s->early_ns;

	if (passed < s->early_wait_ns)
		return;
	s->early_wait_ns = passed > EARLY_FORGET_NS ? EARLY_WAIT_NS :
			   MIN(s->early_wait_ns * 2, (uint64_t)EARLY_WAIT_MAX_NS);
	s->early_ns = s->rest_until_ns = now;
	s->early++;
	s->rest_over = why;
	observe_budget_grant(&s->budget);
}

void rest_judge(struct sched *s)
{
	struct calm_sample last = s->judged, now = observe_sample_calm();
	bool strange = false, told = false;

	now.switches = last.switches;
	now.run_ns = s->tree_ns;
	TASK_FOR_EACH(&s->tasks, t) {
		uint64_t n = t->slices - t->judged_slices;

		t->judged_slices = t->slices;
		told |= t->slices > 0;
		if (!last.ns)
			continue;
		now.switches += n;
		strange |= is_strange(t, n, now.ns - last.ns);
	}
	s->judged = now;
	/* Not by a host without CONFIG_SCHED_INFO. */
	if (!told || !last.ns || rest_is_over(s))
		return;
	if (observe_budget_dear_to_attach(&s->budget))
		return;
	if (strange)
		end_early(s, "tasks switch that did not when it began", now.ns);
	else if (calm_for_good(&last, &now, s->vcpus.nhost))
		end_early(s, "the guest has become calm", now.ns);
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

static bool is_due(const struct task_group *g, uint64_t now)
{
	return now - g->sampled_ns >= PLACEMENT_SAMPLE_NS;
}

void rest_look_at_group(struct sched *s, uint64_t now)
{
	struct task_group *oldest = s->placement.group;

	for (struct task_group *g = oldest; g; g = g->next)
		if (g->sampled_ns < oldest->sampled_ns)
			oldest = g;
	if (oldest && is_due(oldest, now))
		look_at_members(s, oldest, now);
}

static void look_at_groups(struct sched *s, uint64_t now)
{
	for (struct task_group *g = s->placement.group; g; g = g->next)
		if (is_due(g, now))
			look_at_members(s, g, now);
}

void rest_look(struct sched *s)
{
	uint64_t now = host_now();

	s->walk_all |= now - s->judged.ns >= walk_pause(s);
	look_at_groups(s, now);
	placement_decide(&s->placement, now);
}
