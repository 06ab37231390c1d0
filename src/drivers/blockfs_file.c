/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_file.c - bytes of a file, and the blocks that they take
 *
 * They set out for the disk at once; the host's page cache is above us. Blocks are
 * taken in runs as long as can be had. A block that was reserved (unwritten) becomes a
 * written one after its bytes are on their way, and before the commit, which flushes
 * them first.
 */
#include "drivers/blockfs_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"

#define SEEK_STEPS 100000u	/* runs of blocks looked at by one lseek(2) */

/* ---- taking blocks ---------------------------------------------------------- */

/* After the block before @at, else near the inode. */
static uint64_t goal_for(struct blockfs *b, struct inode *i, uint64_t at)
{
	struct extent e;

	if (at > 0 && file_map(b, i, at - 1, 1, &e) == 0 && e.place)
		return e.place + 1;
	return ext2fs_find_inode_goal(b->fs, i->ino, inode_base(i), at);
}

static errcode_t insert_extent(struct blockfs *b, struct inode *i, struct ext2fs_extent *want)
{
	uint32_t most = want->e_flags & EXT2_EXTENT_FLAGS_UNINIT ? EXT_UNINIT_MAX_LEN : EXT_INIT_MAX_LEN;
	struct ext2fs_extent e;
	ext2_extent_handle_t h;
	errcode_t err = ext2fs_extent_open2(b->fs, i->ino, inode_base(i), &h);
	int where = 0;

	if (err)
		return err;
	ext2fs_extent_goto2(h, 0, want->e_lblk);
	err = ext2fs_extent_get(h, EXT2_EXTENT_CURRENT, &e);
	if (err == 0 && e.e_lblk < want->e_lblk)
		where = EXT2_EXTENT_INSERT_AFTER;
	if (err == 0 && where && e.e_lblk + e.e_len == want->e_lblk && e.e_pblk + e.e_len == want->e_pblk &&
	    (e.e_flags & EXT2_EXTENT_FLAGS_UNINIT) == (want->e_flags & EXT2_EXTENT_FLAGS_UNINIT) &&
	    e.e_len + want->e_len <= most) {
		e.e_len += want->e_len;
		err = ext2fs_extent_replace(h, 0, &e);
	} else if (err == 0 || err == EXT2_ET_NO_CURRENT_NODE) {
		err = ext2fs_extent_insert(h, where, want);
		if (!err)
			err = ext2fs_extent_fix_parents(h);
	}
	ext2fs_extent_free(h);
	return err;
}

/* Without extents, with the indirect blocks that lead there. */
static int fill_blocks(struct blockfs *b, struct inode *i, uint64_t at, uint64_t n)
{
	errcode_t err = 0;

	for (uint64_t k = 0; !err && k < n; k++) {
		blk64_t place = 0;

		err = ext2fs_bmap2(b->fs, i->ino, inode_base(i), NULL, BMAP_ALLOC, at + k, NULL, &place);
		/* It was filled with zeros as if it were metadata. */
		if (!err)
			block_forget(&b->cache, place);
	}
	return inode_write(b, i) ?: blockfs_error(err);
}

/* Blocks for the hole of @n at @at. Return: 0, or an error; some may be there then. */
static int fill_hole(struct blockfs *b, struct inode *i, uint64_t at, uint64_t n, bool unwritten)
{
	if (!(i->raw.i_flags & EXT4_EXTENTS_FL))
		return fill_blocks(b, i, at, n);
	while (n > 0) {
		struct ext2fs_extent e = { .e_lblk = at, .e_flags = unwritten ? EXT2_EXTENT_FLAGS_UNINIT : 0 };
		uint64_t most = unwritten ? EXT_UNINIT_MAX_LEN : EXT_INIT_MAX_LEN;
		blk64_t place, len;
		errcode_t err = ext2fs_new_range(b->fs, 0, goal_for(b, i, at), MIN(n, most), NULL, &place, &len);

		len = err ? 0 : MIN(len, MIN(n, most));
		if (len == 0)
			return inode_write(b, i) ?: blockfs_error(err) ?: -ENOSPC;
		e.e_pblk = place;
		e.e_len = len;
		ext2fs_block_alloc_stats_range(b->fs, place, len, 1);
		commit_range(b, place, len);
		err = ext2fs_iblk_add_blocks(b->fs, inode_base(i), len);
		if (!err)
			err = insert_extent(b, i, &e);
		if (err) {
			for (uint64_t k = 0; k < len; k++)
				ext2fs_block_alloc_stats2(b->fs, place + k, -1);
			ext2fs_iblk_sub_blocks(b->fs, inode_base(i), len);
			inode_write(b, i);
			return blockfs_error(err);
		}
		at += len;
		n -= len;
	}
	return inode_write(b, i);
}

