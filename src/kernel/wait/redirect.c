/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect.c - a call that takes its timeout from elsewhere
 *
 * The order is what makes it safe. The task is seized and asked to stop while
 * its call waits for an answer; then it is answered with ERESTARTNOINTR. That
 * number never reaches the program: the stop comes before it, and should we
 * die before the registers are changed, the host makes the task do its call
 * again.
 */

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "kernel/log.h"
#include "kernel/syscall.h"
#include "kernel/util.h"
#include "kernel/wait/redirect_impl.h"
#include "kernel/wait/slot.h"
#include "ns/feature.h"
#include "passthrough/tracee.h"

#define RET_BYTE 0xc3

void redirects_init(struct redirects *r)
{
	int ret = host_feature_masked("ptrace") ? -EPERM : tracee_probe();

	for (int i = 0; i < REDIRECT_LOCKS; i++)
		pthread_mutex_init(&r->lock[i].lock, NULL);
	r->able = ret == 0;
	if (ret < 0)
		log_warn("time: this host does not let the guest's tasks be traced (%s): deadlines are "
			 "written into the programs' memory for a moment", strerror(-ret));
}

static _Atomic pid_t *refusal_of(struct kernel *k, pid_t tid)
{
	return &redirects_of(k)->refused[tid % REDIRECT_REFUSED];
}

unsigned long long *redirect_register(struct user_regs_struct *r, enum vclock_back back)
{
	switch (back) {
	case BACK_RDI:
		return &r->rdi;
	case BACK_RSI:
		return &r->rsi;
	case BACK_RDX:
		return &r->rdx;
	case BACK_R10:
		return &r->r10;
	default:
		return &r->r8;
	}
}

/* ---- begin -------------------------------------------------------------- */

static bool still_waits(const void *ctx)
{
	return call_valid(ctx);
}

/* Calls that the host restarts behind a handler's back. A libc whose handler for
 * cancellation looks where it came from must find the address that it knows;
 * after other calls it looks again when they say EINTR. */
static bool needs_return(int nr)
{
	return nr == SYS_mq_timedsend || nr == SYS_mq_timedreceive;
}

/* What has to be known while the call still waits: how the task will come back,
 * and, if it has no window yet, where its vDSO is. */
static int look_ahead(struct kernel *k, struct call *c, struct redirect *r)
{
	const struct image *im = &k->time->image;
	struct image_caller who = { .tid = c->tid, .valid = still_waits, .ctx = c };
	struct window_head head;
	unsigned char next;

	if (copy_from_guest(c->tid, &next, uaddr(c->ip), 1) < 0)
		return -EAGAIN;
	r->by_return = next == RET_BYTE && (needs_return(c->nr) || !im->unwinds);
	if (!r->by_return && !im->unwinds)
		return -EAGAIN;
	if (slot_head(c->tid, &head)) {
		r->vdso = head.vdso;
		return 0;
	}
	r->vdso = 0;
	/* A task without our code in its vDSO can still come back by itself. */
	if (im->size == 0 || image_change(im, &who, &r->vdso) < 0)
		r->vdso = 0;
	if (!r->vdso && !r->by_return)
		return -EAGAIN;
	return -ENXIO;
}

/* No slot: the task does its call again, as it was, and is not redirected then. */
static int give_back(struct kernel *k, struct redirect *r, int why)
{
	if (why != -ESRCH) {
		log_debug("time: task %d has no slot: %s", r->tid, strerror(-why));
		atomic_store(refusal_of(k, r->tid), r->tid);
		tracee_release(r->tid, &r->regs);
	}
	redirect_unlock(k, r->lock);
	return -ESRCH;
}

/* Seize the caller and answer it; it stops. Return: 0, -EAGAIN, -ESRCH; in the
 * last case it is not traced any more. */
static int stop_caller(struct call *c, struct redirect *r)
{
	int ret = tracee_seize(c->tid);

	if (ret < 0)
		return ret == -EPERM ? -EAGAIN : ret;
	/* If it is not the caller any more, it is let go of in the same way. */
	call_answer(c, -ERESTARTNOINTR);
	ret = tracee_stop(c->tid, &r->regs);
	if (ret < 0)
		return ret;
	if (r->regs.rax == (uint64_t)-ERESTARTNOINTR && r->regs.orig_rax == (uint64_t)c->nr &&
	    r->regs.rip == c->ip)
		return 0;
	tracee_release(c->tid, NULL);
	return -ESRCH;
}

