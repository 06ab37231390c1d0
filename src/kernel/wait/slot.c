/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot.c - the places of redirected calls in a process's memory
 *
 * The window is mapped into a process when its first call is redirected, by
 * that call's task; forks have it as well, and an exec ends it.
 */
#include "kernel/wait/slot.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "mmu/uaccess.h"
#include "passthrough/hostcall.h"
#include "passthrough/tracee.h"

#define STACK_NEAR (256 * 1024)

static uint64_t slot_address(pid_t tid, unsigned i)
{
	return WINDOW_BASE + WINDOW_HEAD_BYTES +
	       ((tid % REDIRECT_GROUPS) * REDIRECT_SLOTS + i) * sizeof(struct window_slot);
}

/* Held from the mapping of a window until it has its head: who finds something there
 * that has none knows that it is the program's. */
static pthread_mutex_t mapping = PTHREAD_MUTEX_INITIALIZER;

bool slot_head(pid_t tid, struct window_head *ret)
{
	return copy_from_guest(tid, ret, uaddr(WINDOW_BASE), sizeof(*ret)) == 0 &&
	       ret->magic == WINDOW_MAGIC;
}

/*
 * A process that was forked just when its parent's window was being made has one without
 * a head: a private mapping of that very place and size, with nothing in it.
 */
static bool is_half_made(pid_t tid)
{
	struct window_head head, none = {};
	cleanup_free char *line = NULL;
	char path[32], want[64];
	size_t size = 0;
	bool is = false;
	FILE *f;

	if (copy_from_guest(tid, &head, uaddr(WINDOW_BASE), sizeof(head)) < 0 ||
	    memcmp(&head, &none, sizeof(head)) != 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/maps", tid);
	snprintf(want, sizeof(want), "%llx-%llx rw-p 00000000 00:00 0", (unsigned long long)WINDOW_BASE,
		 (unsigned long long)(WINDOW_BASE + WINDOW_BYTES));
	f = fopen(path, "re");
	while (f && !is && getline(&line, &size, f) > 0)
		is = str_starts(line, want);
	if (f)
		fclose(f);
	return is;
}

static int map_window(struct redirect *r, uint64_t by)
{
	const uint64_t arg[6] = { WINDOW_BASE, WINDOW_BYTES, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE,
				  (uint64_t)-1, 0 };
	struct window_head head = { WINDOW_MAGIC, r->vdso }, has;
	int64_t at;
	int ret;

	/* Another thread of the process's may have been first. */
	if (slot_head(r->tid, &has))
		return 0;
	ret = tracee_call(r->tid, by, SYS_mmap, arg, &at);
	if (ret < 0)
		return ret;
	if (at == -EEXIST && !is_half_made(r->tid))
		return -EEXIST;
	if (at != -EEXIST && at != (int64_t)WINDOW_BASE)
		return at < 0 && at > -4096 ? -ENOMEM : -EFAULT;
	return copy_to_guest(r->tid, uaddr(WINDOW_BASE), &head, sizeof(head));
}

int slot_map_window(struct redirect *r, uint64_t at)
{
	int ret;

	pthread_mutex_lock(&mapping);
	ret = map_window(r, at);
	pthread_mutex_unlock(&mapping);
	return ret;
}

/*
 * Is a call of this thread's further out on its stack, interrupted by a signal
 * whose handler makes the present one? Then the slot's address is among the
 * registers that the host has saved on the stack in between.
 */
static bool is_interrupted(const struct window_slot *s, uint64_t time, pid_t tid, uint64_t rsp)
{
	cleanup_free uint64_t *stack = malloc(STACK_NEAR);
	size_t bytes = s->rsp - rsp;

	if (!stack || copy_from_guest(tid, stack, uaddr(rsp), bytes) < 0)
		return true;
	for (size_t i = 0; i < bytes / sizeof(*stack); i++)
		if (stack[i] == time)
			return true;
	return false;
}

/* May a slot that is marked as used be used again? What was left by a jump out
 * of a handler, by a thread's end, or by a call that was followed by a return. */
static bool is_over(const struct window_slot *s, uint64_t time, pid_t tid, uint64_t rsp)
{
	if (s->tid != (uint64_t)tid)
		return host_call(SYS_tkill, (pid_t)s->tid, 0) == -ESRCH;
	if (rsp >= s->rsp)
		return rsp - s->rsp < STACK_NEAR;
	return s->rsp - rsp < STACK_NEAR && !is_interrupted(s, time, tid, rsp & ~7ull);
}

/* The free slot that has been free longest, else one that is over. */
int slot_choose(struct redirect *r)
{
	struct window_slot s[REDIRECT_SLOTS];
	int best = -1;

	if (copy_from_guest(r->tid, s, uaddr(slot_address(r->tid, 0)), sizeof(s)) < 0)
		return -EFAULT;
	for (int i = 0; i < REDIRECT_SLOTS; i++)
		if (s[i].busy == SLOT_FREE && (best < 0 || s[i].serial < s[best].serial))
			best = i;
	for (int i = 0; i < REDIRECT_SLOTS && best < 0; i++)
		if (is_over(&s[i], slot_address(r->tid, i) + TIME_AT, r->tid, r->regs.rsp))
			best = i;
	if (best < 0)
		return -EBUSY;
	r->slot = slot_address(r->tid, best) + TIME_AT;
	return 0;
}

bool slot_is_held(const struct redirect *r)
{
	struct window_slot s;

	return copy_from_guest(r->tid, &s, uaddr(r->slot - TIME_AT),
			       sizeof(s)) == 0 &&
	       s.serial == r->serial && s.tid == (uint64_t)r->tid && s.busy != SLOT_FREE;
}
