/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idwalk.h - a path of a caller, walked with the rights of a guest user
 *
 * Where the guest kernel keeps the ids, the host's checks on the way to a file are
 * those of the one id that all have. So the path is walked here, a component at a
 * time on descriptors that begin at the caller's root and directory: nothing outside
 * of them is in reach, whatever the guest changes meanwhile.
 */
#ifndef WEIR_KERNEL_IDWALK_H
#define WEIR_KERNEL_IDWALK_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "kernel/ids/idcred.h"
#include "kernel/ids/idowner.h"
#include "kernel/kernel.h"

#define IDWALK_FOLLOW 1u	/* a symbolic link at the end is followed */
#define IDWALK_EMPTY 2u		/* an empty path is the descriptor itself, AT_EMPTY_PATH */
#define IDWALK_REACH 8u		/* only whether it may be reached: nothing is opened in that case */
#define IDWALK_LAST 4u		/* the last component may be missing: its directory is enough */

/* A file, and how it may be found. All descriptors are O_PATH. */
struct idwalk {
	int fd;			/* -1: there is none of that name (IDWALK_LAST) */
	struct stat st;		/* as the host has it */
	struct idowner own;
	int dir;		/* where the last name is in; -1 for "/", "." and descriptors */
	struct stat dir_st;
	struct idowner dir_own;
	char name[NAME_MAX + 1];
	bool slash;		/* the path ended in one */
	pid_t proc;		/* in /proc of the guest: of this process, in its numbers; else 0 */
};

/**
 * idwalk_open() - Find a file as the caller of a stopped call
 * @dirfd: a descriptor's number in the caller, or AT_FDCWD
 * @path:  our copy
 * @cred:  whose rights count on the way
 *
 * With IDWALK_REACH, @ret may be empty, and the file missing.
 *
 * Return: 0, or what path_resolution(7) gives; -ESRCH if the caller has gone. To be
 * closed by idwalk_close() in either case.
 */
int idwalk_open(struct kernel *k, const struct call *c, int dirfd, const char *path,
		unsigned flags, const struct idcred *cred, struct idwalk *ret);
void idwalk_close(struct idwalk *w);

/* Of what was found: 0 or -EACCES. */
int idwalk_may(const struct idwalk *w, const struct idcred *cred, int want);

/* May a name be added to the directory, or taken from it? 0, -EACCES, -EPERM (sticky). */
int idwalk_may_add(const struct idwalk *w, const struct idcred *cred);
int idwalk_may_remove(const struct idwalk *w, const struct idcred *cred);

#endif
