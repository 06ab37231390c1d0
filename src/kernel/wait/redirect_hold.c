/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect_hold.c - a task is stopped, by one of us at a time
 *
 * There are several who stop tasks: who redirects a call, who gives a waiting one
 * another time, who ends one because its time has come.
 */
#include <errno.h>
#include <time.h>

#include "kernel/wait/redirect_impl.h"
#include "passthrough/tracee.h"

bool redirects_idle(const struct kernel *k)
{
	return atomic_load(&k->time->redirects.under_way) == 0;
}

void redirect_lock(struct kernel *k, struct redirect_lock *l)
{
	pthread_mutex_lock(&l->lock);
	atomic_fetch_add(&redirects_of(k)->under_way, 1);
}

void redirect_unlock(struct kernel *k, struct redirect_lock *l)
{
	atomic_fetch_sub(&redirects_of(k)->under_way, 1);
	pthread_mutex_unlock(&l->lock);
}

int redirect_stop(struct kernel *k, pid_t tid, struct user_regs_struct *ret)
{
	struct redirect_lock *l = redirect_lock_of(k, tid);
	int err = tracee_seize(tid);

	if (err < 0)
		return err;
	atomic_store(&l->stopping, tid);
	err = tracee_stop(tid, ret);
	atomic_store(&l->stopping, 0);
	return err;
}

int redirect_hold(struct kernel *k, pid_t tid, struct user_regs_struct *ret)
{
	int err;

	redirect_lock(k, redirect_lock_of(k, tid));
	err = redirects_of(k)->able ? redirect_stop(k, tid, ret) : -EPERM;
	if (err < 0)
		redirect_unlock(k, redirect_lock_of(k, tid));
	return err;
}

int redirect_let_go(struct kernel *k, pid_t tid, const struct user_regs_struct *regs)
{
	int ret = tracee_release(tid, regs);

	redirect_unlock(k, redirect_lock_of(k, tid));
	return ret;
}

/*
 * Someone else may be stopping this task  and saw the task wait, but
 * the wait was over, and now the task cannot stop before its new call is answered.
 * Return: false if it has been answered, and will make its call again.
 */
bool redirect_lock_for(struct kernel *k, struct call *c, struct redirect_lock *l)
{
	struct timespec nap = { .tv_nsec = REDIRECT_LOOK_NS };

	while (pthread_mutex_trylock(&l->lock) != 0) {
		if (atomic_load(&l->stopping) == c->tid) {
			call_answer(c, -ERESTARTNOINTR);
			return false;
		}
		nanosleep(&nap, NULL);
	}
	atomic_fetch_add(&redirects_of(k)->under_way, 1);
	return true;
}
