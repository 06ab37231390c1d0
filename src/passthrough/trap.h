/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap.h - the trap door: where stopped calls are answered
 *
 * A door serves one seccomp listener. One thread waits in
 * SECCOMP_IOCTL_NOTIF_RECV, is woken on the caller's CPU
 * (SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, Linux 6.6), runs the handler and
 * answers. One, because a second one that waits beside it would be woken for
 * the caller's next call while the first is still on its way back from the
 * answer: that costs two context switches a call more. The door is never shut
 * all the same: a handler that may take long says so first (call_slow()), one
 * that does so unexpectedly (a slow page of guest memory) is found by a
 * watchdog, and more callers than one thread can answer bring more threads.
 *
 * The door knows nothing of the guest kernel: the handler is given to it.
 */
#ifndef WEIR_PASSTHROUGH_TRAP_H
#define WEIR_PASSTHROUGH_TRAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "passthrough/lanes.h"
#include "passthrough/trap_counter.h"

struct door;
struct recorder;

enum reply_kind {
	REPLY_VALUE,	/* value: the result, or a negative errno */
	REPLY_FD,	/* fd: put into the task, which gets its number; closed here */
	REPLY_CONTINUE,	/* the host does the call after all */
	REPLY_SENT,	/* the handler has answered already */
};

/* One stopped call. Registers are the host's copy: they cannot change. */
struct call {
	struct door *door;
	uint64_t id;		/* the notification's; unique per door */
	pid_t tid;		/* host thread id of the caller, never 0 */
	int nr;
	uint64_t arg[6];
	uint64_t ip;		/* of the instruction behind the call */
	const struct lane_rule *rule;

	bool slow;		/* call_slow() was said */
	enum reply_kind reply;	/* REPLY_VALUE unless the handler says else */
	int fd;			/* REPLY_FD: ours, closed after the reply */
	bool fd_cloexec;
};

/* Runs on a door's thread. Returns the value or the negative errno the guest
 * gets; not looked at for the other kinds of reply. */
typedef long (*call_handler)(void *ctx, struct call *c);

struct door_config {
	int listener;			/* the door's from now on */
	const struct lanes *lanes;
	struct trap_counter *counter;	/* lanes_count() of them */
	call_handler handler;
	void *ctx;
	struct recorder *recorder;	/* told of each call; NULL: nobody is */
};

/* Return: 0 or a negative errno; then the listener is closed. */
int door_open(const struct door_config *cfg, struct door **ret);

/* Stops the threads. No guest task may be left that the door serves. */
void door_close(struct door *d);

/* The listener, for the event loop: EPOLLHUP once no task is left behind it. */
int door_listener(const struct door *d);

/* Does no task at all wait for an answer, of any door? Of one that does the host
 * says that it sleeps. Asked of the host, which knows of those that are waiting
 * to be received and of those that are being answered. */
bool door_all_idle(void);

/* How many calls have stopped so far, at all doors. */
uint64_t door_all_calls(void);

/* Did the host accept SYNC_WAKE_UP for this door? */
bool door_sync_wakeup(const struct door *d);

/**
 * call_valid() - Is the caller still waiting in this very call?
 *
 * To be asked after anything was read or opened by the caller's tid: true
 * means that it was the caller's.
 */
bool call_valid(const struct call *c);

/* Said by a handler before it does what may take long (a mount, anything that
 * waits): from here on another thread answers this door's other callers. */
void call_slow(struct call *c);

/* Let the host do the call. @why says why that is harmless though the call is
 * trapped; doc/security.md is generated from these words. */
static inline long call_continue(struct call *c, const char *why)
{
	c->reply = REPLY_CONTINUE;
	return 0;
}

/* Answer now: with @value, or as call_continue() has said. The handler may go on,
 * but the caller does so too. Return: 0, or -ENOENT if it is gone. */
int call_answer(struct call *c, long value);

/* Answer with a new descriptor, atomically (SECCOMP_ADDFD_FLAG_SEND). */
static inline long call_fd(struct call *c, int fd, bool cloexec)
{
	c->reply = REPLY_FD;
	c->fd = fd;
	c->fd_cloexec = cloexec;
	return 0;
}

#endif
