/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_server.h - the process that serves a file system of a disk, as the guest
 * kernel has it: a socket, a pidfd, and no more patience than it deserves
 *
 * What it reads was written by the guest, so it may hang at any time. Who waits for
 * it goes on after 10 s in which the disk was asked for nothing, and after 60 s in
 * any case; then it is killed, and the log says so.
 */
#ifndef WEIR_KERNEL_MOUNT_SERVER_H
#define WEIR_KERNEL_MOUNT_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ns/mounter.h"

struct disks;

struct mount_server {
	struct disks *disks;
	uint64_t disk;			/* inode of its disk in /dev/ubd */
	char source[64];
	int control, pidfd;
	unsigned char asked;		/* the last byte sent: late answers are others */
	const atomic_bool *hurry;	/* the guest ends */
};

/**
 * mount_server_start() - Have the mounter fork one, and wait until it has mounted
 * @s: disks, disk, source and hurry are set; filled in
 *
 * Return: the mount, detached, the caller's; or a negative errno with @why, and
 * nothing is left: -ETIMEDOUT if it was killed, -EINTR if the guest ends.
 */
int mount_server_start(struct mount_server *s, int mounter, const struct mount_request *rq, int disk,
		       struct mount_reply *why);

/* Is it mounted still? If not, all is on the disk, or the process was killed. */
bool mount_server_mounted(struct mount_server *s);

/* The guest is gone, and with it what it had mounted: has it ended by itself, all being
 * on the disk? It has a second in which it need do nothing, from @since on. If so s is
 * done with. */
bool mount_server_left(struct mount_server *s, uint64_t since);

/**
 * mount_server_end() - Have it write everything and end
 *
 * To be called for all before mount_server_wait() for each, which returns when it has
 * ended or was killed; @since: host_now() of when it was told. Then s is done with.
 */
void mount_server_end(struct mount_server *s);
void mount_server_wait(struct mount_server *s, uint64_t since);

#endif
