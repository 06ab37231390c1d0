/* SPDX-License-Identifier: Apache-2.0 */
/*
 * time.c - the guest's clocks: a model of what they read
 *
 * A map is either an offset, which costs a reader two additions, or a line
 * through (h0, g0), which costs a multiplication and a division. Each change
 * goes through the present reading, so that no clock jumps but one that is set.
 */
#include "kernel/time/time.h"

#include <errno.h>

#include "kernel/util.h"

typedef unsigned __int128 u128;

static uint64_t host_of(const struct time_host *h, enum vclock which, uint32_t steady)
{
	switch (which) {
	case VCLOCK_REALTIME:
		return steady ? h->monotonic : h->realtime;
	case VCLOCK_MONOTONIC:
		return h->monotonic;
	case VCLOCK_RAW:
		return h->raw;
	default:
		return h->boottime;
	}
}

uint64_t time_model_read(const struct time_model *m, enum vclock which, const struct time_host *h)
{
	const struct vclock_map *map = &m->map[which];
	uint64_t host = host_of(h, which, map->steady);

	if (map->scaled)
		return vclock_scale(host, map->h0, map->g0, map->mult);
	return host + (uint64_t)map->off_sec * NSEC_PER_SEC + map->off_nsec;
}

/* How fast a clock runs, as mult of its map. */
static uint64_t speed(const struct time_model *m, enum vclock which)
{
	u128 mult = (u128)m->rate * VCLOCK_ONE / POLICY_RATE_ONE;

	if (m->frozen)
		return 0;
	if (which == VCLOCK_REALTIME)
		mult = mult * (VCLOCK_ONE + m->tune) >> VCLOCK_SHIFT;
	return mult;
}

/* Let a clock read @guest now, and go on at its speed. */
static void put(struct time_model *m, enum vclock which, const struct time_host *h, uint64_t guest)
{
	struct vclock_map *map = &m->map[which];
	uint64_t host = host_of(h, which, map->steady), mult = speed(m, which);
	int64_t off = guest - host;

	*map = (struct vclock_map){ .steady = map->steady };
	if (mult == VCLOCK_ONE) {
		map->off_sec = off / (int64_t)NSEC_PER_SEC;
		map->off_nsec = off % (int64_t)NSEC_PER_SEC;
		if (map->off_nsec < 0) {
			map->off_nsec += NSEC_PER_SEC;
			map->off_sec--;
		}
		return;
	}
	map->scaled = 1;
	map->h0 = host;
	map->g0 = guest;
	map->mult = mult;
}

/* REALTIME leaves the host's. */
static void put_realtime(struct time_model *m, const struct time_host *h, uint64_t guest)
{
	m->map[VCLOCK_REALTIME].steady = 1;
	put(m, VCLOCK_REALTIME, h, guest);
}

/* The speeds have changed: everything goes on from where it is. */
static void rebase(struct time_model *m, const struct time_host *h)
{
	for (int i = 0; i < NUM_VCLOCKS; i++) {
		uint64_t now = time_model_read(m, i, h);

		if (i == VCLOCK_REALTIME && speed(m, i) != VCLOCK_ONE)
			put_realtime(m, h, now);
		else
			put(m, i, h, now);
	}
}

static bool valid(const struct time_model *m, const struct time_host *h, int64_t ns)
{
	return ns >= 0 && (uint64_t)ns >= time_model_read(m, VCLOCK_MONOTONIC, h) &&
	       ns / (int64_t)NSEC_PER_SEC < TIME_MAX_SEC;
}

int time_model_set(struct time_model *m, const struct time_host *h, int64_t ns)
{
	if (!valid(m, h, ns))
		return -EINVAL;
	put_realtime(m, h, ns);
	return 0;
}

int time_model_follow(struct time_model *m, const struct time_host *h, int64_t offset_ns)
{
	int64_t ns;

	if (__builtin_add_overflow((int64_t)h->realtime, offset_ns, &ns) || !valid(m, h, ns))
		return -EINVAL;
	m->map[VCLOCK_REALTIME].steady = speed(m, VCLOCK_REALTIME) != VCLOCK_ONE;
	put(m, VCLOCK_REALTIME, h, ns);
	return 0;
}

void time_model_rate(struct time_model *m, const struct time_host *h, uint64_t rate)
{
	m->rate = rate;
	rebase(m, h);
}

void time_model_freeze(struct time_model *m, const struct time_host *h, bool frozen)
{
	m->frozen = frozen;
	rebase(m, h);
}

void time_model_tune(struct time_model *m, const struct time_host *h, int64_t tune)
{
	uint64_t now = time_model_read(m, VCLOCK_REALTIME, h);

	if (tune == m->tune)
		return;
	m->tune = tune;
	put_realtime(m, h, now);
}

int time_model_leap(struct time_model *m, const struct time_host *h, uint64_t ns)
{
	uint64_t now = time_model_read(m, VCLOCK_REALTIME, h);

	if (ns > TIME_MAX_SEC * NSEC_PER_SEC || (now + ns) / NSEC_PER_SEC >= TIME_MAX_SEC)
		return -ERANGE;
	for (int i = 0; i < NUM_VCLOCKS; i++)
		put(m, i, h, time_model_read(m, i, h) + ns);
	return 0;
}

