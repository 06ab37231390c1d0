/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect_impl.h - inside the redirecting of calls
 *
 * redirect.c        a call is answered, and made anew with its time in a slot
 * redirect_hold.c   a task is stopped, by one of us at a time
 * redirect_again.c  a call that waits gets another time; calls made beside one
 */
#ifndef WEIR_KERNEL_REDIRECT_IMPL_H
#define WEIR_KERNEL_REDIRECT_IMPL_H

#include "kernel/kernel.h"
#include "kernel/time/timekeeper.h"
#include "kernel/wait/redirect.h"

/* Of the host's own use (linux/errno.h): what a call returns that is to be made
 * again. -516 with what the host has noted down, by restart_syscall(2). */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

#define REDIRECT_LOOKS 40	/* at a task that is on its way into or out of a call */
#define REDIRECT_LOOK_NS 50000

static inline struct redirects *redirects_of(struct kernel *k)
{
	return &k->time->redirects;
}

static inline struct redirect_lock *redirect_lock_of(struct kernel *k, pid_t tid)
{
	return &redirects_of(k)->lock[tid % REDIRECT_LOCKS];
}

/* To stop a task: the lock, and that redirects_idle() knows of it. */
void redirect_lock(struct kernel *k, struct redirect_lock *l);
void redirect_unlock(struct kernel *k, struct redirect_lock *l);

/* The same on behalf of a call that waits for its answer. Return: false if it has
 * been answered, and will be made again. */
bool redirect_lock_for(struct kernel *k, struct call *c, struct redirect_lock *l);

/* With its lock held. Return: 0 with the registers, -EPERM or -ESRCH. */
int redirect_stop(struct kernel *k, pid_t tid, struct user_regs_struct *ret);

/* The register that a call's timeout is in. */
unsigned long long *redirect_register(struct user_regs_struct *r, enum vclock_back back);

/* Fill a slot that is not in use. Return: 0 or -EFAULT. */
int redirect_write_slot(const struct redirect *r, const struct redirect_how *how,
			const int64_t *time, unsigned words);

extern const struct redirect_how redirect_as_it_was;

#endif
