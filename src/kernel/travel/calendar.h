/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calendar.h - guests in lock-step: the time-travel=ext protocol, and our client
 *
 * A calendar holds the time of several machines. One that has nothing left to do
 * says when it wants to run next (REQUEST) and that it sleeps (WAIT); when all
 * do, the calendar goes to the earliest of these times and lets that machine
 * RUN. Messages are those of User-mode Linux (include/uapi/linux/um_timetravel.h
 * of the kernel), 16 bytes in the host's byte order over a stream socket; each
 * but ACK is answered by an ACK with its number.
 *
 * Machines of UML talk to each other through the calendar's owner. Guests of
 * weir may have any pipe or socket in common, so a guest that is written to may
 * not be late: our calendar tells each guest of ours that sleeps the time before
 * it lets another machine run (UPDATE, which UML never receives; START with
 * CALENDAR_WEIR in the id asks for it). A guest that finds itself awake then
 * says REQUEST for the time it has, and the calendar does not go on without it.
 */
#ifndef WEIR_KERNEL_CALENDAR_H
#define WEIR_KERNEL_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#include "ns/error.h"

enum calendar_op {
	CALENDAR_ACK,		/* its time: of GET, GET_TOD and START, what was asked for */
	CALENDAR_START,		/* time: an id */
	CALENDAR_REQUEST,	/* to run at time */
	CALENDAR_WAIT,		/* until RUN */
	CALENDAR_GET,		/* the time */
	CALENDAR_UPDATE,	/* the time is */
	CALENDAR_RUN,		/* it is your turn, at time */
	CALENDAR_FREE_UNTIL,	/* no need to ask before time */
	CALENDAR_GET_TOD,	/* ns since 1970 */
	CALENDAR_BROADCAST,	/* to all others */
	CALENDAR_NUM_OPS,
};

struct calendar_msg {
	uint32_t op, seq;
	uint64_t time;		/* ns */
};
_Static_assert(sizeof(struct calendar_msg) == 16, "the protocol's");

#define CALENDAR_WEIR (UINT64_C(0x77656972) << 32)	/* "weir"; an id's high half */

/* What the calendar last told, and has not been answered yet. */
struct calendar_news {
	bool run, update;	/* at time */
	uint64_t time;
	uint64_t free_until;	/* stays */
	bool gone;		/* there is no calendar any more */
};

struct calendar;

/**
 * calendar_open() - Connect to a calendar and take part from now on
 * @notify: called on a thread of its own when there is news
 * @ret_time, @ret_tod: the calendar's time, and what date that is
 *
 * Return: 0 or a negative errno with one line in @err.
 */
int calendar_open(const char *path, void (*notify)(void *ctx), void *ctx, struct calendar **ret,
		  uint64_t *ret_time, uint64_t *ret_tod, struct ns_error *err);
void calendar_close(struct calendar *c);

/* News since the last answer. */
struct calendar_news calendar_news(struct calendar *c);

/* Answer run or update, whichever there is. */
void calendar_answer(struct calendar *c);

/* Say something; nobody waits for the ACK. A calendar that is gone hears nothing. */
void calendar_say(struct calendar *c, enum calendar_op op, uint64_t time);

#endif
