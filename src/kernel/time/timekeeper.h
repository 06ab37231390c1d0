/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timekeeper.h - the guest's clocks: kept, published, and put into its images
 *
 * There is one only if the policy gives the guest clocks of its own
 * (policy_clock_on()); else kernel.time is NULL and the clocks are the host's.
 *
 * Any thread may call; there is one lock. A change is published in one page
 * that all processes of the guest map (vdso_clock.h): a store makes it odd,
 * the change is made, another makes it even. So all processes change at once,
 * however many there are and even while they fork, and no reading made
 * anywhere after one that shows the change shows the time before it.
 *
 * Why a page that each process maps at its first reading, and not a private
 * copy of the state in each vDSO, which needs no descriptor and no mapping:
 * copies have to be found and written one by one, 50 us each, and a process
 * that is being forked meanwhile is in no list. An exact change would have to
 * stop the guest. The price is paid once for each image that reads a clock,
 * and where it cannot be paid the clock is read by a trapped call.
 */
#ifndef WEIR_KERNEL_TIMEKEEPER_H
#define WEIR_KERNEL_TIMEKEEPER_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/time.h>

#include "kernel/event.h"
#include "kernel/time/time.h"
#include "kernel/time/timex.h"
#include "kernel/wait/redirect.h"
#include "ns/error.h"
#include "passthrough/image.h"

#define TIME_IMAGES 4096	/* fresh images remembered; a power of two */

/* What became of the images of the guest, counted since boot. */
struct time_counters {
	_Atomic uint64_t changed;	/* they read their clocks in the vDSO */
	_Atomic uint64_t stubbed;	/* their vDSO makes the call */
	_Atomic uint64_t left;		/* their vDSO could not be changed */
	_Atomic uint64_t mapped;	/* of the changed: have read a clock, and mapped the page */
	_Atomic uint64_t refused;	/* of the changed: could not map it */
	_Atomic uint64_t trapped;	/* readings by a call */

	_Atomic uint64_t at_once;	/* waits that were over when they began */
	_Atomic uint64_t redirected;	/* waits and timers that got another time to read */
	_Atomic uint64_t in_place;	/* that had it in the program's memory for a moment */
	_Atomic uint64_t moved;		/* that got another one when the clocks changed */
};

struct timekeeper {
	pthread_mutex_t lock;	/* the fields up to the next comment */
	struct time_model model;
	struct timex_state timex;
	uint64_t changes;
	struct timezone zone;

	/* constant after boot */
	bool settable;
	int64_t monotonic_offset_ns, boottime_offset_ns;	/* of the guest's time namespace */
	struct vclock_page *page;	/* written under the lock */
	int page_fd;			/* of the same, sealed: nobody else can write it */
	struct image image;

	struct time_counters count;
	_Atomic uint64_t logged_ns;	/* when the guest's setting of the clock was logged */
	_Atomic uint64_t seen[TIME_IMAGES];	/* sys_clock.c's: images that were changed */
	struct image_guess guess;	/* sys_clock.c's: where the next fresh one is */
	struct event_source tick;	/* a timerfd; armed while timex_active() */

	struct redirects redirects;	/* deadline.c's; timer.c's; sock_timeout.c's */
	struct deadlines *deadlines;
	struct timers *timers;
	struct sock_timeouts *sock_timeouts;

	/* Called with the lock held after each change, for whoever waits on a clock of
	 * the guest's; may be NULL. */
	void (*changed)(struct kernel *k);
};

/* A boot step: make k->time if the policy wants it, and see that the host's
 * vDSO can be changed. */
int timekeeper_init(struct kernel *k, struct ns_error *err);
void timekeeper_exit(struct kernel *k);

/**
 * timekeeper_read() - A clock of the guest's by its id, now
 *
 * Return: 0, or -EINVAL if it is none of the guest's own (CPU clocks, ...).
 */
int timekeeper_read(struct timekeeper *t, clockid_t id, struct timespec *ret);

