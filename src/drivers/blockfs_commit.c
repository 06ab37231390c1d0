/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_commit.c - what has changed, all of it or nothing
 *
 * The order of a commit, with a journal:
 *
 *   bytes of files		written by now, to blocks that nothing on the disk refers to
 *   metadata			to the journal				flush
 *   that it is valid		to the journal				flush
 *   metadata			to its places; the next commit's flush covers it
 *
 * One transaction at most is to be replayed at any time, and what a change frees
 * is not given out again before the change is committed. So a replay never writes
 * over anything newer, and the journal needs no list of what it must leave alone.
 *
 * Without a journal only the first flush is of use: e2fsck puts together what a
 * crash has left.
 */
#include "drivers/blockfs_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"

#define MANY_DIRTY 4096u	/* blocks, and fewer if the journal is small */
#define MANY_FREED 65536u

/* ---- what changes -------------------------------------------------------- */

static void set_changed(struct blockfs *b, dgrp_t group)
{
	b->dirty = true;
	if (group >= b->fs->group_desc_count || b->is_changed[group])
		return;
	b->is_changed[group] = true;
	b->changed[b->nchanged++] = group;
}

static void add_freed(struct blockfs *b, uint64_t nr)
{
	struct block_run *last = b->nfreed ? &b->freed[b->nfreed - 1] : NULL;

	if (last && last->first + last->n == nr) {
		last->n++;
		return;
	}
	if (b->nfreed == b->room_freed) {
		size_t room = MAX(2 * b->room_freed, (size_t)64);
		struct block_run *more = realloc(b->freed, room * sizeof(*more));

		if (!more) {
			b->broken = true;
			return;
		}
		b->freed = more;
		b->room_freed = room;
	}
	b->freed[b->nfreed++] = (struct block_run){ nr, 1 };
}

/* libext2fs has allocated or freed a block. */
static void on_block(ext2_filsys fs, blk64_t nr, int inuse)
{
	struct blockfs *b = fs->priv_data;

	set_changed(b, ext2fs_group_of_blk2(fs, nr));
	if (inuse > 0)
		return;
	block_forget(&b->cache, nr);
	/* Not to be given out before the commit. */
	ext2fs_mark_block_bitmap2(fs->block_map, nr);
	add_freed(b, nr);
}

/* libext2fs 1.47 has a callback for ranges, and tells it of an empty one. */
void commit_range(struct blockfs *b, uint64_t first, uint64_t n)
{
	dgrp_t last = ext2fs_group_of_blk2(b->fs, first + n - 1);

	for (dgrp_t g = ext2fs_group_of_blk2(b->fs, first); g <= last; g++)
		set_changed(b, g);
}

void commit_inode(struct blockfs *b, ext2_ino_t ino)
{
	set_changed(b, ext2fs_group_of_ino(b->fs, ino));
}

int commit_init(struct blockfs *b)
{
	b->changed = calloc(b->fs->group_desc_count, sizeof(*b->changed));
	b->is_changed = calloc(b->fs->group_desc_count, sizeof(*b->is_changed));
	if (!b->changed || !b->is_changed)
		return -ENOMEM;
	b->fs->priv_data = b;
	ext2fs_set_block_alloc_stats_callback(b->fs, on_block, NULL);
	return 0;
}

void commit_exit(struct blockfs *b)
{
	free(b->changed);
	free(b->is_changed);
	free(b->freed);
}

/* ---- into blocks --------------------------------------------------------- */

static int write_block(struct blockfs *b, uint64_t nr, const void *data)
{
	return blockfs_error(io_channel_write_blk64(b->fs->io, nr, 1, data));
}

/* The bitmap is the truth: what libext2fs has counted follows it. */
static void count_free(ext2_filsys fs, dgrp_t g, const char *buf, unsigned bits)
{
	unsigned was = ext2fs_bg_free_blocks_count(fs, g), is = bits - ext2fs_bitcount(buf, bits / 8);

	ext2fs_bg_free_blocks_count_set(fs, g, is);
	ext2fs_free_blocks_count_add(fs->super, (int64_t)is - was);
}

static int write_block_bitmap(struct blockfs *b, dgrp_t g, char *buf)
{
	ext2_filsys fs = b->fs;
	unsigned bits = EXT2_CLUSTERS_PER_GROUP(fs->super);
	uint64_t first = ext2fs_group_first_block2(fs, g), last = ext2fs_group_last_block2(fs, g);

	if (ext2fs_bg_flags_test(fs, g, EXT2_BG_BLOCK_UNINIT))
		return 0;
	memset(buf, 0xff, fs->blocksize);
	if (ext2fs_get_block_bitmap_range2(fs->block_map, first, last - first + 1, buf))
		return -EIO;
	for (unsigned i = last - first + 1; i < bits; i++)
		ext2fs_set_bit(i, buf);
	count_free(fs, g, buf, bits);
	ext2fs_block_bitmap_csum_set(fs, g, buf, bits / 8);
	return write_block(b, ext2fs_block_bitmap_loc(fs, g), buf);
}

