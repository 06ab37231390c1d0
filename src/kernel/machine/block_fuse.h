/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block_fuse.h - the directories of block_files.h over FUSE, a part of procfs_fuse.c's
 */
#ifndef WEIR_KERNEL_BLOCK_FUSE_H
#define WEIR_KERNEL_BLOCK_FUSE_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <stdbool.h>

#include "kernel/machine/block_files.h"

struct block_view {
	struct kernel *kernel;
	fuse_ino_t ino;
	struct block_dir dir;	/* if it is one */
};

void block_fuse_lookup(fuse_req_t req, const struct block_view *v, const char *name);
void block_fuse_getattr(fuse_req_t req, const struct block_view *v);
void block_fuse_readdir(fuse_req_t req, const struct block_view *v, size_t size, off_t off, bool plus);
void block_fuse_readlink(fuse_req_t req, const struct block_view *v);

#endif
