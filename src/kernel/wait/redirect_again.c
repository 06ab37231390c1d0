/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect_again.c - a call that waits gets another time; calls made beside one
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "kernel/cleanup.h"
#include "kernel/syscall.h"
#include "kernel/util.h"
#include "kernel/wait/redirect_impl.h"
#include "kernel/wait/slot.h"
#include "passthrough/hostcall.h"
#include "passthrough/tracee.h"

#define STATUS_BYTES 16384

/* What a task does: it waits in this call, or in another; or it runs, and may be
 * on its way into it or out of it. */
enum doing { DOES_WAIT, DOES_OTHER, DOES_RUN };

/* "running", or the number, six arguments, stack pointer and program counter. */
static int what_does(const struct redirect *r)
{
	static const unsigned column[] = { [BACK_RDI] = 0, [BACK_RSI] = 1, [BACK_RDX] = 2,
					   [BACK_R10] = 3, [BACK_R8] = 4 };
	unsigned long long arg[6];
	char path[48], text[256];
	long nr;
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/syscall", r->tid);
	ret = host_read_file(AT_FDCWD, path, text, sizeof(text));
	if (ret < 0)
		return -ESRCH;
	if (str_starts(text, "running"))
		return DOES_RUN;
	if (sscanf(text, "%ld %llx %llx %llx %llx %llx", &nr, &arg[0], &arg[1], &arg[2], &arg[3],
		   &arg[4]) != 6)
		return DOES_OTHER;
	return arg[column[r->back]] == r->slot && (nr == r->nr || nr == SYS_restart_syscall) ?
		       DOES_WAIT : DOES_OTHER;
}

/* A hexadecimal mask behind a name in /proc/TID/status. */
static uint64_t mask_of(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	return at ? strtoull(at + strlen(name), NULL, 16) : 0;
}

/* Has it a signal to take? */
static bool has_signal(pid_t tid)
{
	cleanup_free char *text = malloc(STATUS_BYTES);
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	if (!text || host_read_file(AT_FDCWD, path, text, STATUS_BYTES) < 0)
		return true;
	return (mask_of(text, "\nSigPnd:") | mask_of(text, "\nShdPnd:")) & ~mask_of(text, "\nSigBlk:");
}

/* With the task stopped. A signal that it is to take goes first: the call says
 * EINTR then, and would not if it were made again. Return: as what_does(). */
static int let_go_anew(const struct redirect *r, struct user_regs_struct *regs)
{
	int64_t result = regs->rax;
	int ret;

	if (*redirect_register(regs, r->back) != r->slot || (int64_t)regs->orig_rax < 0 ||
	    result > -ERESTARTSYS || result < -ERESTART_RESTARTBLOCK) {
		ret = tracee_release(r->tid, NULL);
		return ret < 0 ? ret : DOES_OTHER;
	}
	if (has_signal(r->tid)) {
		ret = tracee_release(r->tid, NULL);
		return ret < 0 ? ret : DOES_RUN;
	}
	regs->rax = r->nr;
	regs->rip -= SYSCALL_BYTES;
	regs->orig_rax = -1;
	ret = tracee_release(r->tid, regs);
	return ret < 0 ? ret : DOES_WAIT;
}

/* Interrupt the wait, and let the call be made anew: it reads the slot then.
 * Not left to the host: that would go on with the time it has read. */
static int make_anew(struct kernel *k, const struct redirect *r)
{
	struct user_regs_struct regs;
	int ret;

	atomic_fetch_add(&redirects_of(k)->under_way, 1);
	ret = redirect_stop(k, r->tid, &regs);
	if (ret == 0)
		ret = let_go_anew(r, &regs);
	atomic_fetch_sub(&redirects_of(k)->under_way, 1);
	return ret == -EPERM ? -EAGAIN : ret;
}

bool redirect_waits(struct kernel *k, const struct redirect *r)
{
	pthread_mutex_t *m = &redirect_lock_of(k, r->tid)->lock;
	bool ret;

	/* Not before redirect_commit() has written the slot. */
	pthread_mutex_lock(m);
	ret = slot_is_held(r);
	pthread_mutex_unlock(m);
	return ret;
}

