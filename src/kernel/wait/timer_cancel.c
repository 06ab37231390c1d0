/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer_cancel.c - TFD_TIMER_CANCEL_ON_SET, when the guest's REALTIME is set
 *
 * The host cancels such a timer when its own clock is set, and there is no other
 * way to have it do so. Who waits in read(2) is told ECANCELED by our hand, which
 * is all there is to it: the first reader takes the news, and the timer goes on.
 * When nobody reads, it is made to ring: that wakes whoever polls. The read that
 * follows passes, like all others, and so it says 1 and not ECANCELED.
 */
#include <errno.h>
#include <sys/user.h>

#include "kernel/hostproc.h"
#include "kernel/sched.h"
#include "kernel/util.h"
#include "kernel/wait/redirect_impl.h"
#include "kernel/wait/timer_impl.h"
#include "passthrough/hostcall.h"

struct search {
	struct kernel *k;
	const struct timer *timer;
	bool told;
};

static bool reads(const struct hostproc_call *c, const struct timer *t, pid_t pid, pid_t tid)
{
	if (c->nr != SYS_read && c->nr != SYS_readv)
		return false;
	return t->file ? openfile_is(t->file, tid, (int)c->arg[0]) :
			 pid == t->tgid && (int)c->arg[0] == t->id;
}

/* It may have come back since, and be anywhere now. */
static bool tell(struct kernel *k, pid_t tid, const struct hostproc_call *c)
{
	struct user_regs_struct regs;
	bool told;

	if (redirect_hold(k, tid, &regs) < 0)
		return false;
	told = (int64_t)regs.rax == -ERESTARTSYS && regs.orig_rax == (uint64_t)c->nr &&
	       regs.rdi == c->arg[0];
	if (told) {
		regs.rax = -ECANCELED;
		regs.orig_rax = -1;
	}
	return redirect_let_go(k, tid, told ? &regs : NULL) == 0 && told;
}

static void visit(void *ctx, pid_t pid, pid_t tid)
{
	struct search *s = ctx;
	struct hostproc_call c;

	if (!s->told && hostproc_call(tid, &c) == 0 && reads(&c, s->timer, pid, tid))
		s->told = tell(s->k, tid, &c);
}

bool timer_cancel(struct kernel *k, const struct timer *t, int fd)
{
	struct itimerspec now = { .it_value.tv_nsec = 1 };
	struct search s = { .k = k, .timer = t };

	sched_walk(k, visit, &s);
	if (!s.told)
		timerfd_settime(fd, TFD_TIMER_ABSTIME, &now, NULL);
	return s.told;
}
