/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_fuse.c - FUSE's requests about files
 *
 * The host checks permissions, by the ids of the guest's user namespace: what is
 * on the disk is what the guest sees. It keeps names, attributes and pages as long
 * as it likes, as nobody else changes them. What is written comes here at once, so
 * that who writes hears of a full disk.
 */
#include "drivers/blockfs_fuse.h"

#include <errno.h>
#include <linux/falloc.h>
#include <sys/statvfs.h>

#include "kernel/util.h"

#define MAX_BACKGROUND 64

bool blockfs_may_write(fuse_req_t req)
{
	struct blockfs *b = blockfs_of(req);

	if (!b->readonly && !b->broken)
		return true;
	fuse_reply_err(req, b->broken ? EIO : EROFS);
	return false;
}

void blockfs_done(fuse_req_t req, int ret)
{
	struct blockfs *b = blockfs_of(req);

	/* The request is gone then. */
	fuse_reply_err(req, -ret);
	blockfs_settle(b);
}

int blockfs_entry(struct blockfs *b, uint32_t ino, struct fuse_entry_param *ret)
{
	struct inode i;
	int r = inode_read(b, ino, &i);

	if (r < 0)
		return r;
	/* A name that leads to what is free. */
	if (i.raw.i_links_count == 0)
		return -EUCLEAN;
	*ret = (struct fuse_entry_param){
		.ino = fuse_ino(ino), .generation = i.raw.i_generation,
		.attr_timeout = BLOCKFS_FOREVER, .entry_timeout = BLOCKFS_FOREVER,
	};
	inode_stat(b, &i, &ret->attr);
	return 0;
}

/* ---- attributes ------------------------------------------------------------- */

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	/* No write-back cache: it takes more than there is room for, and says so to nobody. */
	const unsigned want = FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_ASYNC_READ | FUSE_CAP_POSIX_ACL |
			      FUSE_CAP_DONT_MASK | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO;

	conn->want |= want & conn->capable;
	/* Files need not be opened here: the host truncates with a request of its own, or nobody does. */
	conn->want &= ~(unsigned)(FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
				  FUSE_CAP_SPLICE_MOVE);
	conn->max_write = BLOCKFS_MAX_IO;
	conn->max_background = MAX_BACKGROUND;
	conn->congestion_threshold = MAX_BACKGROUND * 3 / 4;
	conn->time_gran = 1;
}

static void reply_attr(fuse_req_t req, struct inode *i)
{
	struct stat st;

	inode_stat(blockfs_of(req), i, &st);
	st.st_ino = fuse_ino(i->ino);
	fuse_reply_attr(req, &st, BLOCKFS_FOREVER);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct inode i;
	int ret = inode_read(blockfs_of(req), disk_ino(ino), &i);

	if (ret < 0)
		fuse_reply_err(req, -ret);
	else
		reply_attr(req, &i);
}

static void set_times(struct blockfs *b, struct inode *i, const struct stat *st, int set)
{
	static const struct {
		int set, now;
		enum inode_time which;
	} times[] = {
		{ FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW, INODE_ATIME },
		{ FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW, INODE_MTIME },
		{ FUSE_SET_ATTR_CTIME, 0, INODE_CTIME },
	};
	const struct timespec *const value[] = { &st->st_atim, &st->st_mtim, &st->st_ctim };

	if (!(set & FUSE_SET_ATTR_CTIME))
		inode_touch(b, i, INODE_CTIME);
	for (size_t k = 0; k < ARRAY_SIZE(times); k++) {
		if (set & times[k].now)
			inode_touch(b, i, times[k].which);
		else if (set & times[k].set)
			inode_set_time(b, i, times[k].which, value[k]);
	}
}

