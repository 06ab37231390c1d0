/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timekeeper_read.c - the guest's clocks as they are now, and what they make of times
 */
#include "kernel/time/timekeeper.h"

#include <errno.h>

#include "kernel/util.h"
#include "passthrough/hostcall.h"

int64_t timekeeper_host_offset(const struct timekeeper *t, clockid_t id)
{
	switch (id) {
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
		return t->monotonic_offset_ns;
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		return t->boottime_offset_ns;
	default:
		return 0;
	}
}

int64_t timekeeper_host_clock(const struct timekeeper *t, clockid_t id)
{
	return (int64_t)host_clock(id) + timekeeper_host_offset(t, id);
}

struct time_host timekeeper_host(const struct timekeeper *t)
{
	return (struct time_host){
		.realtime = host_clock(CLOCK_REALTIME),
		.monotonic = timekeeper_host_clock(t, CLOCK_MONOTONIC),
		.raw = timekeeper_host_clock(t, CLOCK_MONOTONIC_RAW),
		.boottime = timekeeper_host_clock(t, CLOCK_BOOTTIME),
	};
}

/* The coarse clocks are what the host's coarse clocks make of the same maps. */
static void coarse(clockid_t id, uint32_t steady, const struct timekeeper *t, struct time_host *h)
{
	if (id == CLOCK_MONOTONIC_COARSE || (id == CLOCK_REALTIME_COARSE && steady))
		h->monotonic = timekeeper_host_clock(t, CLOCK_MONOTONIC_COARSE);
	else if (id == CLOCK_REALTIME_COARSE)
		h->realtime = host_clock(CLOCK_REALTIME_COARSE);
}

int timekeeper_read(struct timekeeper *t, clockid_t id, struct timespec *ret)
{
	struct time_host h;
	enum vclock which;
	uint64_t ns;

	if (id < 0 || id > CLOCK_TAI || !((VCLOCK_IDS | VCLOCK_ALARM_IDS) >> id & 1))
		return -EINVAL;
	/* Not every machine has those. */
	if ((VCLOCK_ALARM_IDS >> id & 1) && host_call(SYS_clock_gettime, id, ret) < 0)
		return -EINVAL;
	which = vclock_of_id(id);
	pthread_mutex_lock(&t->lock);
	h = timekeeper_host(t);
	coarse(id, t->model.map[which].steady, t, &h);
	ns = time_model_read(&t->model, which, &h);
	if (id == CLOCK_TAI)
		ns += t->timex.tai * NSEC_PER_SEC;
	pthread_mutex_unlock(&t->lock);
	*ret = timespec_of(ns);
	return 0;
}

void timekeeper_now(struct timekeeper *t, uint64_t ret_ns[NUM_VCLOCKS])
{
	struct time_host h;

	pthread_mutex_lock(&t->lock);
	h = timekeeper_host(t);
	for (int i = 0; i < NUM_VCLOCKS; i++)
		ret_ns[i] = time_model_read(&t->model, i, &h);
	pthread_mutex_unlock(&t->lock);
}

bool timekeeper_is_host(struct timekeeper *t)
{
	const struct vclock_map *map = &t->model.map[VCLOCK_REALTIME];
	bool is;

	pthread_mutex_lock(&t->lock);
	is = !map->scaled && !map->steady && !map->off_sec && !map->off_nsec;
	pthread_mutex_unlock(&t->lock);
	return is;
}

void timekeeper_zone(struct timekeeper *t, struct timezone *get, const struct timezone *set)
{
	pthread_mutex_lock(&t->lock);
	if (get)
		*get = t->zone;
	if (set)
		t->zone = *set;
	pthread_mutex_unlock(&t->lock);
}

int timekeeper_to_host(struct timekeeper *t, clockid_t id, const struct timespec *at,
		       struct time_deadline *ret, uint64_t *ret_changes)
{
	struct timespec utc = *at;
	int err;

	pthread_mutex_lock(&t->lock);
	if (id == CLOCK_TAI) {
		/* A time in 1970 has passed, however few seconds TAI is ahead. */
		utc.tv_sec = at->tv_sec > t->timex.tai ? at->tv_sec - t->timex.tai : 0;
		id = CLOCK_REALTIME;
	}
	err = time_model_to_host(&t->model, id, &utc, ret);
	if (ret_changes)
		*ret_changes = t->changes;
	pthread_mutex_unlock(&t->lock);
	return err;
}

uint64_t timekeeper_changes(struct timekeeper *t)
{
	uint64_t n;

	pthread_mutex_lock(&t->lock);
	n = t->changes;
	pthread_mutex_unlock(&t->lock);
	return n;
}

int64_t timekeeper_guest_span(struct timekeeper *t, int64_t host_ns)
{
	unsigned __int128 ns;

	pthread_mutex_lock(&t->lock);
	ns = t->model.frozen ? (unsigned __int128)host_ns :
			       (unsigned __int128)host_ns * t->model.rate / POLICY_RATE_ONE;
	pthread_mutex_unlock(&t->lock);
	return ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
}

uint64_t timekeeper_span(struct timekeeper *t, uint64_t guest_ns)
{
	uint64_t ns;

	pthread_mutex_lock(&t->lock);
	ns = time_model_span(&t->model, guest_ns);
	pthread_mutex_unlock(&t->lock);
	return ns;
}

/* ---- other times than now ------------------------------------------------ */

int64_t timekeeper_boottime_at(struct timekeeper *t, int64_t host)
{
	int64_t ns;

	pthread_mutex_lock(&t->lock);
	ns = time_model_at(&t->model, VCLOCK_BOOTTIME, host + t->boottime_offset_ns);
	pthread_mutex_unlock(&t->lock);
	return ns;
}

/*
 * The host's REALTIME less its MONOTONIC: exact, and the same each time until
 * somebody steps the host's clock, or one file would have another time at each
 * look. The coarse clocks both stand at the last tick.
 */
static int64_t wall_of(const struct timekeeper *t)
{
	uint64_t before, real, after = host_clock(CLOCK_MONOTONIC_COARSE);

	do {
		before = after;
		real = host_clock(CLOCK_REALTIME_COARSE);
		after = host_clock(CLOCK_MONOTONIC_COARSE);
	} while (before != after);
	return real - after - t->monotonic_offset_ns;
}

static void map_stamps(struct timekeeper *t, struct timespec stamp[], size_t n,
		       void (*map)(const struct time_model *, int64_t wall, struct timespec *))
{
	int64_t wall = wall_of(t);

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < n; i++)
		map(&t->model, wall, &stamp[i]);
	pthread_mutex_unlock(&t->lock);
}

void timekeeper_guest_stamps(struct timekeeper *t, struct timespec stamp[], size_t n)
{
	map_stamps(t, stamp, n, time_model_stamp);
}

void timekeeper_host_stamps(struct timekeeper *t, struct timespec stamp[], size_t n)
{
	map_stamps(t, stamp, n, time_model_unstamp);
}
