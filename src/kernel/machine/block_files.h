/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block_files.h - /sys/block, and what /proc says of the guest's disks
 *
 * Disks and partitions come and go, so that their directories are no part of
 * proc_nodes[]: a node of kind PROC_BLOCK_* is a directory whose entries are found
 * here. An inode says what it is the directory, file or link of.
 */
#ifndef WEIR_KERNEL_BLOCK_FILES_H
#define WEIR_KERNEL_BLOCK_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/machine/proc_files.h"

#define BLOCK_MAJOR 98		/* that of User-mode Linux's disks (devices.txt) */
#define BLOCK_NAME 32

/* Of which directory: a kind of proc_nodes[], or an inode that block_next() gave. */
struct block_dir {
	enum proc_kind kind;
	uint64_t ino;		/* 0: the node itself */
};

/**
 * block_next() - An entry of a directory
 * @at: where to go on, 0 at first
 *
 * Return: its inode, at least BLOCK_INO, or 0 at the end.
 */
#define BLOCK_INO (UINT64_C(1) << 40)
uint64_t block_next(struct kernel *k, const struct block_dir *dir, unsigned *at, char name[BLOCK_NAME]);

/* S_IFDIR, S_IFREG or S_IFLNK with permissions; 0 if it is gone. */
mode_t block_mode(struct kernel *k, uint64_t ino);

/* A file's text, or where a link leads. Return: 0, -ENODEV if it is gone, -ENOMEM. */
int block_text(struct kernel *k, uint64_t ino, struct text *t);

#endif
