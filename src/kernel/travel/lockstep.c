/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lockstep.c - a travelling guest that keeps step with others by a calendar
 */
#include "kernel/travel/lockstep.h"

#include <stdio.h>
#include <string.h>

#include "kernel/kernel.h"
#include "kernel/log.h"
#include "kernel/time/timekeeper.h"
#include "kernel/travel/calendar.h"
#include "kernel/travel/travel.h"
#include "kernel/util.h"

static uint64_t to_monotonic(const struct lockstep *l, uint64_t calendar_ns)
{
	/* A calendar that goes back moves nothing. */
	if (calendar_ns < l->calendar_ns)
		return l->monotonic_ns;
	return l->monotonic_ns + (calendar_ns - l->calendar_ns);
}

static uint64_t to_calendar(const struct lockstep *l, uint64_t monotonic_ns)
{
	return l->calendar_ns + (monotonic_ns - l->monotonic_ns);
}

static void request(struct lockstep *l, uint64_t monotonic_ns)
{
	calendar_say(l->calendar, CALENDAR_REQUEST, to_calendar(l, monotonic_ns));
	l->requested = monotonic_ns;
}

/* ---- news ---------------------------------------------------------------- */

static void on_run(struct kernel *k, struct agenda *a, uint64_t time)
{
	struct lockstep *l = &k->travel->lockstep;

	travel_leap(k, a, to_monotonic(l, time), false);
	l->waiting = false;
	l->requested = UINT64_MAX;
	calendar_answer(l->calendar);
}

static void on_update(struct kernel *k, struct agenda *a, uint64_t time)
{
	struct lockstep *l = &k->travel->lockstep;

	if (!travel_all_sleep(k, a) || !travel_leap(k, a, to_monotonic(l, time), true))
		request(l, a->now[VCLOCK_MONOTONIC]);
	calendar_answer(l->calendar);
}

static void on_gone(struct lockstep *l)
{
	calendar_close(l->calendar);
	l->calendar = NULL;
	l->on = false;
}

/* ---- turns ---------------------------------------------------------------- */

/* All sleep: go on without asking where that was allowed, else wait for our turn. */
static bool end_turn(struct kernel *k, struct agenda *a, const struct calendar_news *news)
{
	struct lockstep *l = &k->travel->lockstep;
	uint64_t now = a->now[VCLOCK_MONOTONIC], left = UINT64_MAX;
	bool any = travel_next(k, a, &left);

	if (any && news->free_until > l->calendar_ns && now + left <= to_monotonic(l, news->free_until))
		return travel_leap(k, a, now + left, true);
	if (!travel_all_slept(k, a))
		return false;
	if (news->free_until > l->calendar_ns)
		calendar_say(l->calendar, CALENDAR_UPDATE, to_calendar(l, now));
	if (any)
		request(l, now + left);
	l->waiting = true;
	calendar_say(l->calendar, CALENDAR_WAIT, 0);
	return true;
}

/* It is not our turn: has the outside world woken the guest, or given it an earlier
 * deadline? */
static bool watch(struct kernel *k, struct agenda *a)
{
	struct lockstep *l = &k->travel->lockstep;
	bool asleep = travel_all_sleep(k, a);
	uint64_t now = a->now[VCLOCK_MONOTONIC], left = 0;

	if (asleep && !travel_next(k, a, &left))
		return false;
	if (now + left >= l->requested)
		return false;
	request(l, now + left);
	return true;
}

bool lockstep_turn(struct kernel *k, struct agenda *a)
{
	struct lockstep *l = &k->travel->lockstep;
	struct calendar_news news = calendar_news(l->calendar);

	if (news.gone)
		on_gone(l);
	else if (news.run)
		on_run(k, a, news.time);
	else if (news.update)
		on_update(k, a, news.time);
	else if (l->waiting)
		return watch(k, a);
	else
		return travel_all_sleep(k, a) && end_turn(k, a, &news);
	return true;
}

/* ---- boot ----------------------------------------------------------------- */

int lockstep_init(struct kernel *k, void (*notify)(void *travel), struct ns_error *err)
{
	const struct policy_clock *c = &k->cfg->policy->clock;
	struct lockstep *l = &k->travel->lockstep;
	uint64_t now[NUM_VCLOCKS], tod;
	int ret;

	l->requested = UINT64_MAX;
	if (!c->calendar)
		return 0;
	ret = calendar_open(c->calendar, notify, k->travel, &l->calendar, &l->calendar_ns, &tod, err);
	if (ret < 0)
		return ret;
	l->on = true;
	if (c->realtime == REALTIME_HOST) {
		ret = timekeeper_set(k, tod);
		if (ret < 0)
			return ns_fail(err, ret, "time.calendar: the date at %s cannot be a guest's: "
				       "before 1970, or after 2231", c->calendar);
	}
	timekeeper_now(k->time, now);
	l->monotonic_ns = now[VCLOCK_MONOTONIC];
	log_info("calendar: in lock-step by %s", c->calendar);
	return 0;
}

void lockstep_exit(struct lockstep *l)
{
	calendar_close(l->calendar);
	l->calendar = NULL;
	l->on = false;
}
