/* SPDX-License-Identifier: Apache-2.0 */
/*
 * namei.h - the file that a path of a caller's names
 *
 * Found as the caller itself would find it: from its root, working directory
 * and descriptors, with its rights to search directories, at one moment. What
 * comes out is an O_PATH descriptor, on which a handler then acts; the path is
 * not looked at again, and the file is not opened.
 */
#ifndef WEIR_KERNEL_NAMEI_H
#define WEIR_KERNEL_NAMEI_H

#include "kernel/files/cred.h"

/* What only a process inside the guest can follow: a link of /proc that leads
 * into another of its processes. */
#define NAMEI_INSIDE 1

struct namei_request {
	int dirfd;		/* the caller's, or AT_FDCWD */
	const char *path;	/* our copy; "" is an error unless AT_EMPTY_PATH */
	int flags;		/* AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH; others are ignored */
};

/**
 * namei_open() - Find a file for a caller that waits
 * @cred:   the caller's, by cred_read(); read anew, exactly, if more is needed
 * @ret_fd: the file; the caller's of this function from now on
 *
 * What is not in the host's memory is looked up after call_slow().
 * Return: 0, NAMEI_INSIDE, or a negative errno, which the guest gets.
 */
int namei_open(struct kernel *k, struct call *c, const struct namei_request *rq,
	       struct host_cred *cred, int *ret_fd);

#endif
