/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proctree.h - the processes of a guest, as the host's /proc has them
 */
#ifndef WEIR_KERNEL_PROCTREE_H
#define WEIR_KERNEL_PROCTREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One process, when it was looked at. Ids are the host's. */
struct proctree_node {
	pid_t pid;
	pid_t live;		/* one of its threads that has not ended */
	uint64_t start;		/* when it began, in clock ticks: tells a reused pid */
	bool stopped;		/* none of its threads can run before a SIGCONT */
	char state;		/* as in /proc/PID/stat, of a thread that is not stopped */
	char comm[17];		/* that thread's name */
};

/* What a visit says of a process; a negative errno ends the walk. */
enum proctree_verdict {
	PROCTREE_CHANGED,	/* it was not as it shall be, but is now */
	PROCTREE_GOOD,		/* it was */
	PROCTREE_LATER,		/* it will be soon; until then its children are left alone */
};

/**
 * typedef proctree_visit - What a walk does to each process
 *
 * Called before the children are looked for: what it stops has no other
 * children than those that are found then. Returns a verdict.
 */
typedef int (*proctree_visit)(void *ctx, const struct proctree_node *n);

/**
 * proctree_walk() - Visit the roots and all below them, parents first
 * @root: children of the calling process; a pid that is none is passed over
 *
 * @ret_print: of all that was seen, zombies included; may be NULL
 *
 * An orphan may slip to a parent that was visited already, and its parent be a
 * zombie when its turn comes; and on a host without lists (children.h) children
 * are known as of the beginning of a walk. So one good walk proves nothing; two
 * in succession with the same print do: nobody forked since the first.
 *
 * Return: 1 if each visit said GOOD and no process ended under the eye of the
 * walk, 0 if not, or a negative errno.
 */
int proctree_walk(const pid_t *root, unsigned nroots, proctree_visit visit, void *ctx,
		  uint64_t *ret_print);

/* When a process began, in clock ticks; 0 if there is none. */
uint64_t proctree_start(pid_t pid);

#endif
