/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_fuse_xattr.c - FUSE's requests about extended attributes
 *
 * Of "system." there are lists of access rights alone, which the host obeys.
 */
#include "drivers/blockfs_fuse.h"

#include <errno.h>
#include <string.h>

#include "kernel/machine/text.h"
#include "kernel/util.h"

static bool is_shown(const char *name)
{
	return !str_starts(name, "system.") || acl_type(name) >= 0;
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

static int get_value(struct blockfs *b, uint32_t ino, const char *name, void **value, size_t *len)
{
	int type = acl_type(name);

	if (type >= 0)
		return acl_get(b, ino, type, value, len);
	return is_shown(name) ? xattr_get(b, ino, name, value, len) : -EOPNOTSUPP;
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	void *value = NULL;
	size_t len = 0;
	int ret = get_value(blockfs_of(req), disk_ino(ino), name, &value, &len);

	if (ret < 0)
		fuse_reply_err(req, -ret);
	else
		reply_value(req, value, len, size);
	if (value)
		ext2fs_free_mem(&value);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct text all = { .len = 0 }, shown = { .len = 0 };
	int ret = xattr_list(blockfs_of(req), disk_ino(ino), &all);

	for (size_t at = 0; at < all.len; at += strlen(all.buf + at) + 1)
		if (is_shown(all.buf + at))
			text_add(&shown, all.buf + at, strlen(all.buf + at) + 1);
	if (ret == 0 && !text_ok(&shown))
		ret = -ENOMEM;
	if (ret < 0)
		fuse_reply_err(req, -ret);
	else
		reply_value(req, shown.buf, shown.len, size);
	text_free(&all);
	text_free(&shown);
}

/* The host does not say of which groups the caller is beside its first. */
static bool may_keep_sgid(fuse_req_t req, uint32_t ino)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct inode i;

	return ctx->uid == 0 || (inode_read(blockfs_of(req), ino, &i) == 0 && inode_group(&i) == ctx->gid);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
			int flags)
{
	struct blockfs *b = blockfs_of(req);
	int type = acl_type(name), ret = -EOPNOTSUPP;

	if (!blockfs_may_write(req))
		return;
	if (type >= 0)
		ret = acl_set(b, disk_ino(ino), type, value, size, may_keep_sgid(req, disk_ino(ino)));
	else if (is_shown(name))
		ret = xattr_set(b, disk_ino(ino), name, value, size, flags);
	blockfs_done(req, ret);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct blockfs *b = blockfs_of(req);
	int type = acl_type(name), ret = -EOPNOTSUPP;

	if (!blockfs_may_write(req))
		return;
	if (type >= 0)
		ret = acl_remove(b, disk_ino(ino), type);
	else if (is_shown(name))
		ret = xattr_remove(b, disk_ino(ino), name);
	blockfs_done(req, ret);
}

void blockfs_fuse_xattr_ops(struct fuse_lowlevel_ops *ops)
{
	ops->getxattr = op_getxattr;
	ops->listxattr = op_listxattr;
	ops->setxattr = op_setxattr;
	ops->removexattr = op_removexattr;
}
