/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timex.h - the discipline of the guest's clock: adjtimex(2)
 *
 * The state that ntpd, chrony and adjtime(3) see and set: a phase-locked loop
 * that is fed offsets, a frequency, the length of a tick, a single shot, leap
 * seconds. It has the constants and the arithmetic of Linux (NTP, RFC 5905 and
 * its kernel model, D. Mills 1994), but counts in nanoseconds. Pure: the time
 * is given to it, and what it wants of the clock is asked of it.
 */
#ifndef WEIR_KERNEL_TIMEX_H
#define WEIR_KERNEL_TIMEX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/timex.h>

struct timex_state {
	int status;		/* STA_ */
	int state;		/* TIME_OK, TIME_INS, TIME_DEL, TIME_OOP, TIME_WAIT */
	long constant, maxerror, esterror;	/* loop constant; us */
	long freq;		/* ppm, times 65536 */
	long tick;		/* us; 10000 is right */
	int tai;		/* TAI - UTC, s */
	int64_t offset;		/* ns that the loop has still to make up */
	int64_t adjust;		/* us that adjtime(3) has still to make up */
	int64_t slew;		/* ns to be made up in this second */
	int64_t second;		/* of the guest's, the last that began */
	int64_t next_leap;	/* the second before which one is put in or left out */
	int64_t reference;	/* the second of the last offset */
};

/* As a machine that has just been started; @tai as the host has it. */
void timex_init(struct timex_state *s, int64_t second, int tai);

/* Is this a request that may be made? @may: by one who may set the clock.
 * Return: 0, -EPERM, -EINVAL. */
int timex_check(const struct timex *tx, bool may);

/* Do all that is asked for but ADJ_SETOFFSET. */
void timex_change(struct timex_state *s, struct timex *tx);

/* Fill in what adjtimex(2) gives back, at guest time @ns. */
void timex_report(const struct timex_state *s, uint64_t ns, struct timex *tx);

/* What adjtimex(2) returns: TIME_OK ... TIME_ERROR. */
int timex_result(const struct timex_state *s);

/* Seconds have begun, up to @second. Return: by how much UTC has to be stepped
 * for a leap second: -1, 0 or 1 s. */
int timex_second(struct timex_state *s, int64_t second);

/* Has anything to be done when the next second begins? */
bool timex_active(const struct timex_state *s);

/* How much faster than its rate the clock has to run, in 1/VCLOCK_ONE. */
int64_t timex_tune(const struct timex_state *s);

/* The clock was set: what was to be made up is meaningless. */
void timex_clear(struct timex_state *s, int64_t second);

#endif
