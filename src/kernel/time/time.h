/* SPDX-License-Identifier: Apache-2.0 */
/*
 * time.h - the guest's clocks: a model of what they read
 *
 * guest = a + rate * (host - b), for each clock. Pure arithmetic: the readings
 * of the host are given to it, nothing is locked or shared here; that is
 * timekeeper.h's.
 *
 * All four clocks have the same rate. REALTIME follows the host's, with an
 * offset, until it is set or the rate is changed; from then on it is made from
 * MONOTONIC, and steps of the host's clock do not reach it. It may be tuned in
 * addition (adjtimex(2)), which moves no other clock: MONOTONIC stays what the
 * host's sleeps are measured in.
 */
#ifndef WEIR_KERNEL_TIME_H
#define WEIR_KERNEL_TIME_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "passthrough/policy.h"
#include "passthrough/vdso_clock.h"

/* The latest second that clock_settime(2) takes on Linux: the largest ktime_t
 * less thirty years (TIME_SETTOD_SEC_MAX). */
#define TIME_MAX_SEC INT64_C(8277292036)

/* What the host's clocks read, in ns, as tasks of the guest read them: with the
 * offsets of its time namespace. */
struct time_host {
	uint64_t realtime, monotonic, raw, boottime;
};

struct time_model {
	struct vclock_map map[NUM_VCLOCKS];
	uint64_t rate;		/* of all clocks, times POLICY_RATE_ONE */
	bool frozen;		/* they stand still; rate is what thaw goes back to */
	int64_t tune;		/* of REALTIME, in 1/VCLOCK_ONE: 0 is no change */
};

/**
 * time_model_init() - The clocks of a policy, at boot
 *
 * Return: 0, or -ERANGE if REALTIME would begin before 1970, before the guest
 * booted, or too late.
 */
int time_model_init(struct time_model *m, const struct policy_clock *p, const struct time_host *h);

/* Nanoseconds of a clock of the guest's. */
uint64_t time_model_read(const struct time_model *m, enum vclock which, const struct time_host *h);

/* Set REALTIME. Return: 0, or -EINVAL as clock_settime(2) says it: before 1970,
 * before the time the guest is up, or beyond TIME_MAX_SEC. */
int time_model_set(struct time_model *m, const struct time_host *h, int64_t ns);

/* REALTIME is the host's and an offset, and follows it again; with a rate other
 * than 1 only for the moment. Return: as time_model_set(). */
int time_model_follow(struct time_model *m, const struct time_host *h, int64_t offset_ns);

/* The rate of all clocks, in 1/POLICY_RATE_ONE; frozen clocks keep it for later. */
void time_model_rate(struct time_model *m, const struct time_host *h, uint64_t rate);
void time_model_freeze(struct time_model *m, const struct time_host *h, bool frozen);

/* Tune REALTIME: @tune / VCLOCK_ONE faster than its rate. */
void time_model_tune(struct time_model *m, const struct time_host *h, int64_t tune);

/* All clocks go forward by @ns at once. Return: 0, or -ERANGE and nothing has
 * changed: REALTIME would be beyond TIME_MAX_SEC. */
int time_model_leap(struct time_model *m, const struct time_host *h, uint64_t ns);

/* A point of the host's time. */
struct time_deadline {
	clockid_t clock;	/* CLOCK_REALTIME, CLOCK_MONOTONIC ... of the host */
	struct timespec at;	/* as the guest's tasks would give it to the host */
	bool never;		/* the clock stands still before it */
};

/**
 * time_model_to_host() - When does a clock of the guest's reach a time?
 * @id: a clock id of the guest's: CLOCK_REALTIME, CLOCK_BOOTTIME_ALARM ...
 *
 * For absolute deadlines; never too early, at most a nanosecond of the host's
 * late. Return: 0, or -EINVAL for a clock that is not the guest's, or a bad @at.
 */
int time_model_to_host(const struct time_model *m, clockid_t id, const struct timespec *at,
		       struct time_deadline *ret);

/**
 * time_model_span() - How long does the host take for a span of the guest's?
 *
 * For relative timeouts. Return: ns of the host, rounded up; UINT64_MAX for ever.
 */
uint64_t time_model_span(const struct time_model *m, uint64_t guest_ns);

/* What a clock of the guest's reads, or would have read, when the host's reads
 * @host ns; for REALTIME as time_model_stamp() says it. */
int64_t time_model_at(const struct time_model *m, enum vclock which, int64_t host);

/*
 * Stamps: times of files, which the host takes from its REALTIME.
 *
 * What the guest's clock would read, or would have read, at such a time, by the
 * map it has at present; so stamps move with the clock when it is set, and keep
 * their order. From before the last change of its speed only the point of the
 * change is known: from there back both clocks are taken to have run alike.
 *
 * @wall: the host's REALTIME less its MONOTONIC, as the guest's tasks read it, ns
 *
 * From the host to the guest and back again: what the guest was shown leads to a
 * stamp that shows the same; what it sets is shown within the guest's ns that a
 * ns of the host's lasts, never earlier. A clock that stands still shows nothing
 * later than itself. Further than a thousand years from 1970 nothing is changed.
 */
void time_model_stamp(const struct time_model *m, int64_t wall, struct timespec *stamp);
void time_model_unstamp(const struct time_model *m, int64_t wall, struct timespec *stamp);

#endif
