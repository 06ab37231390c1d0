/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_mount.h - file systems of the guest's disks, mounted by the guest
 */
#ifndef WEIR_KERNEL_GUEST_MOUNT_H
#define WEIR_KERNEL_GUEST_MOUNT_H

#include "kernel/syscall.h"
#include "ns/mounter.h"

/* Is it the type of a file system on a disk? "ext4" ... */
bool guest_mount_knows(const struct kernel *k, const char *type);

struct guest_mount {
	const char *source, *target, *type, *data;	/* data: "" for none */
	uint64_t flags;					/* MS_* */
};

/**
 * guest_mount() - mount(2) of a disk
 *
 * Return: 0, or a negative errno as mount(2) has it: -ENOTBLK for what is no disk of
 * the guest's, -EBUSY for one that is mounted, -EINVAL for a bad super block or
 * option, -EROFS, what looking up the paths gives. The guest kernel's log says more.
 */
long guest_mount(struct kernel *k, const struct caller *who, const struct guest_mount *m);

struct guest_mount_boot {
	const char *disk;	/* "0p1" */
	uint64_t ino;		/* in /dev/ubd */
	const char *what;	/* for errors */
	const char *type;
	bool root;		/* the guest ends with it */
	bool readonly;
};

/**
 * guest_mount_at_boot() - A file system that is there when init starts
 * @disk: opened in the guest's place; stays the caller's
 *
 * Return: its mount, detached, the caller's; or a negative errno with @err.
 */
int guest_mount_at_boot(struct kernel *k, const struct guest_mount_boot *m, int disk, struct ns_error *err);

/* After an umount2(2): what is not mounted any more is on the disk. */
void guest_mounts_settle(struct kernel *k);

/* Boot step. The end: all of them are made durable. */
int guest_mounts_init(struct kernel *k, struct ns_error *err);
void guest_mounts_exit(struct kernel *k);

/* For the agent; NULL: built without them. */
const struct mounter_fs *guest_mounts_ops(void);

#endif
