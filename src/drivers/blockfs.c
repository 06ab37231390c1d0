/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs.c - an ext2, ext3 or ext4 file system on a disk of the guest's, mounted
 *
 * While it is mounted to be written, the disk says so as Linux does: with a journal,
 * that it is to be replayed; without one, that it is not clean. What is not replayed
 * here, or not understood well enough to be written, is refused with a reason.
 */
#include "drivers/blockfs.h"

#include "config.h"

#include <errno.h>

#if HAVE_EXT2FS

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "drivers/blockfs_fuse.h"
#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "passthrough/fuse.h"
#include "passthrough/hostcall.h"

#define COMMIT_EVERY 5000000000u	/* ns */

/* ---- errors ------------------------------------------------------------------ */

int blockfs_error(errcode_t err)
{
	static const struct {
		errcode_t err;
		int ret;
	} table[] = {
		{ EXT2_ET_NO_MEMORY, -ENOMEM },		{ EXT2_ET_FILE_NOT_FOUND, -ENOENT },
		{ EXT2_ET_BLOCK_ALLOC_FAIL, -ENOSPC },	{ EXT2_ET_INODE_ALLOC_FAIL, -ENOSPC },
		{ EXT2_ET_DIR_NO_SPACE, -ENOSPC },	{ EXT2_ET_NO_DIRECTORY, -ENOTDIR },
		{ EXT2_ET_DIR_EXISTS, -EEXIST },	{ EXT2_ET_FILE_EXISTS, -EEXIST },
		{ EXT2_ET_EA_KEY_NOT_FOUND, -ENODATA }, { EXT2_ET_EA_NO_SPACE, -ENOSPC },
		{ EXT2_ET_EA_BAD_NAME_LEN, -ERANGE },	{ EXT2_ET_EA_BAD_VALUE_SIZE, -E2BIG },
		{ EXT2_ET_FILE_TOO_BIG, -EFBIG },	{ EXT2_ET_SHORT_READ, -EIO },
		{ EXT2_ET_SHORT_WRITE, -EIO },		{ EXT2_ET_RO_FILSYS, -EROFS },
		{ EXT2_ET_BAD_MAGIC, -EINVAL },		{ EXT2_ET_UNSUPP_FEATURE, -EINVAL },
		{ EXT2_ET_RO_UNSUPP_FEATURE, -EROFS },	{ EXT2_ET_REV_TOO_HIGH, -EINVAL },
		{ EXT2_ET_MISSING_EA_FEATURE, -EOPNOTSUPP },
	};

	if (err == 0)
		return 0;
	if (err < 256)
		return -(int)err;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].err == err)
			return table[i].ret;
	return -EUCLEAN;
}

/* ---- what is understood --------------------------------------------------------- */

/* Features of which reading is all that is done here. */
static const char *read_only_for(struct ext2_super_block *es)
{
	const struct {
		bool has;
		const char *name;
	} table[] = {
		{ ext2fs_has_feature_bigalloc(es), "bigalloc" },
		{ ext2fs_has_feature_inline_data(es), "inline_data" },
		{ ext2fs_has_feature_quota(es), "quota" },
		{ ext2fs_has_feature_project(es), "project" },
		{ ext2fs_has_feature_mmp(es), "mmp" },
		{ ext2fs_has_feature_ea_inode(es), "ea_inode" },
		{ ext2fs_has_feature_orphan_present(es), "orphan_present (run e2fsck)" },
		{ ext2fs_has_feature_readonly(es), "read-only" },
		{ ext2fs_has_feature_verity(es), "verity" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].has)
			return table[i].name;
	return NULL;
}

/* And those with which not even names can be read. */
static const char *no_use_for(struct ext2_super_block *es)
{
	if (ext2fs_has_feature_encrypt(es))
		return "encrypt";
	if (ext2fs_has_feature_casefold(es))
		return "casefold";
	return ext2fs_has_feature_journal_dev(es) ? "journal_dev" : NULL;
}

