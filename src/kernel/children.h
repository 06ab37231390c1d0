/* SPDX-License-Identifier: Apache-2.0 */
/*
 * children.h - who is whose child, in the host's /proc
 *
 * By /proc/PID/task/TID/children where the host has it (CONFIG_PROC_CHILDREN),
 * else by the parents of all the host's processes, as they were when the walk
 * began: who was forked since is met by the next walk.
 */
#ifndef WEIR_KERNEL_CHILDREN_H
#define WEIR_KERNEL_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* For one walk; zeroed by children_begin(). */
struct children {
	bool listed;		/* the host has lists of children */
	struct kinship {
		pid_t pid, parent;
	} *all;			/* if not: all the host's processes */
	size_t n, size;
};

/* Return: 0 or -ENOMEM; children_end() is right after either. */
int children_begin(struct children *c);
void children_end(struct children *c);

/**
 * children_of() - Tell the children of a thread
 * @task: /proc/@pid/task, opened
 * @one:  called for each, until it returns a negative errno
 *
 * Without lists a process's children are told as those of its first thread.
 *
 * Return: 0, what @one returned, or -ENOENT or -ESRCH if the thread has ended.
 */
int children_of(const struct children *c, int task, pid_t pid, pid_t tid,
		int (*one)(void *ctx, pid_t child), void *ctx);

#endif
