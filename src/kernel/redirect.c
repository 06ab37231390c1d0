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
#include "kernel/redirect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/slot.h"
#include "kernel/syscall.h"
#include "kernel/timekeeper.h"
#include "kernel/util.h"
#include "ns/feature.h"
#include "passthrough/hostcall.h"
#include "passthrough/tracee.h"

/* Of the host's own use (linux/errno.h): what a call returns that is to be made
 * again. -516 with what the host has noted down, by restart_syscall(2). */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTART_RESTARTBLOCK 516

#define RET_BYTE 0xc3
#define STATUS_BYTES 16384
#define LOOKS 40		/* at a task that is on its way into or out of a call */
#define LOOK_NS 50000

void redirects_init(struct redirects *r)
{
	int ret = host_feature_masked("ptrace") ? -EPERM : tracee_probe();

	for (int i = 0; i < REDIRECT_LOCKS; i++)
		pthread_mutex_init(&r->lock[i], NULL);
	r->able = ret == 0;
	if (ret < 0)
		log_warn("time: this host does not let the guest's tasks be traced (%s): deadlines are "
			 "written into the programs' memory for a moment", strerror(-ret));
}

static struct redirects *state(struct kernel *k)
{
	return &k->time->redirects;
}

static pthread_mutex_t *lock_of(struct kernel *k, pid_t tid)
{
	return &state(k)->lock[tid % REDIRECT_LOCKS];
}

static _Atomic pid_t *refusal_of(struct kernel *k, pid_t tid)
{
	return &state(k)->refused[tid % REDIRECT_REFUSED];
}

static unsigned long long *timeout_register(struct user_regs_struct *r, enum vclock_back back)
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
	if (copy_from_guest(c->tid, &head, uaddr(WINDOW_BASE), sizeof(head)) == 0 &&
	    head.magic == WINDOW_MAGIC) {
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
	pthread_mutex_unlock(r->lock);
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
	if (!state(k)->able || atomic_compare_exchange_strong(refusal_of(k, c->tid), &refused, 0))
		return -EAGAIN;
	window = look_ahead(k, c, r);
	if (window == -EAGAIN)
		return window;
	if (!call_valid(c))
		return -ESRCH;
	r->lock = lock_of(k, c->tid);
	pthread_mutex_lock(r->lock);
	ret = stop_caller(c, r);
	if (ret < 0) {
		pthread_mutex_unlock(r->lock);
		return ret;
	}
	if (window == -ENXIO)
		ret = slot_map_window(r);
	if (ret == 0)
		ret = slot_choose(r);
	if (ret < 0)
		return give_back(k, r, ret);
	r->serial = atomic_fetch_add(&state(k)->serial, 1) + 1;
	return 0;
}

/* ---- commit ------------------------------------------------------------- */

static int write_slot(const struct redirect *r, const struct redirect_how *how, const int64_t *time,
		      unsigned words)
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
		.tid = r->tid,
	};

	memcpy(s.time, time, words * sizeof(*time));
	return copy_to_guest(r->tid, uaddr(r->slot - TIME_AT), &s,
			     sizeof(s));
}

static void change_registers(struct user_regs_struct *regs, const struct redirect *r,
			     const struct redirect_how *how)
{
	*timeout_register(regs, r->back) = r->slot;
	for (size_t i = 0; i < ARRAY_SIZE(how->change); i++) {
		unsigned long long *reg = timeout_register(regs, how->change[i].reg);

		if (how->change[i].what == PUT_NULL || how->change[i].what == PUT_ONE)
			*reg = how->change[i].what == PUT_ONE;
		else if (how->change[i].what == PUT_SLOT)
			*reg = r->slot;
		else if (how->change[i].what == PUT_SECOND)
			*reg = r->slot + 2 * sizeof(int64_t);
	}
}

static const struct redirect_how as_it_was;

