/* SPDX-License-Identifier: Apache-2.0 */
/*
 * travel.h - the guest's clocks go to the next deadline while all sleep
 *
 * Policy [time] idle = travel. A thread of its own, the traveller, looks when
 * somebody began to wait until a time (waiter.h, travel_timer.h): once every task of
 * the guest sleeps (quiet.h), whatever for, all clocks of the guest make a leap
 * to the earliest of these times, and what was due then ends.
 *
 * Order. A leap is: every reading of a clock is held up; the guest is looked at
 * for the second time; if there was a moment when all slept, the clocks are set
 * forward; readings go on. So a task that is woken in between by the outside
 * world reads, if at all, the time after the leap, as if it had been woken then,
 * and none reads first the one and then the other without having slept. Then
 * the waits that are due are ended, the earliest first. The next leap needs all
 * to sleep again, so what one does after its wait comes before the next wait's
 * end in the guest's time.
 *
 * With cpu = real, time also passes by itself, at the host's pace: the traveller
 * then ends what is due because of earlier leaps. With cpu = free only leaps
 * move the clocks, which stand still in between (time_model, frozen).
 *
 * With a calendar (lockstep.h) it is the calendar that says when, and how far.
 */
#ifndef WEIR_KERNEL_TRAVEL_H
#define WEIR_KERNEL_TRAVEL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "kernel/travel/lockstep.h"
#include "kernel/travel/quiet.h"
#include "kernel/travel/travel_timer.h"
#include "kernel/travel/waiter.h"
#include "ns/error.h"

struct kernel;
struct json_t;

struct travel {
	struct waiters waiters;
	struct travel_timers timers;
	struct lockstep lockstep;

	pthread_mutex_t lock;	/* the fields below */
	pthread_cond_t wake;
	pthread_t thread;
	bool runs, ending;
	bool prompt;		/* something happened: look again at once */

	/* counted; read by anybody */
	_Atomic uint64_t leaps, leapt_ns, ended, held_back;
	_Atomic uint64_t waits;	/* noted since boot */
};

/* A boot step: k->travel if the policy wants it. */
int travel_init(struct kernel *k, struct ns_error *err);
void travel_exit(struct kernel *k);

/**
 * travel_wait() - The caller of a trapped call is about to wait until a time
 * @w:  all but clock, at_ns, leaps and serial
 * @ns: what the clock @id of the guest's reads then
 *
 * Return: has it been noted? If not (no memory), it waits by the host's clock.
 */
bool travel_wait(struct kernel *k, struct waiter *w, clockid_t id, uint64_t ns);

/* A timer is set, as travel_timers_set_fd() and travel_timers_itimer(). */
int travel_timerfd(struct kernel *k, pid_t pid, int fd, int file, enum vclock clock,
		   const struct timer_value *v, const uint64_t now_ns[NUM_VCLOCKS]);
int travel_itimer(struct kernel *k, pid_t pid, const struct timer_value *new,
		  struct timer_value *old);

/* Something new is waited for, and noted elsewhere (timers_next()). */
void travel_prompt(struct kernel *k);

/* The clocks were set, and made no leap: timers are set to what is left by them. */
void travel_clocks_changed(struct kernel *k);

/* What one look of the traveller's knows; its thread's alone. */
struct agenda {
	uint64_t now[NUM_VCLOCKS];	/* the guest's */
	struct waiter *waiter;		/* n of them, the first to end first */
	int n;
	bool timer;			/* there is one, */
	uint64_t timer_left_ns;		/* and due then */
	struct quiet quiet[2];
};

/* For the traveller and lockstep.c. */

/* The two looks (quiet.h). Behind the first the agenda is gathered anew: what is in
 * it when the second says that all slept is all that was waited for then. */
bool travel_all_sleep(struct kernel *k, struct agenda *a);
bool travel_all_slept(struct kernel *k, struct agenda *a);

/* ns of the guest's until the first deadline. Return: is there any? */
bool travel_next(struct kernel *k, struct agenda *a, uint64_t *ret_left_ns);

/* Let MONOTONIC read @monotonic_ns, if it does not read more. Return: false if
 * all had to have slept and had not, or the date would be too late. */
bool travel_leap(struct kernel *k, struct agenda *a, uint64_t monotonic_ns, bool if_all_slept);

/* "travel" in the time of weir stats; a new reference. */
struct json_t *travel_stats(struct kernel *k);

#endif
