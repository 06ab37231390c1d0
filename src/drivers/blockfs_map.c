/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_map.c - where the blocks of a file lie
 */
#include "drivers/blockfs_impl.h"

#include <endian.h>
#include <errno.h>

#include "kernel/util.h"

/* ---- mapping --------------------------------------------------------------- */

/* There is nothing at block @at: until where? */
static uint64_t hole_blocks(ext2_extent_handle_t h, uint64_t at, uint64_t n)
{
	struct ext2fs_extent e;

	if (ext2fs_extent_get(h, EXT2_EXTENT_CURRENT, &e))
		return n;
	/* It may be an index above the leaves. */
	while (e.e_lblk <= at)
		if (ext2fs_extent_get(h, EXT2_EXTENT_NEXT_LEAF, &e))
			return n;
	return MIN(n, e.e_lblk - at);
}

static int map_extent(struct blockfs *b, struct inode *i, uint64_t at, uint64_t n, struct extent *ret)
{
	struct ext2fs_extent e;
	ext2_extent_handle_t h;
	errcode_t err = ext2fs_extent_open2(b->fs, i->ino, inode_base(i), &h);

	if (err)
		return blockfs_error(err);
	err = ext2fs_extent_goto2(h, 0, at);
	if (!err)
		err = ext2fs_extent_get(h, EXT2_EXTENT_CURRENT, &e);
	if (err == EXT2_ET_EXTENT_NOT_FOUND || err == EXT2_ET_NO_CURRENT_NODE) {
		*ret = (struct extent){ .n = hole_blocks(h, at, n) };
		err = 0;
	} else if (!err) {
		*ret = (struct extent){
			.place = e.e_pblk + (at - e.e_lblk), .n = MIN(n, e.e_len - (at - e.e_lblk)),
			.unwritten = e.e_flags & EXT2_EXTENT_FLAGS_UNINIT,
		};
	}
	ext2fs_extent_free(h);
	return blockfs_error(err);
}

/* As far as they lie together, of @n pointers; or as there are none. */
static uint64_t run_length(const uint32_t *pointer, uint64_t n)
{
	uint32_t first = le32toh(pointer[0]);
	uint64_t k = 1;

	while (k < n && le32toh(pointer[k]) == (first ? first + k : 0))
		k++;
	return k;
}

/* Without extents the inode has pointers to the first blocks, and to blocks of pointers: of
 * one level, of two and of three. A pointer that is not there is a hole of all it would lead to. */
static int map_blocks(struct blockfs *b, struct inode *i, uint64_t at, uint64_t n, struct extent *ret)
{
	uint64_t per = b->fs->blocksize / 4, span = 1, in = at;
	const uint32_t *pointer;
	uint64_t left = EXT2_NDIR_BLOCKS - at;
	unsigned level = 0;
	int r = 0;

	if (at < EXT2_NDIR_BLOCKS) {
		pointer = i->raw.i_block + at;
	} else {
		for (in -= EXT2_NDIR_BLOCKS, span = per, level = 1; in >= span && level < 3; level++, span *= per)
			in -= span;
		if (in >= span)
			return -EFBIG;
		pointer = i->raw.i_block + EXT2_IND_BLOCK + level - 1;
	}
	for (; level > 0; level--) {
		struct block *k;

		if (!*pointer) {
			*ret = (struct extent){ .n = MIN(n, span - in) };
			return 0;
		}
		k = block_get(&b->cache, le32toh(*pointer), &r);
		if (!k)
			return r;
		span /= per;
		pointer = (const uint32_t *)k->data + in / span;
		left = per - in / span;
		in %= span;
	}
	*ret = (struct extent){ .place = le32toh(*pointer), .n = run_length(pointer, MIN(n, left)) };
	return 0;
}

int file_map(struct blockfs *b, struct inode *i, uint64_t at, uint64_t n, struct extent *ret)
{
	const struct ext2_super_block *es = b->fs->super;
	bool extents = i->raw.i_flags & EXT4_EXTENTS_FL;
	int r = extents ? map_extent(b, i, at, n, ret) : map_blocks(b, i, at, n, ret);

	if (r < 0)
		return r;
	if (ret->n == 0 || (ret->place && (ret->place < es->s_first_data_block ||
					   ret->place + ret->n > ext2fs_blocks_count((struct ext2_super_block *)es))))
		return -EUCLEAN;
	return 0;
}