/* What was freed since the last commit can be had after another one. Not while there are
 * blocks at @at whose bytes, of others until now, are not written: after a crash they would
 * be this file's. */
static int fill(struct blockfs *b, struct inode *i, uint64_t at, uint64_t n)
{
	int ret = fill_hole(b, i, at, n, false), mapped;
	struct extent e;

	if (ret != -ENOSPC)
		return ret;
	mapped = file_map(b, i, at, 1, &e);
	if (mapped < 0 || e.place)
		return mapped ?: ret;
	return blockfs_full(b, ret) ? fill_hole(b, i, at, n, false) : ret;
}

/* Reserved blocks @at ... have bytes now. */
static int set_written(struct blockfs *b, struct inode *i, uint64_t at, const struct extent *e)
{
	ext2_extent_handle_t h;
	errcode_t err = ext2fs_extent_open2(b->fs, i->ino, inode_base(i), &h);

	if (err)
		return blockfs_error(err);
	for (uint64_t k = 0; !err && k < e->n; k++)
		err = ext2fs_extent_set_bmap(h, at + k, e->place + k, 0);
	ext2fs_extent_free(h);
	return blockfs_error(err) ?: inode_read(b, i->ino, i);
}

/* ---- reading ---------------------------------------------------------------- */

static ssize_t read_inline(struct blockfs *b, struct inode *i, uint64_t off, size_t len, char **ret)
{
	size_t size = 0;
	errcode_t err = ext2fs_inline_data_size(b->fs, i->ino, &size);

	if (!err && size <= BLOCKFS_MAX_IO)
		err = ext2fs_inline_data_get(b->fs, i->ino, inode_base(i), b->buf, &size);
	if (err)
		return blockfs_error(err);
	*ret = b->buf + MIN(off, size);
	return MIN(len, size - MIN(off, size));
}

/* Until which block its extent is of interest: who reads on is read ahead for. */
static uint64_t wanted(struct blockfs *b, const struct inode *i, uint64_t off, size_t len)
{
	bool on = off > 0 && b->data.ino == i->ino && b->data.next == off;
	uint64_t end = on && i->raw.i_flags & EXT4_EXTENTS_FL ? inode_size(i) : off + len;

	b->data.ino = i->ino;
	b->data.next = off + len;
	return (end + b->fs->blocksize - 1) / b->fs->blocksize;
}

ssize_t file_read(struct blockfs *b, struct inode *i, uint64_t off, size_t len, char **ret)
{
	unsigned size = b->fs->blocksize;
	uint64_t end = inode_size(i), at = off / size, last, until;
	char *to = b->buf;

	if (off >= end)
		return 0;
	len = MIN(MIN(len, (size_t)BLOCKFS_MAX_IO), end - off);
	if (i->raw.i_flags & EXT4_INLINE_DATA_FL)
		return read_inline(b, i, off, len, ret);
	last = (off + len + size - 1) / size;
	until = wanted(b, i, off, len);
	while (at < last) {
		struct extent e;
		int r = file_map(b, i, at, until - at, &e);
		uint64_t n = MIN(e.n, last - at);

		if (r == 0 && e.place && !e.unwritten)
			r = data_read(&b->data, to, n * size, e.place * size, (e.n - n) * size);
		else if (r == 0)
			memset(to, 0, n * size);
		if (r < 0)
			return r;
		at += n;
		to += n * size;
	}
	*ret = b->buf + off % size;
	return len;
}

/* ---- symbolic links --------------------------------------------------------- */

