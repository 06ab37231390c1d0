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

#include "drivers/ubd.h"

struct ubd_node {
	char name[16];		/* "0", "0p1" */
	struct ubd *u;
	uint64_t start, size;	/* bytes of the device */
	bool readonly;
	mode_t mode;		/* permissions; and owner: the guest's to change */
	uid_t uid;
	gid_t gid;
};

struct ubd_nodes {
	struct ubd_node *node;
	unsigned n;
	struct fuse_server *server;
	void *buffers;		/* ubd_node.c's */
};

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
