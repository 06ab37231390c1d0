/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect.h - a call that takes its timeout from elsewhere
 *
 * The host reads a deadline in the program's memory, and it shall read another
 * one; but the program's memory is the program's. So the task is stopped as its
 * call is answered, and goes on with the same call, made anew, but for one
 * register: the timeout's, which points to a slot in memory that we mapped into
 * the process. From then on everything is between the task and the host:
 * wake-ups, signals, restarts, stops, death.
 *
 * After the call the register must be the program's again. So the call is made
 * by code in the vDSO (vdso_return.S), which puts all registers right and jumps
 * back. Where a libc must find the task in its own code (musl's cancellation),
 * the call is made there: it is followed by a return, and what a function may
 * change need not be put right.
 *
 * A slot belongs to one call at a time. A signal handler that interrupts the
 * wait may make calls of its own, so a thread can have several: it shares
 * REDIRECT_SLOTS with the few threads whose ids are the same modulo
 * REDIRECT_GROUPS, and processes with memory of their own share none.
 */
#ifndef WEIR_KERNEL_REDIRECT_H
#define WEIR_KERNEL_REDIRECT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/user.h>
#include <time.h>

#include "passthrough/trap.h"
#include "passthrough/vdso_clock.h"
#include "passthrough/window.h"

struct kernel;

#define REDIRECT_LOCKS 64	/* by thread id; divides REDIRECT_GROUPS */
#define REDIRECT_REFUSED 256

/* Held by whoever traces a task, and over its slots. */
struct redirect_lock {
	pthread_mutex_t lock;
	_Atomic pid_t stopping;	/* a task that has been told to stop, and may not have yet */
};

struct redirects {
	bool able;		/* tracing is possible on this host; constant */
	_Atomic uint64_t serial;
	_Atomic unsigned under_way;	/* tasks that are stopped, or about to be */
	struct redirect_lock lock[REDIRECT_LOCKS];
	_Atomic pid_t refused[REDIRECT_REFUSED];	/* tasks that could not get a window */
};

/* What else of a call is changed. */
struct redirect_how {
	int nr;			/* the call that is made; 0: the same */
	enum finish finish;
	enum vclock_back out;	/* the register whose old value FINISH_ works on */
	uint64_t end_ns;	/* for FINISH_SLEPT and FINISH_LEFT, as in window.h */
	struct {
		enum { LEAVE, PUT_NULL, PUT_ONE, PUT_SLOT, PUT_SECOND } what; /* its time[2] */
		enum vclock_back reg;
	} change[2];
};

/* A task in the middle of it, and afterwards: where its deadline is. */
struct redirect {
	pid_t tid;
	int nr;
	enum vclock_back back;
	uint64_t slot;		/* address in the task's memory, of its time */
	uint64_t serial;	/* of this use of the slot */

	/* until redirect_commit() */
	struct redirect_lock *lock;
	struct user_regs_struct regs;
	bool by_return;		/* the call is followed by a return */
	uint64_t vdso;
};

void redirects_init(struct redirects *r);

/**
 * redirect_begin() - Answer a call so that it will be made anew, and hold the task
 * @back: the register of its timeout
 *
 * Return: 0: to be followed by redirect_commit(), by this thread and soon. -EAGAIN: it cannot be redirected, and still waits for its
 * answer. -ESRCH: it is gone, or will make its call again: nothing to be done.
 */
int redirect_begin(struct kernel *k, struct call *c, enum vclock_back back, struct redirect *ret);

/* The six arguments that it will go on with. */
void redirect_args(const struct redirect *r, const struct redirect_how *how, uint64_t ret[6]);

/* Let it go on with up to four words for its timeout; @how may be NULL.
 * Return: 0 or -ESRCH. */
int redirect_commit(struct kernel *k, struct redirect *r, const struct redirect_how *how,
		    const int64_t *time, unsigned words);

/**
 * redirect_change() - Change the time of a redirected call that may still wait
 *
 * Return: 0 if it waits for the new time now, or will when it waits; -ENOENT if
 * the call is over; -EAGAIN if the task cannot be traced now.
 */
int redirect_change(struct kernel *k, const struct redirect *r, const int64_t *time, unsigned words);

/**
 * redirect_hold() - Stop a task in what it does
 *
 * Return: 0 with its registers: to be followed by redirect_let_go(), by this
 * thread and soon. -EPERM if a debugger has it, or the host forbids it; -ESRCH.
 */
int redirect_hold(struct kernel *k, pid_t tid, struct user_regs_struct *ret);

/* With @regs not NULL, it goes on with these. Return: 0 or -ESRCH. */
int redirect_let_go(struct kernel *k, pid_t tid, const struct user_regs_struct *regs);

/* Is no task stopped by any of these functions now? For the host it sleeps then. */
bool redirects_idle(const struct kernel *k);

/* Has the call not come back yet? */
bool redirect_waits(struct kernel *k, const struct redirect *r);

/**
 * redirect_inject() - Have a task make a call beside its own
 * @slot_arg: the argument that is to point to @time, which is read and written
 *
 * What the task does is interrupted and goes on, as by a debugger. Return: 0
 * with the call's result in @ret; -EAGAIN if it cannot be traced now, or has no
 * place for a window; -ESRCH if it is gone.
 */
int redirect_inject(struct kernel *k, pid_t tid, int nr, const uint64_t arg[6], int slot_arg,
		    struct itimerspec *time, int64_t *ret);

#endif