/* A long one is a block of metadata, and perhaps not on the disk yet. */
int file_target(struct blockfs *b, struct inode *i, char target[PATH_MAX])
{
	size_t len = MIN(inode_size(i), (uint64_t)PATH_MAX - 1);
	const char *data = (const char *)i->raw.i_block;
	struct extent e;
	int ret = 0;

	if (!LINUX_S_ISLNK(i->raw.i_mode))
		return -EINVAL;
	if (i->raw.i_flags & EXT4_INLINE_DATA_FL)
		return -EOPNOTSUPP;
	if (ext2fs_is_fast_symlink(inode_base(i))) {
		len = MIN(len, sizeof(i->raw.i_block) - 1);
	} else {
		struct block *k = NULL;

		ret = file_map(b, i, 0, 1, &e);
		if (ret == 0 && (!e.place || len > b->fs->blocksize))
			ret = -EUCLEAN;
		if (ret == 0)
			k = block_get(&b->cache, e.place, &ret);
		if (ret < 0)
			return ret;
		data = k->data;
	}
	memcpy(target, data, len);
	target[len] = '\0';
	return 0;
}

/* ---- writing ---------------------------------------------------------------- */

/* Bytes of one block of which only a part is written. */
static int write_part(struct blockfs *b, const struct extent *e, bool fresh, unsigned skip,
		      const char *data, unsigned len)
{
	unsigned size = b->fs->blocksize;
	cleanup_free char *buf = calloc(1, size);
	int ret = buf ? 0 : -ENOMEM;

	if (ret == 0 && !fresh)
		ret = data_read(&b->data, buf, size, e->place * size, 0);
	if (ret == 0)
		memcpy(buf + skip, data, len);
	return ret ?: data_write(&b->data, buf, size, e->place * size);
}

/* As much as lies together, @len bytes at most. Return: bytes. */
static ssize_t write_some(struct blockfs *b, struct inode *i, uint64_t off, const char *data, size_t len)
{
	unsigned size = b->fs->blocksize, skip = off % size;
	uint64_t at = off / size, n = skip || len < size ? 1 : len / size;
	size_t part = MIN(len, skip || len < size ? size - skip : n * size);
	struct extent e;
	bool fresh;
	int ret = file_map(b, i, at, n, &e);

	fresh = ret == 0 && (!e.place || e.unwritten);
	if (ret == 0 && !e.place) {
		int full = fill(b, i, at, e.n);

		/* What there was room for is written. */
		ret = full == -ENOSPC ? 0 : full;
		if (ret == 0)
			ret = file_map(b, i, at, e.n, &e);
		if (ret == 0 && !e.place)
			ret = full ?: -EIO;
	}
	if (ret < 0)
		return ret;
	part = MIN(part, e.n * size - skip);
	ret = part % size ? write_part(b, &e, fresh, skip, data, part) :
			    data_write(&b->data, data, part, e.place * size);
	b->data_dirty = true;
	if (ret == 0 && e.unwritten)
		ret = set_written(b, i, at, &e);
	return ret < 0 ? ret : (ssize_t)part;
}

static int check_size(const struct blockfs *b, const struct inode *i, uint64_t end)
{
	uint64_t most = i->raw.i_flags & EXT4_EXTENTS_FL ? (uint64_t)UINT32_MAX * b->fs->blocksize : b->most;

	return end > most ? -EFBIG : 0;
}

static int grow(struct blockfs *b, struct inode *i, uint64_t end)
{
	return end > inode_size(i) ? blockfs_error(ext2fs_inode_size_set(b->fs, inode_base(i), end)) : 0;
}

ssize_t file_write(struct blockfs *b, struct inode *i, uint64_t off, const char *data, size_t len)
{
	size_t done = 0;
	ssize_t n = check_size(b, i, off + len);

	while (n >= 0 && done < len) {
		n = write_some(b, i, off + done, data + done, len - done);
		if (n > 0) {
			/* Each time: room for more may take a commit. */
			int ret = grow(b, i, off + (done += n));

			if (ret < 0)
				return ret;
		}
	}
	return done > 0 ? (ssize_t)done : n;
}

/* ---- sizes ------------------------------------------------------------------ */

/* Zeros within block of @off, from @off on for @len bytes. */
static int zero_part(struct blockfs *b, struct inode *i, uint64_t off, unsigned len)
{
	unsigned size = b->fs->blocksize;
	cleanup_free char *zeros = calloc(1, size);
	struct extent e;
	int ret = zeros ? file_map(b, i, off / size, 1, &e) : -ENOMEM;

	if (ret < 0 || !e.place || e.unwritten)
		return ret;
	b->data_dirty = true;
	return write_part(b, &e, false, off % size, zeros, len);
}

