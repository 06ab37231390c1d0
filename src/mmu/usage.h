/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage.h - the memory of a guest's processes, as the host counts it
 *
 * Sources: /proc/PID/task/TID/statm and maps, proc(5). statm's sixth number is
 * the private writable mappings and the stack, in pages: what Linux charges
 * with vm.overcommit_memory = 2.
 */
#ifndef WEIR_MMU_USAGE_H
#define WEIR_MMU_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* In bytes. */
struct usage_process {
	pid_t pid, tid;		/* tid: one of its threads that has its memory */
	uint64_t size, resident, shared, data;
};

struct usage_object;		/* shared memory that is mapped: counted once */

struct usage {
	struct usage_process *process;
	unsigned n, room;
	struct usage_object *object;
	unsigned nobjects, object_room;
	bool with_shared;	/* look for shared anonymous mappings; costs a maps file each */
	int err;		/* -ENOMEM: the sums are too small */

	uint64_t data_bytes;	/* private and writable, mapped */
	uint64_t shared_bytes;	/* shared anonymous, mapped */
	uint64_t resident_bytes; /* resident without what is shared or of files */
};

/* All zero but with_shared is an empty one. Frees what was counted. */
void usage_clear(struct usage *u);

/* Count a thread's process, unless it was already. Memory that two processes
 * share (vfork) is counted once. What ends meanwhile counts nothing. */
void usage_add(struct usage *u, pid_t pid, pid_t tid);

/* One process's numbers. Return: 0, -ESRCH if it has no memory any more. */
int usage_process(pid_t pid, pid_t tid, struct usage_process *ret);

/* How much of a range of a task's addresses is private and writable. */
uint64_t usage_private_within(pid_t tid, uint64_t from, uint64_t bytes);

/**
 * usage_break_growth() - How much a brk(2) would add
 *
 * Return: bytes, 0 if it takes back or cannot be told since the task is gone.
 */
uint64_t usage_break_growth(pid_t tid, uint64_t brk);

#endif