/* What mount -t ext2 and ext3 take. */
static bool fits_type(const char *type, struct ext2_super_block *es)
{
	uint32_t incompat = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT2_FEATURE_INCOMPAT_META_BG;

	if (streq(type, "ext4") || streq(type, "ubd"))
		return true;
	if (streq(type, "ext3"))
		return ext2fs_has_feature_journal(es) &&
		       !(es->s_feature_incompat & ~(incompat | EXT3_FEATURE_INCOMPAT_RECOVER));
	return !(es->s_feature_incompat & ~incompat);
}

static int check_features(struct blockfs *b, struct disk_error *why)
{
	struct ext2_super_block *es = b->fs->super;
	const char *name = no_use_for(es);

	if (!fits_type(b->opt.type, es))
		return disk_fail(why, -EINVAL, "it is no %s: mount it as ext4", b->opt.type);
	if (name)
		return disk_fail(why, -EINVAL, "it has feature %s, which weir does not know", name);
	name = b->readonly ? NULL : read_only_for(es);
	return name ? disk_fail(why, -EROFS, "it has feature %s, with which weir only reads: mount it ro", name) : 0;
}

/* ---- opening -------------------------------------------------------------------- */

/* @torn: its checksum may be wrong. A super block is longer than the disk's sectors, and
 * its numbers are in the first; what it should be is in the journal then. */
static int open_fs(struct blockfs *b, bool torn, struct disk_error *why)
{
	int flags = EXT2_FLAG_64BITS | EXT2_FLAG_SKIP_MMP | (b->readonly ? 0 : EXT2_FLAG_RW);
	const char *wrong = "it has no usable ext2, ext3 or ext4 super block";
	char name[BLOCK_CACHE_NAME];
	errcode_t err;

	block_cache_name(&b->cache, name);
	err = ext2fs_open2(name, NULL, flags, 0, 0, &block_cache_manager, &b->fs);
	if (err == EXT2_ET_SB_CSUM_INVALID) {
		wrong = "its super block's checksum is wrong: run e2fsck";
		if (torn)
			err = ext2fs_open2(name, NULL, flags | EXT2_FLAG_IGNORE_CSUM_ERRORS, 0, 0,
					   &block_cache_manager, &b->fs);
		b->torn = true;
	}
	return err ? disk_fail(why, MIN(blockfs_error(err), -1), "%s", wrong) : 0;
}

/* Blocks are the file system's from now on; and it is read with those. */
static int resize(struct blockfs *b, struct disk_error *why)
{
	uint64_t blocks = ext2fs_blocks_count(b->fs->super);
	unsigned size = b->fs->blocksize;
	int ret = block_cache_resize(&b->cache, size);

	if (ret == 0 && blocks > b->cache.end)
		return disk_fail(why, -EINVAL, "it is larger than the disk");
	return ret;
}

/* So many bytes of them are kept, and so long is a block of the journal. */
static int check_replayed(struct blockfs *b, struct disk_error *why)
{
	if (b->fs->blocksize != b->cache.size || ext2fs_blocks_count(b->fs->super) > b->cache.end)
		return disk_fail(why, -EUCLEAN, "its journal holds a super block of another size: run e2fsck");
	return check_features(b, why);
}

static int replay(struct blockfs *b, struct disk_error *why)
{
	int ret = journal_open(b, why);

	if (ret == 0 && ext2fs_has_feature_journal_needs_recovery(b->fs->super)) {
		if (!b->journal.present)
			return disk_fail(why, -EUCLEAN, "it needs recovery and has no journal: run e2fsck");
		ret = journal_replay(b, why);
	}
	return ret;
}

/* What was replayed goes to its places, and the file system is read anew. */
static int settle_replayed(struct blockfs *b, struct disk_error *why)
{
	cleanup_free struct block **blocks = NULL;
	int n = block_cache_dirty(&b->cache, &blocks), ret;

	if (n < 0)
		return n;
	ret = b->opt.disk_readonly ? 0 : block_cache_write(&b->cache, blocks, n);
	if (ret == 0 && !b->opt.disk_readonly)
		ret = block_cache_flush(&b->cache);
	if (ret < 0)
		return ret;
	ext2fs_free(b->fs);
	b->fs = NULL;
	return open_fs(b, false, why) ?: check_replayed(b, why);
}

