/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tracee.h - a guest task that is stopped for a moment
 *
 * To change registers of a task, or have it make a call, the thread that wants
 * to becomes its tracer (ptrace(2), SEIZE), stops it, and lets go of it: all
 * in one function and within microseconds, so that nobody is left attached
 * and a debugger of the guest's own finds its place free. All functions from
 * tracee_seize() to the end are for the same thread: a tracer is a thread.
 *
 * A tracee may die at any moment. Each function says so with -ESRCH, and then
 * the tracee has been let go of already.
 *
 * Who reaps children of this process while there are tracees: waitid(2) of any
 * thread is told of stops of tracees, whatever it asked for, unless it says
 * __WNOTHREAD; and a tracer that waits for a death takes the exit status away
 * from the parent, if that is this process as well. So here nobody waits with
 * WEXITED for a child of this process's own; see process_reap().
 */
#ifndef WEIR_PASSTHROUGH_TRACEE_H
#define WEIR_PASSTHROUGH_TRACEE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

/**
 * tracee_seize() - Become the tracer of a task and ask it to stop
 *
 * It stops as soon as it is in no call, or in one that a signal may interrupt.
 * Return: 0; -EPERM if it is traced already, or may not be; -ESRCH.
 */
int tracee_seize(pid_t tid);

/**
 * tracee_stop() - Wait until it has stopped
 *
 * Return: 0 with its registers, or -ESRCH.
 */
int tracee_stop(pid_t tid, struct user_regs_struct *ret);

/**
 * tracee_call() - Have a stopped task make a system call
 * @at: address of a syscall instruction of its
 *
 * Signals wait meanwhile. Afterwards the registers are not those from before:
 * the caller sets them. Return: 0 with the call's result in @ret, or -ESRCH.
 */
int tracee_call(pid_t tid, uint64_t at, int nr, const uint64_t arg[6], int64_t *ret);

/* Let go of it; with @regs not NULL, it goes on with these. Return: 0 or -ESRCH. */
int tracee_release(pid_t tid, const struct user_regs_struct *regs);

/**
 * tracee_probe() - May this process trace a child of its, and do all of the above?
 *
 * Return: 0 or a negative errno: security modules may forbid it.
 */
int tracee_probe(void);

#endif
