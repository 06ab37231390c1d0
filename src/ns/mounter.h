/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounter.h - file systems of ours that a guest mounts while it runs
 *
 * Each is served over FUSE by a process of its own, which has the disk, the FUSE
 * device and a socket to the guest kernel, and nothing else: what it reads was
 * written by the guest. The mounter forks them. Both are in the guest's user
 * namespace, in a mount namespace that has /dev/fuse and nothing besides, and in
 * none of the guest's other namespaces.
 */
#ifndef WEIR_NS_MOUNTER_H
#define WEIR_NS_MOUNTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mount_request {
	char type[8];		/* "ext4" */
	char source[64];	/* as the guest's /proc/mounts will show it */
	bool readonly;		/* the mount */
	bool disk_readonly;
	uint64_t attrs;		/* MOUNT_ATTR_* */
};

struct mount_reply {
	int32_t result;		/* 0 or a negative errno */
	char text[200];		/* and why */
};

/* What the process that is forked for a mount does; given by the guest kernel. */
struct mounter_fs {
	/* Read it. 0 and @ret, or a negative errno and @why. */
	int (*open)(const struct mount_request *rq, int disk, void **ret, char *why, size_t size);
	/* Give up rights: the file system is mounted. */
	int (*confine)(void);
	/* Serve until it is unmounted. @control: see guest_mount.c. */
	void (*serve)(void *fs, int device, int control);
	void (*close)(void *fs);
};

/**
 * mounter_fork() - Start the mounter
 * @fs:    kept
 * @place: a directory of the host's to build its root on, in its own namespace
 * @sock:  the mounter's end of a socket to the guest kernel
 *
 * The caller is in the guest's user namespace and has yet the ids with which
 * /dev/fuse can be opened. Return: 0 or a negative errno.
 */
int mounter_fork(const struct mounter_fs *fs, const char *place, int sock);

/**
 * mounter_mount() - In the guest kernel: a new file system
 * @sock: the kernel's end
 * @disk: stays the caller's
 *
 * Return: the socket to who will serve it, the caller's, or a negative errno.
 */
int mounter_mount(int sock, const struct mount_request *rq, int disk);

/**
 * mounter_reply() - The next of the two messages that come on it
 *
 * Return: the caller's: first a pidfd of who serves, then the mount, detached; or a
 * negative errno with @r.
 */
int mounter_reply(int control, struct mount_reply *r);

#endif
