/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_memory.c - calls that add to a task's memory, charged under a strict budget
 *
 * The host does all of them, in the caller's own memory; the decision is made
 * on registers alone. Without a strict budget there is nothing to decide.
 */
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>

#include "kernel/memory/memory.h"
#include "kernel/syscall.h"
#include "kernel/util.h"
#include "mmu/usage.h"

#define PAGE UINT64_C(4096)
#define SMALL_SEGMENT PAGE	/* of SysV; there are 4096 of them at most (SHMMNI) */

static int charge(struct kernel *k, struct call *c, uint64_t bytes, uint64_t over)
{
	struct strict *s = memory_strict(k);

	return s ? strict_charge(s, c, bytes, over) : 0;
}

/* More than there is stays more than there is. */
static uint64_t whole_pages(uint64_t bytes)
{
	return bytes > UINT64_MAX - PAGE ? UINT64_MAX : (bytes + PAGE - 1) & ~(PAGE - 1);
}

/* mmap(addr, length, prot, flags, fd, offset): as the host's accountable_mapping(),
 * with MAP_NORESERVE not looked at. */
static uint64_t mmap_adds(struct strict *s, const struct call *c)
{
	unsigned type = c->arg[3] & MAP_TYPE;

	if (type == MAP_PRIVATE)
		return c->arg[2] & PROT_WRITE ? whole_pages(c->arg[1]) : 0;
	if (!(c->arg[3] & MAP_ANONYMOUS))
		return 0;
	if (s)
		strict_shares(s);
	return whole_pages(c->arg[1]);
}

long sys_mmap(struct kernel *k, struct call *c)
{
	uint64_t over = c->arg[3] & MAP_FIXED ? c->arg[0] : 0;
	int ret = charge(k, c, mmap_adds(memory_strict(k), c), over);

	return ret < 0 ? ret : call_continue(c, "a mapping of the task's own, charged by the "
						"registers it is made with");
}

/* mprotect(addr, length, prot): what was not writable may become private memory. */
long sys_mprotect(struct kernel *k, struct call *c)
{
	int ret = charge(k, c, c->arg[2] & PROT_WRITE ? whole_pages(c->arg[1]) : 0, c->arg[0]);

	return ret < 0 ? ret : call_continue(c, "rights to the task's own memory, charged by the "
						"registers");
}

long sys_pkey_mprotect(struct kernel *k, struct call *c)
{
	return sys_mprotect(k, c);
}

/* mremap(old, old_length, new_length, flags, new); an old length of 0, and
 * MREMAP_DONTUNMAP, leave what was there. */
long sys_mremap(struct kernel *k, struct call *c)
{
	uint64_t before = whole_pages(c->arg[1]), after = whole_pages(c->arg[2]);
	int ret;

	if (c->arg[3] & 4 /* MREMAP_DONTUNMAP, Linux 5.7 */)
		before = 0;
	ret = charge(k, c, after > before ? after - before : 0, 0);
	return ret < 0 ? ret : call_continue(c, "a mapping of the task's own that grows, charged by "
						"the registers");
}

long charge_break(struct kernel *k, struct call *c)
{
	uint64_t growth;

	if (!memory_strict(k) || c->arg[0] == 0)
		return 0;
	growth = usage_break_growth(c->tid, c->arg[0]);
	return charge(k, c, growth, 0) < 0 ? (long)(c->arg[0] - growth) : 0;
}

int charge_fork(struct kernel *k, struct call *c)
{
	struct usage_process p;

	if (!memory_strict(k) || usage_process(c->tid, c->tid, &p) < 0)
		return 0;
	return charge(k, c, p.data, 0);
}

long sys_fork(struct kernel *k, struct call *c)
{
	int ret = charge_fork(k, c);

	return ret < 0 ? ret : call_continue(c, "the new task is as confined as its maker");
}

/* The new task has its maker's memory until it execs: nothing is added. It stops
 * because a policy may not stop fork alone. */
long sys_vfork(struct kernel *k, struct call *c)
{
	return call_continue(c, "the new task is as confined as its maker, and has its memory");
}

/* A strict budget could not count it: it is no process's. */
long sys_memfd_create(struct kernel *k, struct call *c)
{
	if (memory_strict(k))
		return -ENOSYS;
	return call_continue(c, "a file of the caller's own; what it may hold is its cgroup's matter");
}

long sys_shmget(struct kernel *k, struct call *c)
{
	if (memory_strict(k) && c->arg[1] > SMALL_SEGMENT)
		return -ENOSPC;
	return call_continue(c, "segments are those of the guest's ipc namespace, or of the policy's");
}