int time_model_init(struct time_model *m, const struct policy_clock *p, const struct time_host *h)
{
	int ret;

	/* Maps of zero: each clock is the host's. */
	*m = (struct time_model){
		.rate = p->rate ? p->rate : POLICY_RATE_ONE,
		.frozen = p->rate == 0 || p->cpu_free,
	};
	rebase(m, h);
	ret = p->realtime == REALTIME_AT ? time_model_set(m, h, p->ns) :
					   time_model_follow(m, h, p->ns);
	return ret < 0 ? -ERANGE : 0;
}

/* ---- back to the host --------------------------------------------------- */

static bool is_guest_clock(clockid_t id)
{
	return id >= 0 && id <= 11 && ((VCLOCK_IDS | VCLOCK_ALARM_IDS) >> id & 1) && id != CLOCK_TAI;
}

/* The first host time at which a scaled clock reads @guest. */
static bool unscale(const struct vclock_map *map, uint64_t guest, uint64_t *ret)
{
	u128 d;

	*ret = map->h0;
	if (guest <= map->g0)
		return true;
	if (map->mult == 0)
		return false;
	d = (((u128)(guest - map->g0) << VCLOCK_SHIFT) + map->mult - 1) / map->mult;
	if (d > INT64_MAX - map->h0)
		return false;
	*ret = map->h0 + (uint64_t)d;
	return true;
}

int time_model_to_host(const struct time_model *m, clockid_t id, const struct timespec *at,
		       struct time_deadline *ret)
{
	const struct vclock_map *map;
	int64_t guest, host = 0;
	uint64_t scaled;

	if (!is_guest_clock(id) || at->tv_sec < 0 || at->tv_nsec < 0 ||
	    at->tv_nsec >= (long)NSEC_PER_SEC)
		return -EINVAL;
	map = &m->map[vclock_of_id(id)];
	*ret = (struct time_deadline){ .clock = vclock_host_id(id, map->steady) };
	/* What no ktime_t can hold, the host takes for its end. */
	if (at->tv_sec >= (time_t)(INT64_MAX / NSEC_PER_SEC)) {
		ret->never = true;
		return 0;
	}
	guest = at->tv_sec * (int64_t)NSEC_PER_SEC + at->tv_nsec;
	if (map->scaled) {
		ret->never = !unscale(map, guest, &scaled);
		host = scaled;
	} else if (__builtin_sub_overflow(guest, map->off_sec * (int64_t)NSEC_PER_SEC + map->off_nsec,
					  &host)) {
		ret->never = true;
	}
	if (host < 0)
		host = 0;
	ret->at.tv_sec = host / (int64_t)NSEC_PER_SEC;
	ret->at.tv_nsec = host % (int64_t)NSEC_PER_SEC;
	return 0;
}

uint64_t time_model_span(const struct time_model *m, uint64_t guest_ns)
{
	uint64_t mult = speed(m, VCLOCK_MONOTONIC);
	u128 d;

	if (mult == 0)
		return guest_ns ? UINT64_MAX : 0;
	d = (((u128)guest_ns << VCLOCK_SHIFT) + mult - 1) / mult;
	return d > UINT64_MAX ? UINT64_MAX : (uint64_t)d;
}

/* ---- other times than now ------------------------------------------------ */

#define STAMP_MAX_SEC (INT64_C(1000) * 366 * 86400)

typedef __int128 s128;

static bool has_ns(const struct timespec *stamp, s128 *ret)
{
	*ret = (s128)stamp->tv_sec * (int64_t)NSEC_PER_SEC + stamp->tv_nsec;
	return stamp->tv_sec < STAMP_MAX_SEC && stamp->tv_sec > -STAMP_MAX_SEC;
}

static struct timespec of_ns(s128 ns)
{
	int64_t part = ns % (int64_t)NSEC_PER_SEC;

	part += part < 0 ? (int64_t)NSEC_PER_SEC : 0;
	return (struct timespec){ .tv_sec = (ns - part) / (int64_t)NSEC_PER_SEC, .tv_nsec = part };
}

/* Of a map that is an offset. */
static s128 offset_of(const struct vclock_map *map)
{
	return (s128)map->off_sec * (int64_t)NSEC_PER_SEC + map->off_nsec;
}

/* Before h0, where a reading stands still, at natural speed. */
static s128 map_at(const struct vclock_map *map, s128 host)
{
	if (!map->scaled)
		return host + offset_of(map);
	if (host <= map->h0)
		return host + map->g0 - map->h0;
	return map->g0 + (s128)((u128)(host - map->h0) * map->mult >> VCLOCK_SHIFT);
}

int64_t time_model_at(const struct time_model *m, enum vclock which, int64_t host)
{
	return map_at(&m->map[which], host);
}

void time_model_stamp(const struct time_model *m, int64_t wall, struct timespec *stamp)
{
	const struct vclock_map *map = &m->map[VCLOCK_REALTIME];
	s128 ns;

	if (has_ns(stamp, &ns))
		*stamp = of_ns(map_at(map, ns - (map->steady ? wall : 0)));
}

void time_model_unstamp(const struct time_model *m, int64_t wall, struct timespec *stamp)
{
	const struct vclock_map *map = &m->map[VCLOCK_REALTIME];
	s128 ns;

	if (!has_ns(stamp, &ns))
		return;
	if (!map->scaled)
		ns -= offset_of(map);
	else if (ns <= map->g0 || map->mult == 0)
		ns -= (s128)map->g0 - map->h0;
	else	/* the first of the host's that shows it */
		ns = map->h0 + (s128)((((u128)(ns - map->g0) << VCLOCK_SHIFT) + map->mult - 1) / map->mult);
	*stamp = of_ns(ns + (map->steady ? wall : 0));
}