int redirect_change(struct kernel *k, const struct redirect *r, const int64_t *time, unsigned words)
{
	struct timespec nap = { .tv_nsec = REDIRECT_LOOK_NS };
	pthread_mutex_t *m = &redirect_lock_of(k, r->tid)->lock;
	int ret = DOES_RUN;

	pthread_mutex_lock(m);
	if (!slot_is_held(r) ||
	    copy_to_guest(r->tid, uaddr(r->slot), time, words * sizeof(*time)) < 0) {
		pthread_mutex_unlock(m);
		return -ENOENT;
	}
	/* Whoever comes from now on reads the new time; who has read the old one
	 * is soon seen to wait. */
	for (int i = 0; i < REDIRECT_LOOKS && ret == DOES_RUN; i++) {
		ret = what_does(r);
		if (ret == DOES_WAIT)
			ret = make_anew(k, r);
		if (ret == DOES_RUN)
			nanosleep(&nap, NULL);
	}
	pthread_mutex_unlock(m);
	return ret == -ESRCH ? -ENOENT : MIN(ret, 0);
}

/* ---- inject ------------------------------------------------------------- */

/* With the task stopped, and its registers in @r. */
static int inject(struct kernel *k, struct redirect *r, int nr, const uint64_t arg[6], int slot_arg,
		  struct itimerspec *time, int64_t *ret)
{
	uint64_t with[6];
	int err = slot_choose(r);

	if (err == 0) {
		r->serial = atomic_fetch_add(&redirects_of(k)->serial, 1) + 1;
		err = redirect_write_slot(r, &redirect_as_it_was, (const int64_t *)time, sizeof(*time) / sizeof(int64_t));
	}
	if (err < 0)
		return -EAGAIN;
	memcpy(with, arg, sizeof(with));
	with[slot_arg] = r->slot;
	err = tracee_call(r->tid, r->vdso + k->time->image.back[BACK_R8], nr, with, ret);
	if (err == 0)
		err = copy_from_guest(r->tid, time, uaddr(r->slot), sizeof(*time));
	if (err == 0) {
		struct window_slot s = { .serial = r->serial };

		err = copy_to_guest(r->tid, uaddr(r->slot - TIME_AT), &s,
				    TIME_AT);
	}
	return err;
}

/* Some calls (rt_sigtimedwait, epoll_wait ...) know only EINTR when they are
 * interrupted. If that was us and no signal, they are made again. */
static void undo_interrupt(struct redirect *r)
{
	if ((int64_t)r->regs.orig_rax < 0 || (int64_t)r->regs.rax != -EINTR || has_signal(r->tid))
		return;
	r->regs.rax = r->regs.orig_rax;
	r->regs.rip -= SYSCALL_BYTES;
	r->regs.orig_rax = -1;
}

/* With the task stopped, so that it is surely itself. */
static bool is_stopped(const void *ctx)
{
	return true;
}

/* Its window; one that has had none, since it has exec'ed since, gets it now. */
static int find_window(struct kernel *k, struct redirect *r)
{
	const struct image *im = &k->time->image;
	struct image_caller who = { .tid = r->tid, .valid = is_stopped };
	struct window_head head;

	if (slot_head(r->tid, &head) && head.vdso) {
		r->vdso = head.vdso;
		return 0;
	}
	if (!im->unwinds || image_change(im, &who, &r->vdso) < 0 || !r->vdso)
		return -EAGAIN;
	return slot_map_window(r, r->vdso + im->back[BACK_R8]);
}

int redirect_inject(struct kernel *k, pid_t tid, int nr, const uint64_t arg[6], int slot_arg,
		    struct itimerspec *time, int64_t *ret)
{
	struct redirect r = { .tid = tid, .lock = redirect_lock_of(k, tid) };
	int err;

	if (!redirects_of(k)->able)
		return -EAGAIN;
	redirect_lock(k, r.lock);
	err = redirect_stop(k, tid, &r.regs);
	if (err == 0) {
		err = find_window(k, &r);
		if (err == 0)
			err = inject(k, &r, nr, arg, slot_arg, time, ret);
		if (err != -ESRCH) {
			undo_interrupt(&r);
			tracee_release(tid, &r.regs);
		}
	}
	redirect_unlock(k, r.lock);
	return err == 0 || err == -ESRCH ? err : -EAGAIN;
}