/* Has a file the disk's last block at or after @first? What lies behind it is none. */
static int has_last_block(struct blockfs *b, struct inode *i, uint64_t first)
{
	uint64_t end = ext2fs_blocks_count(b->fs->super);
	struct extent e;
	int found = 0;

	/* Mostly nobody has it. */
	if (!(i->raw.i_flags & EXT4_EXTENTS_FL) || !ext2fs_test_block_bitmap2(b->fs->block_map, end - 1))
		return 0;
	for (uint64_t at = first; at < UINT32_MAX; at += e.n) {
		int ret = file_map(b, i, at, UINT32_MAX - at, &e);

		if (ret < 0)
			return ret;
		found |= e.place && e.place + e.n == end;
	}
	return found;
}

/* libext2fs 1.47 takes an extent that ends with the disk's last block for one behind
 * its end, and loses it: so for a moment there is one block more. */
int file_free(struct blockfs *b, struct inode *i, uint64_t first, uint64_t last)
{
	uint64_t end = ext2fs_blocks_count(b->fs->super);
	bool more = has_last_block(b, i, first) == 1;
	errcode_t err;

	if (more)
		ext2fs_blocks_count_set(b->fs->super, end + 1);
	err = ext2fs_punch(b->fs, i->ino, inode_base(i), NULL, first, last);
	ext2fs_blocks_count_set(b->fs->super, end);
	return blockfs_error(err);
}

static int punch(struct blockfs *b, struct inode *i, uint64_t first, uint64_t last)
{
	return file_free(b, i, first, last) ?: inode_write(b, i);
}

int file_truncate(struct blockfs *b, struct inode *i, uint64_t size)
{
	unsigned block = b->fs->blocksize;
	uint64_t old = inode_size(i);
	int ret = check_size(b, i, size);

	if (ret == 0 && size < old && size % block)
		ret = zero_part(b, i, size, block - size % block);
	if (ret == 0)
		ret = blockfs_error(ext2fs_inode_size_set(b->fs, inode_base(i), size));
	if (ret == 0)
		ret = inode_write(b, i);
	if (ret == 0 && size <= old)
		ret = punch(b, i, (size + block - 1) / block, ~0ULL);
	return ret;
}

int file_punch(struct blockfs *b, struct inode *i, uint64_t off, uint64_t len)
{
	unsigned size = b->fs->blocksize;
	uint64_t end = off + len, first = (off + size - 1) / size, last = end / size;
	int ret = 0;

	if (off / size == end / size)
		return zero_part(b, i, off, len);
	if (off % size)
		ret = zero_part(b, i, off, size - off % size);
	if (ret == 0 && end % size)
		ret = zero_part(b, i, end - end % size, end % size);
	if (ret == 0 && first < last)
		ret = punch(b, i, first, last - 1);
	return ret;
}

static int reserve(struct blockfs *b, struct inode *i, uint64_t off, uint64_t len)
{
	unsigned size = b->fs->blocksize;
	uint64_t at = off / size, last = (off + len + size - 1) / size;
	struct extent e;
	int ret = check_size(b, i, off + len);

	if (!(i->raw.i_flags & EXT4_EXTENTS_FL))
		return -EOPNOTSUPP;
	for (; ret == 0 && at < last; at += e.n) {
		ret = file_map(b, i, at, last - at, &e);
		if (ret == 0 && !e.place)
			ret = fill_hole(b, i, at, e.n, true);
	}
	return ret;
}

int file_reserve(struct blockfs *b, struct inode *i, uint64_t off, uint64_t len)
{
	int ret = reserve(b, i, off, len);

	return blockfs_full(b, ret) ? reserve(b, i, off, len) : ret;
}

int64_t file_seek(struct blockfs *b, struct inode *i, uint64_t off, bool hole)
{
	unsigned size = b->fs->blocksize;
	uint64_t end = inode_size(i), last = (end + size - 1) / size;
	unsigned steps = 0;
	struct extent e;

	if (off >= end)
		return -ENXIO;
	for (uint64_t at = off / size; at < last; at += e.n) {
		int ret = file_map(b, i, at, last - at, &e);

		if (ret < 0)
			return ret;
		/* What cannot be told in time is data. */
		if ((!e.place || e.unwritten) == hole || (!hole && ++steps == SEEK_STEPS))
			return MAX(off, at * size);
		if (hole && ++steps == SEEK_STEPS)
			break;
	}
	return hole ? (int64_t)end : -ENXIO;
}