int redirect_commit(struct kernel *k, struct redirect *r, const struct redirect_how *how,
		    const int64_t *time, unsigned words)
{
	struct user_regs_struct regs = r->regs;
	int ret;

	how = how ? how : &as_it_was;
	r->nr = how->nr ? how->nr : r->nr;
	ret = write_slot(r, how, time, words);
	if (ret < 0)
		return give_back(k, r, ret);
	change_registers(&regs, r, how);
	regs.rip = r->by_return ? regs.rip - SYSCALL_BYTES : r->vdso + k->time->image.back[r->back];
	regs.rax = r->nr;
	regs.orig_rax = -1;
	ret = tracee_release(r->tid, &regs);
	pthread_mutex_unlock(r->lock);
	return ret;
}

/* ---- change ------------------------------------------------------------- */

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

/* Interrupt the wait, and let the call be made anew: it reads the slot then.
 * Not left to the host: that would go on with the time it has read. */
static int make_anew(const struct redirect *r)
{
	struct user_regs_struct regs;
	int64_t result;
	int ret = tracee_seize(r->tid);

	if (ret == 0)
		ret = tracee_stop(r->tid, &regs);
	if (ret < 0)
		return ret == -EPERM ? -EAGAIN : ret;
	result = (int64_t)regs.rax;
	if (*timeout_register(&regs, r->back) != r->slot || (int64_t)regs.orig_rax < 0 ||
	    result > -ERESTARTSYS || result < -ERESTART_RESTARTBLOCK)
		return tracee_release(r->tid, NULL);
	regs.rax = r->nr;
	regs.rip -= SYSCALL_BYTES;
	regs.orig_rax = -1;
	return tracee_release(r->tid, &regs);
}

bool redirect_waits(struct kernel *k, const struct redirect *r)
{
	pthread_mutex_t *lock = lock_of(k, r->tid);
	bool ret;

	/* Not before redirect_commit() has written the slot. */
	pthread_mutex_lock(lock);
	ret = slot_is_held(r);
	pthread_mutex_unlock(lock);
	return ret;
}

int redirect_change(struct kernel *k, const struct redirect *r, const int64_t *time, unsigned words)
{
	struct timespec nap = { .tv_nsec = LOOK_NS };
	pthread_mutex_t *lock = lock_of(k, r->tid);
	int ret = DOES_RUN;

	pthread_mutex_lock(lock);
	if (!slot_is_held(r) ||
	    copy_to_guest(r->tid, uaddr(r->slot), time, words * sizeof(*time)) < 0) {
		pthread_mutex_unlock(lock);
		return -ENOENT;
	}
	/* Whoever comes from now on reads the new time; who has read the old one
	 * is soon seen to wait. */
	for (int i = 0; i < LOOKS && ret == DOES_RUN; i++) {
		ret = what_does(r);
		if (ret == DOES_RUN)
			nanosleep(&nap, NULL);
	}
	if (ret == DOES_WAIT)
		ret = make_anew(r);
	pthread_mutex_unlock(lock);
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
		r->serial = atomic_fetch_add(&state(k)->serial, 1) + 1;
		err = write_slot(r, &as_it_was, (const int64_t *)time, sizeof(*time) / sizeof(int64_t));
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

int redirect_inject(struct kernel *k, pid_t tid, int nr, const uint64_t arg[6], int slot_arg,
		    struct itimerspec *time, int64_t *ret)
{
	struct redirect r = { .tid = tid, .lock = lock_of(k, tid) };
	struct window_head head;
	int err;

	if (copy_from_guest(tid, &head, uaddr(WINDOW_BASE), sizeof(head)) < 0 ||
	    head.magic != WINDOW_MAGIC || !head.vdso)
		return -ESRCH;
	r.vdso = head.vdso;
	pthread_mutex_lock(r.lock);
	err = tracee_seize(tid);
	if (err == 0)
		err = tracee_stop(tid, &r.regs);
	if (err == 0) {
		err = inject(k, &r, nr, arg, slot_arg, time, ret);
		if (err != -ESRCH) {
			undo_interrupt(&r);
			tracee_release(tid, &r.regs);
		}
	}
	pthread_mutex_unlock(r.lock);
	return err == -EPERM ? -EAGAIN : err;
}