static int set_attributes(struct blockfs *b, struct inode *i, const struct stat *st, int set)
{
	int ret = 0;

	if (set & FUSE_SET_ATTR_SIZE) {
		if (!LINUX_S_ISREG(i->raw.i_mode) || i->raw.i_flags & EXT4_INLINE_DATA_FL)
			return -EINVAL;
		ret = file_truncate(b, i, st->st_size);
		if (ret < 0)
			return ret;
		inode_touch(b, i, INODE_MTIME);
	}
	if (set & FUSE_SET_ATTR_MODE)
		i->raw.i_mode = (i->raw.i_mode & S_IFMT) | (st->st_mode & 07777);
	if (set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		inode_set_owner(i, set & FUSE_SET_ATTR_UID ? st->st_uid : inode_owner(i),
				set & FUSE_SET_ATTR_GID ? st->st_gid : inode_group(i));
	set_times(b, i, st, set);
	return inode_write(b, i);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int set, struct fuse_file_info *fi)
{
	struct blockfs *b = blockfs_of(req);
	struct inode i;
	int ret;

	if (!blockfs_may_write(req))
		return;
	/* It writes the inode. */
	ret = set & FUSE_SET_ATTR_MODE ? acl_chmod(b, disk_ino(ino), st->st_mode) : 0;
	if (ret == 0)
		ret = inode_read(b, disk_ino(ino), &i);
	if (ret == 0)
		ret = set_attributes(b, &i, st, set);
	if (ret < 0)
		fuse_reply_err(req, -ret);
	else
		reply_attr(req, &i);
	blockfs_settle(b);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct blockfs *b = blockfs_of(req);
	struct ext2_super_block *es = b->fs->super;
	uint64_t freed = ext2fs_free_blocks_count(es), kept = ext2fs_r_blocks_count(es);
	struct statvfs st = {
		.f_bsize = b->fs->blocksize, .f_frsize = b->fs->blocksize,
		.f_blocks = ext2fs_blocks_count(es) - MIN(b->overhead, ext2fs_blocks_count(es)),
		.f_bfree = freed, .f_bavail = freed - MIN(freed, kept),
		.f_files = es->s_inodes_count, .f_ffree = es->s_free_inodes_count,
		.f_favail = es->s_free_inodes_count, .f_namemax = EXT2_NAME_LEN,
	};

	fuse_reply_statfs(req, &st);
}

/* ---- bytes -------------------------------------------------------------------- */

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct blockfs *b = blockfs_of(req);
	struct inode i;
	char *data = NULL;
	ssize_t n = inode_read(b, disk_ino(ino), &i);

	if (n == 0)
		n = file_read(b, &i, off, size, &data);
	if (n < 0)
		fuse_reply_err(req, -n);
	else
		fuse_reply_buf(req, data, n);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	struct blockfs *b = blockfs_of(req);
	struct inode i;
	ssize_t n;

	if (!blockfs_may_write(req))
		return;
	n = inode_read(b, disk_ino(ino), &i);
	if (n == 0)
		n = file_write(b, &i, off, buf, size);
	if (n > 0) {
		int ret;

		inode_touch(b, &i, INODE_MTIME);
		inode_touch(b, &i, INODE_CTIME);
		ret = inode_write(b, &i);
		n = ret < 0 ? ret : n;
	}
	if (n < 0)
		fuse_reply_err(req, -n);
	else
		fuse_reply_write(req, n);
	blockfs_settle(b);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	fuse_reply_err(req, -blockfs_commit(blockfs_of(req)));
}

static int allocate(struct blockfs *b, struct inode *i, int mode, off_t off, off_t len)
{
	int ret;

	if (!LINUX_S_ISREG(i->raw.i_mode))
		return -ENODEV;
	switch (mode) {
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
		ret = file_punch(b, i, off, len);
		break;
	case FALLOC_FL_KEEP_SIZE:
	case 0:
		ret = file_reserve(b, i, off, len);
		if (ret == 0 && mode == 0 && (uint64_t)(off + len) > inode_size(i))
			ret = blockfs_error(ext2fs_inode_size_set(b->fs, inode_base(i), off + len));
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (ret < 0)
		return ret;
	inode_touch(b, i, INODE_MTIME);
	inode_touch(b, i, INODE_CTIME);
	return inode_write(b, i);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
			 struct fuse_file_info *fi)
{
	struct inode i;
	int ret;

	if (!blockfs_may_write(req))
		return;
	ret = inode_read(blockfs_of(req), disk_ino(ino), &i);
	blockfs_done(req, ret ?: allocate(blockfs_of(req), &i, mode, off, len));
}

static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	struct inode i;
	int64_t ret = inode_read(blockfs_of(req), disk_ino(ino), &i);

	if (ret == 0)
		ret = file_seek(blockfs_of(req), &i, off, whence == SEEK_HOLE);
	if (ret < 0)
		fuse_reply_err(req, -ret);
	else
		fuse_reply_lseek(req, ret);
}

/* ---- what is known -------------------------------------------------------------- */

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	node_forget(blockfs_of(req), disk_ino(ino), n);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *f)
{
	for (size_t k = 0; k < count; k++)
		node_forget(blockfs_of(req), disk_ino(f[k].ino), f[k].nlookup);
	fuse_reply_none(req);
}

void blockfs_fuse_ops(struct fuse_lowlevel_ops *ops)
{
	ops->init = op_init;
	ops->forget = op_forget;
	ops->forget_multi = op_forget_multi;
	ops->getattr = op_getattr;
	ops->setattr = op_setattr;
	ops->statfs = op_statfs;
	ops->read = op_read;
	ops->write = op_write;
	ops->fsync = op_fsync;
	ops->fsyncdir = op_fsync;
	ops->fallocate = op_fallocate;
	ops->lseek = op_lseek;
}
