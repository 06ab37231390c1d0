/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waiter_end.c - a wait is ended from outside
 *
 * By ptrace, for a few microseconds (redirect_hold()): it takes the thread out of
 * its call, which shows in a result that asks for a restart, or -EINTR where
 * the host knows none. Before it is let go, that result becomes the one of a
 * time-out. The stop comes before any signal is taken from the queue, so a
 * signal that is on its way finds the call over, as if the time had been up a
 * moment earlier.
 */
#include <errno.h>
#include <sys/syscall.h>
#include <sys/user.h>

#include "kernel/hostproc.h"
#include "kernel/travel/waiter.h"
#include "kernel/util.h"
#include "kernel/wait/redirect_impl.h"
#include "mmu/uaccess.h"

#if !defined(__x86_64__)
#error "waiter_end.c: write the registers of this architecture"
#endif

#define SET_MAX_BYTES 8192	/* 65536 descriptors; larger sets are emptied in pieces */

static bool was_interrupted(long long result)
{
	return result == -ERESTARTSYS || result == -ERESTARTNOINTR || result == -ERESTARTNOHAND ||
	       result == -ERESTART_RESTARTBLOCK || result == -EINTR;
}

/* Does the thread hold the call that we know of? Its registers still do. */
static bool is_this(const struct waiter *w, const struct user_regs_struct *r)
{
	const uint64_t arg[6] = { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 };

	for (int i = 0; i < 6; i++)
		if (arg[i] != w->arg[i])
			return false;
	return (int)r->orig_rax == w->nr || (int)r->orig_rax == SYS_restart_syscall;
}

/* select(2): no descriptor is ready. The host looks at no more bits than the
 * table of descriptors has room for, and writes no more. */
static void empty_sets(const struct waiter *w)
{
	static const char zero[SET_MAX_BYTES];
	struct hostproc_status st;
	uint64_t bits, bytes;

	if (hostproc_status(w->tid, &st) < 0)
		return;
	bits = MIN((uint64_t)(uint32_t)w->arg[0], (uint64_t)st.fd_size);
	bytes = (bits + 63) / 64 * 8;
	for (int i = 1; i <= 3; i++)
		for (uint64_t at = 0; w->arg[i] && at < bytes; at += sizeof(zero))
			copy_to_guest(w->tid, uaddr(w->arg[i] + at), zero,
				      MIN(bytes - at, sizeof(zero)));
}

static void write_results(const struct waiter *w)
{
	static const uint64_t none[2];

	if (w->over.sets)
		empty_sets(w);
	if (w->over.left_arg >= 0)
		copy_to_guest(w->tid, uaddr(w->arg[w->over.left_arg]), none, sizeof(none));
}

/*
 * The thread may have ended its wait and begun another, the same one even. Its
 * beginning was noted before it slept, so now that it is stopped we know. That
 * one is begun again where the host would not do so by itself.
 */
static bool change(struct waiters *ws, const struct waiter *w, struct user_regs_struct *regs,
		   int *ret)
{
	bool ours = is_this(w, regs) && waiters_is_last(ws, w);

	*ret = 0;
	if (!was_interrupted(regs->rax) || (!ours && (long long)regs->rax != -EINTR))
		return false;
	if (ours) {
		write_results(w);
		regs->rax = w->over.result;
		regs->orig_rax = -1;
	} else {
		regs->rax = -ERESTARTNOINTR;
	}
	*ret = ours;
	return true;
}

int waiter_end(struct kernel *k, struct waiters *ws, const struct waiter *w)
{
	struct user_regs_struct regs;
	int ret = redirect_hold(k, w->tid, &regs), err;
	bool changed;

	if (ret < 0)
		return ret;
	changed = change(ws, w, &regs, &ret);
	err = redirect_let_go(k, w->tid, changed ? &regs : NULL);
	return err < 0 ? err : ret;
}
