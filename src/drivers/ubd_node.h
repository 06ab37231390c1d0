/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ubd_node.h - block devices as the guest sees them: files of a FUSE file system
 *
 * A node is a device or a partition of one. To the host it is a regular file that
 * has the device's size and keeps it, so that anybody in any user namespace may
 * read, write, map and sync it; it answers the ioctls of a block device.
 */
#ifndef WEIR_DRIVERS_UBD_NODE_H
#define WEIR_DRIVERS_UBD_NODE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "drivers/partition.h"
#include "drivers/ubd.h"

/* What a device or a partition was asked for, and how long that took. */
struct ubd_counters {
	uint64_t ios[UBD_NUM_OPS], bytes[UBD_NUM_OPS], ns[UBD_NUM_OPS];
	unsigned inflight;
	uint64_t since_ns, busy_ns;	/* one or more are under way: since when; how long before */
};

struct ubd_node {
	char name[16];		/* "0", "0p1" */
	unsigned disk, part;	/* 0: all of the disk */
	struct ubd *u;
	uint64_t start, size;	/* bytes of the device */
	bool readonly;
	mode_t mode;		/* permissions; and owner: the guest's to change */
	uid_t uid;
	gid_t gid;
	struct ubd_counters count;	/* of a disk: with all partitions */

	/* The file system's. */
	struct ubd_node *whole;	/* the disk; itself if it is that */
	uint64_t ino;
	unsigned opens;
	uint64_t writes, all_writes;	/* through this node; of a disk: through any */
	uint64_t foreign_seen;		/* writes through others when it was opened last */
	uint64_t writes_read;		/* writes when its table was read last */
};

#define UBD_MAX_NODES (1 + PARTITIONS_MAX)	/* of a disk */

/* A node's inode number says which it is, and is of no other later. */
static inline uint64_t ubd_ino(uint64_t generation, unsigned disk, unsigned part)
{
	return generation << 16 | (disk + 1) << 8 | part;
}

static inline unsigned ubd_ino_disk(uint64_t ino)
{
	return (ino >> 8 & 0xff) - 1;
}

static inline unsigned ubd_ino_part(uint64_t ino)
{
	return ino & 0xff;
}

/* Have two nodes bytes in common? Partitions of one disk have not. */
static inline bool ubd_ino_overlap(uint64_t a, uint64_t b)
{
	return ubd_ino_disk(a) == ubd_ino_disk(b) &&
	       (ubd_ino_part(a) == ubd_ino_part(b) || !ubd_ino_part(a) || !ubd_ino_part(b));
}

/* What becomes of a disk's partitions: BLKRRPART and BLKPG. */
struct ubd_change {
	enum { UBD_CHANGE_NONE, UBD_CHANGE_REREAD, UBD_CHANGE_ADD, UBD_CHANGE_DELETE, UBD_CHANGE_RESIZE } what;
	unsigned part;		/* 1 to PARTITIONS_MAX */
	uint64_t start, size;	/* bytes, whole sectors */
};

struct ubd_nodes {
	struct ubd_node *node[UBD_MAX_DISKS][UBD_MAX_NODES];
	/* Return: 0 or a negative errno for who asked. */
	int (*change)(void *ctx, unsigned disk, const struct ubd_change *c);
	void *ctx;

	struct fuse_server *server;	/* ubd_node.c's */
	void *buffers;
	uint64_t generation;
};

/* A node like @as, whose disk is there already, from now on. NULL: no memory. */
struct ubd_node *ubd_nodes_add(struct ubd_nodes *s, const struct ubd_node *as);

/* One that is not busy; NULL is fine. */
void ubd_nodes_remove(struct ubd_nodes *s, struct ubd_node *n);

/* Does somebody have it open? NULL is not. */
bool ubd_node_busy(const struct ubd_node *n);

/**
 * ubd_nodes_open() - Be ready to serve
 * @device: of a FUSE file system that is mounted; ours from now on
 *
 * When fuse_server_fd(@s->server) can be read, it is fuse_server_read()'s turn and
 * then ubd_run()'s, of each device. Return: 0 or a negative errno.
 */
int ubd_nodes_open(struct ubd_nodes *s, int device);
void ubd_nodes_close(struct ubd_nodes *s);

#endif