static int write_inode_bitmap(struct blockfs *b, dgrp_t g, char *buf)
{
	ext2_filsys fs = b->fs;
	unsigned bits = EXT2_INODES_PER_GROUP(fs->super);

	if (ext2fs_bg_flags_test(fs, g, EXT2_BG_INODE_UNINIT))
		return 0;
	memset(buf, 0xff, fs->blocksize);
	if (ext2fs_get_inode_bitmap_range2(fs->inode_map, (uint64_t)g * bits + 1, bits, buf))
		return -EIO;
	ext2fs_inode_bitmap_csum_set(fs, g, buf, bits / 8);
	return write_block(b, ext2fs_inode_bitmap_loc(fs, g), buf);
}

static int write_group(struct blockfs *b, dgrp_t g, char *buf)
{
	int ret = write_block_bitmap(b, g, buf);

	if (ret == 0)
		ret = write_inode_bitmap(b, g, buf);
	if (ret == 0)
		ext2fs_group_desc_csum_set(b->fs, g);
	return ret;
}

static int write_descriptors(struct blockfs *b, uint64_t index)
{
	ext2_filsys fs = b->fs;
	uint64_t nr = ext2fs_descriptor_block_loc2(fs, fs->super->s_first_data_block, index);

	return write_block(b, nr, (char *)fs->group_desc + index * fs->blocksize);
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int write_groups(struct blockfs *b)
{
	cleanup_free char *buf = malloc(b->fs->blocksize);
	uint64_t per = EXT2_DESC_PER_BLOCK(b->fs->super);
	int ret = buf ? 0 : -ENOMEM;

	qsort(b->changed, b->nchanged, sizeof(*b->changed), by_number);
	for (unsigned i = 0; ret == 0 && i < b->nchanged; i++) {
		dgrp_t g = b->changed[i];

		ret = write_group(b, g, buf);
		/* After the last of those that it describes. */
		if (ret == 0 && (i + 1 == b->nchanged || b->changed[i + 1] / per != g / per))
			ret = write_descriptors(b, g / per);
		b->is_changed[g] = false;
	}
	b->nchanged = 0;
	return ret;
}

static int write_super(struct blockfs *b)
{
	ext2_filsys fs = b->fs;
	errcode_t err;

	fs->super->s_wtime = time(NULL);
	fs->super->s_last_orphan = b->norphans ? b->orphan[b->norphans - 1] : 0;
	ext2fs_superblock_csum_set(fs, fs->super);
	io_channel_set_blksize(fs->io, SUPERBLOCK_OFFSET);
	err = io_channel_write_blk64(fs->io, 1, -SUPERBLOCK_SIZE, fs->super);
	io_channel_set_blksize(fs->io, fs->blocksize);
	return blockfs_error(err);
}

static void release_freed(struct blockfs *b)
{
	for (size_t i = 0; i < b->nfreed; i++) {
		const struct block_run *r = &b->freed[i];

		ext2fs_unmark_block_bitmap_range2(b->fs->block_map, r->first, r->n);
		commit_range(b, r->first, r->n);
	}
	b->nfreed = 0;
}

/* ---- to the disk --------------------------------------------------------- */

static int write_out(struct blockfs *b, struct block **blocks, unsigned n)
{
	int ret = b->journal.present ? journal_write(b, blocks, n) : -E2BIG;
	bool journaled = ret == 0;

	if (ret == -E2BIG) {
		/* No more than the order can be had: bytes of files before what leads to them. */
		ret = block_cache_flush(&b->cache);
		if (ret == 0 && b->journal.present)
			ret = journal_mark(b, true);
	}
	if (ret == 0)
		ret = block_cache_write(&b->cache, blocks, n);
	return ret < 0 || journaled ? ret : block_cache_flush(&b->cache);
}

static int commit_metadata(struct blockfs *b)
{
	cleanup_free struct block **blocks = NULL;
	int ret, n;

	release_freed(b);
	ret = write_groups(b);
	if (ret == 0)
		ret = write_super(b);
	if (ret < 0)
		return ret;
	n = block_cache_dirty(&b->cache, &blocks);
	return n < 0 ? n : write_out(b, blocks, n);
}

int blockfs_commit(struct blockfs *b)
{
	int ret;

	if (b->broken)
		return -EIO;
	if (b->readonly)
		return 0;
	ret = data_settle(&b->data);
	if (ret == 0 && (b->dirty || b->cache.dirty.n))
		ret = commit_metadata(b);
	else if (ret == 0 && b->data_dirty)
		ret = block_cache_flush(&b->cache);
	if (ret < 0) {
		/* What is on the disk is whole; what is in memory cannot follow. */
		log_err("blockfs: the disk failed: %s; nothing more is written", strerror(-ret));
		b->broken = true;
		return -EIO;
	}
	b->dirty = b->data_dirty = false;
	return 0;
}

bool blockfs_full(struct blockfs *b, int ret)
{
	return ret == -ENOSPC && b->nfreed && blockfs_commit(b) == 0;
}

void blockfs_settle(struct blockfs *b)
{
	unsigned many = MANY_DIRTY;

	if (b->journal.present)
		many = MIN(many, (b->journal.n - b->journal.first) / 6);
	if (b->cache.dirty.n > many || b->nfreed > MANY_FREED)
		blockfs_commit(b);
}