/* Is REALTIME the host's own at present, without an offset? */
bool timekeeper_is_host(struct timekeeper *t);

/* The time zone of settimeofday(2); either may be NULL. */
void timekeeper_zone(struct timekeeper *t, struct timezone *get, const struct timezone *set);

/* Changes, as time_model_*(); logged by the caller. Return: 0 or a negative errno. */
int timekeeper_set(struct kernel *k, int64_t ns);
int timekeeper_follow(struct kernel *k, int64_t offset_ns);
void timekeeper_rate(struct kernel *k, uint64_t rate);
void timekeeper_freeze(struct kernel *k, bool frozen);

/**
 * timekeeper_leap() - Let all clocks go forward, if the guest still sleeps
 * @monotonic_ns: what MONOTONIC of the guest's shall read
 * @still:        asked while every reading of a clock waits for us
 * @ret_ns:       by how much; 0 if that time is past already
 *
 * Return: 0; -EAGAIN if @still said no, -ERANGE if the date would be too late.
 */
int timekeeper_leap(struct kernel *k, uint64_t monotonic_ns, bool (*still)(void *ctx), void *ctx,
		    uint64_t *ret_ns);

/* The host's clocks, the monotonic ones as the guest's namespace shows them. */
struct time_host timekeeper_host(const struct timekeeper *t);

/* A clock of the host's as a task of the guest's reads it, in ns; and by how much its time
 * namespace moves that: both monotonic clocks, and none else. */
int64_t timekeeper_host_clock(const struct timekeeper *t, clockid_t id);
int64_t timekeeper_host_offset(const struct timekeeper *t, clockid_t id);

/* All clocks at one moment. */
void timekeeper_now(struct timekeeper *t, uint64_t ret_ns[NUM_VCLOCKS]);

/**
 * timekeeper_adjust() - adjtimex(2)
 * @tx:  in and out
 * @may: by one who may set the clock
 *
 * Return: TIME_OK ... TIME_ERROR, or a negative errno.
 */
int timekeeper_adjust(struct kernel *k, struct timex *tx, bool may);

/**
 * timekeeper_to_host() - When does a clock of the guest's reach a time?
 * @ret_changes: may be NULL; the answer holds as long as t->changes is this
 *
 * Return: 0, or -EINVAL, see time_model_to_host(); CLOCK_TAI is known here.
 */
int timekeeper_to_host(struct timekeeper *t, clockid_t id, const struct timespec *at,
		       struct time_deadline *ret, uint64_t *ret_changes);

/* How often the clocks have been changed. */
uint64_t timekeeper_changes(struct timekeeper *t);

/* And back: ns of the guest's in a span of the host's, rounded down. */
int64_t timekeeper_guest_span(struct timekeeper *t, int64_t host_ns);

/* ns of the host that a span of ns of the guest's takes, see time_model_span(). */
uint64_t timekeeper_span(struct timekeeper *t, uint64_t guest_ns);

/* What the guest's BOOTTIME was when the host's was @host ns. */
int64_t timekeeper_boottime_at(struct timekeeper *t, int64_t host);

/* Stamps of files, from the host's REALTIME to the guest's and back, see
 * time_model_stamp(). */
void timekeeper_guest_stamps(struct timekeeper *t, struct timespec stamp[], size_t n);
void timekeeper_host_stamps(struct timekeeper *t, struct timespec stamp[], size_t n);

/* time_image.c, at boot: the page, which nobody but us can write; and the host's
 * vDSO, changed so that our code reads the clocks, or else so that it makes the
 * calls. Return: 0 or a negative errno. */
int time_image_page(struct timekeeper *t);
int time_image_prepare(struct timekeeper *t, struct ns_error *err);

/* time_control.c: the object of `weir stats`, and the operation of `weir time`.
 * The answer is a new reference; on an error NULL, with one line in @err. */
struct json_t;
struct json_t *time_stats(struct kernel *k);
struct json_t *time_control(struct kernel *k, struct json_t *msg, struct ns_error *err);

#endif