int redirect_begin(struct kernel *k, struct call *c, enum vclock_back back, struct redirect *r)
{
	pid_t refused = c->tid;
	int ret, window;

	*r = (struct redirect){ .tid = c->tid, .nr = c->nr, .back = back };
	if (!redirects_of(k)->able || atomic_compare_exchange_strong(refusal_of(k, c->tid), &refused, 0))
		return -EAGAIN;
	window = look_ahead(k, c, r);
	if (window == -EAGAIN)
		return window;
	if (!call_valid(c))
		return -ESRCH;
	r->lock = redirect_lock_of(k, c->tid);
	if (!redirect_lock_for(k, c, r->lock))
		return -ESRCH;
	ret = stop_caller(c, r);
	if (ret < 0) {
		redirect_unlock(k, r->lock);
		return ret;
	}
	if (window == -ENXIO)
		ret = slot_map_window(r, r->regs.rip - SYSCALL_BYTES);
	if (ret == 0)
		ret = slot_choose(r);
	if (ret < 0)
		return give_back(k, r, ret);
	r->serial = atomic_fetch_add(&redirects_of(k)->serial, 1) + 1;
	return 0;
}

/* ---- commit ------------------------------------------------------------- */

int redirect_write_slot(const struct redirect *r, const struct redirect_how *how,
			const int64_t *time, unsigned words)
{
	struct window_slot s = {
		.serial = r->serial,
		.rsp = r->regs.rsp,
		.busy = r->by_return ? SLOT_RETURN : SLOT_BACK,
		.ret = r->regs.rip,
		.rdi = r->regs.rdi,
		.rsi = r->regs.rsi,
		.rdx = r->regs.rdx,
		.r10 = r->regs.r10,
		.r8 = r->regs.r8,
		.finish = how->finish,
		.out = how->out,
		.end = how->end_ns,
		.tid = r->tid,
	};

	memcpy(s.time, time, words * sizeof(*time));
	return copy_to_guest(r->tid, uaddr(r->slot - TIME_AT), &s,
			     sizeof(s));
}

static void change_registers(struct user_regs_struct *regs, const struct redirect *r,
			     const struct redirect_how *how)
{
	*redirect_register(regs, r->back) = r->slot;
	for (size_t i = 0; i < ARRAY_SIZE(how->change); i++) {
		unsigned long long *reg = redirect_register(regs, how->change[i].reg);

		if (how->change[i].what == PUT_NULL || how->change[i].what == PUT_ONE)
			*reg = how->change[i].what == PUT_ONE;
		else if (how->change[i].what == PUT_SLOT)
			*reg = r->slot;
		else if (how->change[i].what == PUT_SECOND)
			*reg = r->slot + 2 * sizeof(int64_t);
	}
}

const struct redirect_how redirect_as_it_was;

void redirect_args(const struct redirect *r, const struct redirect_how *how, uint64_t ret[6])
{
	struct user_regs_struct regs = r->regs;

	change_registers(&regs, r, how ?: &redirect_as_it_was);
	memcpy(ret, (const uint64_t[]){ regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9 },
	       6 * sizeof(*ret));
}

int redirect_commit(struct kernel *k, struct redirect *r, const struct redirect_how *how,
		    const int64_t *time, unsigned words)
{
	struct user_regs_struct regs = r->regs;
	int ret;

	how = how ? how : &redirect_as_it_was;
	r->nr = how->nr ? how->nr : r->nr;
	ret = redirect_write_slot(r, how, time, words);
	if (ret < 0)
		return give_back(k, r, ret);
	change_registers(&regs, r, how);
	regs.rip = r->by_return ? regs.rip - SYSCALL_BYTES : r->vdso + k->time->image.back[r->back];
	regs.rax = r->nr;
	regs.orig_rax = -1;
	ret = tracee_release(r->tid, &regs);
	redirect_unlock(k, r->lock);
	return ret;
}