/* Blocks that no file can have. */
static uint64_t overhead(struct blockfs *b)
{
	ext2_filsys fs = b->fs;
	uint64_t n = fs->super->s_first_data_block;

	if (fs->super->s_overhead_clusters)
		return fs->super->s_overhead_clusters;
	for (dgrp_t g = 0; g < fs->group_desc_count; g++) {
		blk64_t super, old, new;
		blk_t used;

		ext2fs_super_and_bgd_loc2(fs, g, &super, &old, &new, &used);
		n += used + fs->inode_blocks_per_group + 2;
	}
	return n + b->journal.n;
}

/* Direct blocks and those of three levels; or what 2^32 sectors of 512 hold. */
static uint64_t most_bytes(const struct blockfs *b)
{
	uint64_t size = b->fs->blocksize, per = size / 4;
	uint64_t blocks = EXT2_NDIR_BLOCKS + per + per * per + per * per * per;

	return MIN(blocks * size, (UINT64_C(1) << 41) - size);
}

static int mark_mounted(struct blockfs *b)
{
	struct ext2_super_block *es = b->fs->super;
	int ret = 0;

	if (b->journal.present) {
		ext2fs_set_feature_journal_needs_recovery(es);
		/* Empty, and in the form in which it will be written. */
		ret = journal_mark(b, true);
	} else {
		es->s_state &= ~EXT2_VALID_FS;
	}
	es->s_mtime = time(NULL);
	es->s_mnt_count++;
	b->dirty = true;
	return ret;
}

static int prepare_writing(struct blockfs *b, struct disk_error *why)
{
	int ret, n;

	b->valid = b->fs->super->s_state & EXT2_VALID_FS;
	if (b->fs->super->s_state & EXT2_ERROR_FS)
		log_warn("blockfs: the file system has errors: run e2fsck");
	else if (!(b->fs->super->s_state & EXT2_VALID_FS))
		log_warn("blockfs: the file system was not unmounted: run e2fsck");
	ret = mark_mounted(b);
	n = ret == 0 ? orphans_load(b) : ret;
	if (n == -EUCLEAN)
		return disk_fail(why, n, "its list of orphans is damaged: run e2fsck");
	if (n > 0)
		log_info("blockfs: %d files that were open and had no name are removed", n);
	/* First of all that it is in use. */
	ret = n < 0 ? n : blockfs_commit(b);
	if (ret == 0)
		ret = orphans_free(b);
	return ret ?: blockfs_commit(b);
}

static int open_all(struct blockfs *b, struct disk_error *why)
{
	int ret = block_cache_init(&b->cache, b->opt.disk);

	data_init(&b->data, b->opt.disk);
	if (ret == 0)
		ret = open_fs(b, true, why);
	if (ret == 0)
		ret = resize(b, why);
	if (ret == 0)
		ret = check_features(b, why);
	if (ret == 0)
		ret = replay(b, why);
	if (ret == 0 && b->torn && !b->cache.dirty.n)
		ret = disk_fail(why, -EUCLEAN, "its super block's checksum is wrong: run e2fsck");
	if (ret == 0 && b->cache.dirty.n)
		ret = settle_replayed(b, why);
	if (ret < 0)
		return ret;
	b->buf = aligned_alloc(4096, BLOCKFS_MAX_IO + 2 * EXT2_MAX_BLOCK_SIZE);
	b->most = most_bytes(b);
	b->overhead = overhead(b);
	if (!b->buf)
		return -ENOMEM;
	if (b->readonly)
		return 0;
	if (ext2fs_read_bitmaps(b->fs))
		return disk_fail(why, -EUCLEAN, "its bitmaps cannot be read: run e2fsck");
	ret = commit_init(b);
	return ret ?: prepare_writing(b, why);
}

static void destroy(struct blockfs *b)
{
	if (b->fs) {
		b->fs->flags &= ~(EXT2_FLAG_DIRTY | EXT2_FLAG_BB_DIRTY | EXT2_FLAG_IB_DIRTY);
		ext2fs_free(b->fs);
	}
	journal_close(&b->journal);
	commit_exit(b);
	nodes_free(b);
	block_cache_destroy(&b->cache);
	data_exit(&b->data);
	free(b->orphan);
	free(b->buf);
	free(b);
}

