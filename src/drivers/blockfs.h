/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs.h - an ext2, ext3 or ext4 file system on a disk of the guest's
 *
 * libext2fs reads the disk, FUSE's requests come from the host. The process that
 * does it has nothing but the disk: what it reads was written by the guest.
 */
#ifndef WEIR_DRIVERS_BLOCKFS_H
#define WEIR_DRIVERS_BLOCKFS_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/cow.h"

struct blockfs;

struct blockfs_options {
	char type[8];		/* "ext2", "ext3", "ext4": what it may have; "ubd": any */
	int disk;		/* a file or device; stays the caller's */
	bool readonly;		/* nothing of files changes */
	bool disk_readonly;	/* and nothing is written at all */
};

/**
 * blockfs_open() - Read the file system of a disk, and make it whole if it was not
 *
 * Return: 0 or a negative errno with @why, as mount(2) has it: -EINVAL for what is
 * no such file system, -EROFS, -EUCLEAN, -EIO, -ENOSYS (built without libext2fs).
 */
int blockfs_open(const struct blockfs_options *opt, struct blockfs **ret, struct disk_error *why);

/**
 * blockfs_serve() - Answer until it is unmounted
 * @device:  of the FUSE file system, mounted; ours from now on
 * @control: a socket: each message is answered by one of a byte as long as it is
 *           mounted; closed once all is on the disk. Its other end closed: the end.
 */
void blockfs_serve(struct blockfs *b, int device, int control);

/* Make durable what has changed, and mark it clean. NULL is fine. */
int blockfs_close(struct blockfs *b);

#endif
