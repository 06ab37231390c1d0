/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ubd_node_impl.h - inside of the FUSE file system of block devices
 *
 * ubd_node.c  reads, writes, flushes, ioctls: what an open node is asked for
 * ubd_dir.c   names and attributes, and who has a node open
 */
#ifndef WEIR_DRIVERS_UBD_NODE_IMPL_H
#define WEIR_DRIVERS_UBD_NODE_IMPL_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "drivers/ubd_node.h"

#define UBD_NODE_MAX_IO (1u << 20)	/* bytes of one request; max_read of the mount */

/* NULL: it is the directory, or not there any more. */
struct ubd_node *ubd_node_of(fuse_req_t req, fuse_ino_t ino);

void ubd_dir_init(void *nodes, struct fuse_conn_info *conn);
void ubd_dir_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void ubd_dir_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ubd_dir_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int set, struct fuse_file_info *fi);
void ubd_dir_readdir(fuse_req_t req, fuse_ino_t dir, size_t size, off_t off, struct fuse_file_info *fi);
void ubd_dir_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ubd_dir_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ubd_dir_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

#endif