int blockfs_open(const struct blockfs_options *opt, struct blockfs **ret_b, struct disk_error *why)
{
	struct blockfs *b = calloc(1, sizeof(*b));
	int ret;

	why->text[0] = '\0';
	if (!b)
		return -ENOMEM;
	b->opt = *opt;
	b->readonly = opt->readonly;
	ret = open_all(b, why);
	if (ret < 0) {
		if (!why->text[0])
			disk_fail(why, ret, "%s", strerror(-ret));
		destroy(b);
		return ret;
	}
	*ret_b = b;
	return 0;
}

int blockfs_close(struct blockfs *b)
{
	int ret = 0;

	if (!b)
		return 0;
	if (!b->readonly) {
		ret = orphans_free(b);
		if (ret == 0)
			ret = blockfs_commit(b);
		if (ret == 0 && b->journal.present) {
			ext2fs_clear_feature_journal_needs_recovery(b->fs->super);
			ret = block_cache_flush(&b->cache) ?: journal_mark(b, true);
			/* The journal is empty: what follows goes past it. */
			b->journal.present = false;
		} else if (ret == 0) {
			b->fs->super->s_state |= b->valid;
		}
		b->dirty = true;
		ret = ret ?: blockfs_commit(b);
	}
	destroy(b);
	return ret;
}

/* ---- serving --------------------------------------------------------------------- */

/* Return: false when it is to end. */
static bool answer_control(int control, int device)
{
	struct pollfd p = { .fd = device };
	char byte;

	if (host_result(recv(control, &byte, 1, 0)) <= 0)
		return false;
	/* The host says so once it has unmounted. */
	if (poll(&p, 1, 0) > 0 && p.revents & POLLERR)
		return false;
	return host_result(send(control, &byte, 1, MSG_NOSIGNAL)) == 1;
}

/* Is there anything to be committed, and can it be? */
static bool has_changed(const struct blockfs *b)
{
	return !b->readonly && !b->broken && (b->dirty || b->data_dirty || b->cache.dirty.n);
}

static void serve(struct blockfs *b, struct fuse_server *s, int control)
{
	struct pollfd p[2] = {
		{ .fd = fuse_server_fd(s), .events = POLLIN },
		{ .fd = control, .events = POLLIN },
	};
	uint64_t committed = host_now();
	bool more = true;

	while (more) {
		bool waiting = has_changed(b);
		int n = host_result(poll(p, 2, waiting ? (int)(COMMIT_EVERY / 1000000) : -1));

		if (n < 0 && n != -EINTR)
			return;
		if (p[0].revents)
			more = fuse_server_read(s);
		if (more && p[1].revents)
			more = answer_control(control, fuse_server_fd(s));
		if (waiting && host_now() - committed > COMMIT_EVERY) {
			blockfs_commit(b);
			committed = host_now();
		} else if (!waiting) {
			committed = host_now();
		}
	}
}

void blockfs_serve(struct blockfs *b, int device, int control)
{
	struct fuse_lowlevel_ops ops = { .init = NULL };
	const struct fuse_server_config cfg = {
		.device = device, .ops = &ops, .ops_size = sizeof(ops), .ctx = b,
	};
	struct fuse_server *s;
	int ret;

	blockfs_fuse_ops(&ops);
	blockfs_fuse_dir_ops(&ops);
	blockfs_fuse_xattr_ops(&ops);
	ret = fuse_server_start(&cfg, &s);
	if (ret < 0) {
		log_err("blockfs: FUSE cannot be served: %s", strerror(-ret));
		return;
	}
	serve(b, s, control);
	fuse_server_stop(s);
}

#else

int blockfs_open(const struct blockfs_options *opt, struct blockfs **ret, struct disk_error *why)
{
	return disk_fail(why, -ENOSYS, "this weir was built without libext2fs");
}

void blockfs_serve(struct blockfs *b, int device, int control)
{
}

int blockfs_close(struct blockfs *b)
{
	return 0;
}

#endif
