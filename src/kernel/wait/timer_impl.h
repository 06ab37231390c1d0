/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer_impl.h - inside the timers
 *
 * timer.c         what is remembered of them, and rounds after a change
 * timer_fd.c      timerfd: an open file, set by a descriptor of ours
 * timer_process.c POSIX timers and ITIMER_REAL: set by a call of the process's
 * timer_cancel.c  TFD_TIMER_CANCEL_ON_SET
 */
#ifndef WEIR_KERNEL_TIMER_IMPL_H
#define WEIR_KERNEL_TIMER_IMPL_H

#include <pthread.h>
#include <sys/timerfd.h>

#include "kernel/wait/openfile.h"
#include "kernel/wait/timer.h"

enum timer_kind { TIMER_FD, TIMER_POSIX, TIMER_ITIMER };

struct timer {
	struct timer *next;
	enum timer_kind kind;
	pid_t tid, tgid;	/* who has set it */
	int id;			/* descriptor or timer id */
	int flags;		/* of the call */
	bool after;		/* a span: its end is a time of MONOTONIC or BOOTTIME */
	bool silent;		/* SIGEV_NONE: nobody hears it ring */
	bool cancelled;		/* TFD_TIMER_CANCEL_ON_SET: made to ring, see timer_cancel.c */
	clockid_t clock;
	struct itimerspec at;	/* of the guest's clock */
	struct timespec host, host_interval;	/* of the host's: what it was set to */
	struct openfile *file;	/* of a timerfd; NULL: it is known by its number only */
	uint64_t since_ns;	/* host_now(); which entry it is a copy of */
};

#define TIMER_BUCKETS 256

struct timers {
	pthread_mutex_t setting;	/* a timerfd; taken before the other */
	pthread_mutex_t lock;
	struct timer *bucket[TIMER_BUCKETS];	/* by process and id; one without a process in any */
	unsigned count;

	int64_t distance;	/* of REALTIME from MONOTONIC; the rearming thread's */
};

static inline bool is_zero(const struct timespec *ts)
{
	return ts->tv_sec == 0 && ts->tv_nsec == 0;
}

/* Put it into the table, with a reference of the table's own to its file, in the place
 * of what it was before; @what is a copy of the entry then. */
void timer_remember(struct kernel *k, struct timer *what);

/* What is remembered of one; false: nothing. ret->file is a reference of the caller's. */
bool timer_recall(struct kernel *k, enum timer_kind kind, pid_t tgid, int id, struct timer *ret);

/* A copy of an entry: is it still what was remembered last? Make the entry what the
 * copy is now, if so. Forget it, if so; a timer that is no copy: whatever it is. */
bool timer_is_current(struct kernel *k, const struct timer *copy);
bool timer_update(struct kernel *k, const struct timer *copy);
void timer_forget(struct kernel *k, const struct timer *copy);

/* A timerfd is another process's descriptor now. */
void timer_move(struct kernel *k, struct timer *timer, pid_t tgid, int fd);

/* Can the host make anything of it? It says so itself, if not. */
bool timer_is_valid(const struct itimerspec *it);

/* A timer that was set to a span of time is set to where that ends. */
void timer_make_absolute(struct kernel *k, struct timer *t);

/* What the host's is to be set to, absolute. As deadline_to_host(). */
int timer_to_host(struct kernel *k, struct timer *t, struct itimerspec *ret, uint64_t *changes);

/* What is left of a timer, as timer_gettime(2) says it; nothing if it is not known of.
 * The host does not know if the clock stands still, nor until it is set again after a
 * change. Return: is it known of? */
bool timer_left(struct kernel *k, const struct timer *t, struct itimerspec *ret);

/* Spans of the host's as the guest's: what is left of a timer, and its interval. */
void timer_in_guest_time(struct kernel *k, struct itimerspec *it);

/* A moment of a clock of the host's in the guest's time namespace; for timer_is_as_set(). */
int64_t timer_host_now(struct kernel *k, const struct timer *t);

/**
 * timer_is_as_set() - Is the host's timer still what we have set it to?
 * @before, @behind: timer_host_now() before and after it was asked
 * @left:            what it said
 *
 * The program may have set it by a call that does not stop. If it is, a timer that
 * repeats is taken as many times further as it has rung.
 */
bool timer_is_as_set(struct timer *t, int64_t before, int64_t behind, const struct timespec *left);

/* A number behind a name in a file of /proc. */
int timer_proc_number(const char *path, const char *name, int base, long *ret);

/* Set one again by the clocks as they are, if it is set to what we know of.
 * @was_set: REALTIME jumped. Return: false if it is not, but may be soon. */
struct timer_fds;
void timer_rearm_fd(struct kernel *k, struct timer *t, bool was_set, struct timer_fds *fds);
bool timer_rearm_process(struct kernel *k, struct timer *t);

/* Where timerfds are in the guest, looked for when first needed. */
void timer_fds_free(struct timer_fds *fds);
struct timer_fds *timer_fds_new(void);

/* Is there still such a POSIX timer? Its clock, and whether nobody hears it. */
int timer_posix_look(pid_t tid, int id, clockid_t *ret_clock, bool *ret_silent);

/**
 * timer_cancel() - REALTIME jumped under a timer with TFD_TIMER_CANCEL_ON_SET
 * @fd: a descriptor of ours on it
 *
 * Return: true if a reader was told, and the timer goes on as it is; false if it rings.
 */
bool timer_cancel(struct kernel *k, const struct timer *t, int fd);

#endif
