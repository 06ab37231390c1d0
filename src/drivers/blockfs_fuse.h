/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_fuse.h - what the files that answer FUSE's requests share
 */
#ifndef WEIR_DRIVERS_BLOCKFS_FUSE_H
#define WEIR_DRIVERS_BLOCKFS_FUSE_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "drivers/blockfs_impl.h"

#define BLOCKFS_FOREVER (365.0 * 86400)	/* seconds: only the host's requests change anything */

static inline struct blockfs *blockfs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* The root is 1 to FUSE, 2 on the disk. */
static inline uint32_t disk_ino(fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? EXT2_ROOT_INO : ino;
}

static inline fuse_ino_t fuse_ino(uint32_t ino)
{
	return ino == EXT2_ROOT_INO ? FUSE_ROOT_ID : ino;
}

/* Is it one that may change? Else it is answered. */
bool blockfs_may_write(fuse_req_t req);

/* Answer with an error, or that it is done. */
void blockfs_done(fuse_req_t req, int ret);

/* What FUSE is told of an inode. */
int blockfs_entry(struct blockfs *b, uint32_t ino, struct fuse_entry_param *ret);

#endif
