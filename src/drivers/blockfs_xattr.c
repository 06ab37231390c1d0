/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_xattr.c - FUSE's requests about extended attributes
 */
#include "drivers/blockfs_fuse.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "kernel/machine/text.h"
#include "kernel/util.h"

static int open_attributes(struct blockfs *b, fuse_ino_t ino, struct ext2_xattr_handle **ret)
{
	struct inode i;
	int r = inode_read(b, disk_ino(ino), &i);
	errcode_t err;

	if (r < 0)
		return r;
	err = ext2fs_xattrs_open(b->fs, i.ino, ret);
	if (err)
		return blockfs_error(err);
	err = ext2fs_xattrs_read(*ret);
	if (err)
		ext2fs_xattrs_close(ret);
	return blockfs_error(err);
}

/* A list of access rights would have to be obeyed. */
static bool is_shown(const char *name)
{
	return !str_starts(name, "system.");
}

/* @size 0 asks for the size. */
static void reply_value(fuse_req_t req, const char *data, size_t len, size_t size)
{
	if (size == 0)
		fuse_reply_xattr(req, len);
	else if (len > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, data, len);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct ext2_xattr_handle *h;
	void *value = NULL;
	size_t len = 0;
	int ret = is_shown(name) ? open_attributes(blockfs_of(req), ino, &h) : -EOPNOTSUPP;

	if (ret == 0) {
		ret = blockfs_error(ext2fs_xattr_get(h, name, &value, &len));
		ext2fs_xattrs_close(&h);
	}
	if (ret < 0)
		fuse_reply_err(req, -ret);
	else
		reply_value(req, value, len, size);
	if (value)
		ext2fs_free_mem(&value);
}

static int add_name(char *name, char *value, size_t len, void *ctx)
{
	if (is_shown(name))
		text_add(ctx, name, strlen(name) + 1);
	return 0;
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct ext2_xattr_handle *h;
	struct text names = { .len = 0 };
	int ret = open_attributes(blockfs_of(req), ino, &h);

	if (ret == 0) {
		ret = blockfs_error(ext2fs_xattrs_iterate(h, add_name, &names));
		ext2fs_xattrs_close(&h);
	}
	if (ret == 0 && !text_ok(&names))
		ret = -ENOMEM;
	if (ret < 0)
		fuse_reply_err(req, -ret);
	else
		reply_value(req, names.buf, names.len, size);
	text_free(&names);
}

static int write_attributes(struct blockfs *b, fuse_ino_t ino, struct ext2_xattr_handle *h, int ret)
{
	struct inode i;

	if (ret == 0)
		ret = blockfs_error(ext2fs_xattrs_write(h));
	ext2fs_xattrs_close(&h);
	if (ret == 0)
		ret = inode_read(b, disk_ino(ino), &i);
	if (ret < 0)
		return ret;
	inode_touch(b, &i, INODE_CTIME);
	return inode_write(b, &i);
}

static int has(struct ext2_xattr_handle *h, const char *name)
{
	void *value = NULL;
	size_t len;
	errcode_t err = ext2fs_xattr_get(h, name, &value, &len);

	if (err)
		return 0;
	ext2fs_free_mem(&value);
	return 1;
}

static int set_value(struct blockfs *b, fuse_ino_t ino, const char *name, const char *value, size_t size,
		     int flags)
{
	struct ext2_xattr_handle *h;
	int ret = open_attributes(b, ino, &h);

	if (ret < 0)
		return ret;
	if (flags & XATTR_CREATE && has(h, name))
		ret = -EEXIST;
	else if (flags & XATTR_REPLACE && !has(h, name))
		ret = -ENODATA;
	else
		ret = blockfs_error(ext2fs_xattr_set(h, name, value, size));
	return write_attributes(b, ino, h, ret);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
			int flags)
{
	if (!blockfs_may_write(req))
		return;
	blockfs_done(req, is_shown(name) ? set_value(blockfs_of(req), ino, name, value, size, flags) :
					   -EOPNOTSUPP);
}

static int remove_value(struct blockfs *b, fuse_ino_t ino, const char *name)
{
	struct ext2_xattr_handle *h;
	int ret = open_attributes(b, ino, &h);

	if (ret < 0)
		return ret;
	ret = has(h, name) ? blockfs_error(ext2fs_xattr_remove(h, name)) : -ENODATA;
	return write_attributes(b, ino, h, ret);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	if (blockfs_may_write(req))
		blockfs_done(req, is_shown(name) ? remove_value(blockfs_of(req), ino, name) : -EOPNOTSUPP);
}

void blockfs_xattr_ops(struct fuse_lowlevel_ops *ops)
{
	ops->getxattr = op_getxattr;
	ops->listxattr = op_listxattr;
	ops->setxattr = op_setxattr;
	ops->removexattr = op_removexattr;
}
