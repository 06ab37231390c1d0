/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_disk.h - a file system of ours on a disk in memory, for tests
 */
#ifndef WEIR_TESTS_BLOCKFS_DISK_H
#define WEIR_TESTS_BLOCKFS_DISK_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drivers/blockfs_impl.h"
#include "memory_disk.h"

/* Blocks of 1 KiB: the smallest journal has 1024 of them. */
static const char *const with_extents[] = { "-t", "ext4", "-b", "1024", "-J", "size=1", "-E", "lazy_itable_init=0", NULL };
static const struct new_inode a_file = { .mode = S_IFREG | 0644 };

static inline int try_open(int disk, struct blockfs **ret)
{
	struct blockfs_options opt = { .type = "ext4", .disk = disk };
	struct disk_error why;

	return blockfs_open(&opt, ret, &why);
}

static inline struct blockfs *open_disk(int disk)
{
	struct blockfs *b = NULL;

	assert_int_equal(try_open(disk, &b), 0);
	return b;
}

static inline struct blockfs *make(struct memory_disk *d, uint64_t size, const char *const options[])
{
	if (!memory_disk_make(d, size, options))
		skip();
	return open_disk(d->fd);
}

/* Power fails: what was not committed is lost. */
static inline void crash(struct blockfs *b)
{
	b->broken = true;
	blockfs_close(b);
}

static inline uint32_t create(struct blockfs *b, const char *name, const struct new_inode *n)
{
	uint32_t ino = 0;

	assert_int_equal(blockfs_create(b, EXT2_ROOT_INO, name, n, &ino), 0);
	return ino;
}

static inline bool has(struct blockfs *b, const char *name)
{
	return dir_has_not(b, EXT2_ROOT_INO, name) == -EEXIST;
}

static inline void check(int disk)
{
	static char text[20000];

	if (memory_disk_e2fsck(disk, "-fn", text, sizeof(text)) > 0)
		fail_msg("e2fsck: %s", text);
}

#endif
