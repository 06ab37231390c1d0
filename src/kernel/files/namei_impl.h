/* SPDX-License-Identifier: Apache-2.0 */
/*
 * namei_impl.h - what namei.c and namei_walk.c share
 */
#ifndef WEIR_KERNEL_NAMEI_IMPL_H
#define WEIR_KERNEL_NAMEI_IMPL_H

#include "kernel/files/namei.h"
#include "kernel/util.h"

/* Either opens every directory to a caller that has it, as long as its ids are
 * the guest's. */
#define NAMEI_SEARCHES (BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH))

/* Where a caller's path begins. Descriptors of ours. */
struct place {
	int root;		/* -1: not looked at yet */
	int at;
	uint64_t resolve;	/* that a path stays beneath at, openat2(2) */
};

/* A link of a task in our own /proc, as O_PATH: "root", "fd/3". */
int namei_open_of_task(pid_t tid, const char *what);

bool namei_is_procfs(int fd);

/* The path of @rq, one name at a time; both descriptors of @p are there, and @cred
 * is exact. Return: as namei_open(). */
int namei_walk(struct kernel *k, struct call *c, const struct namei_request *rq,
	       const struct host_cred *cred, const struct place *p, int *ret_fd);

#endif
