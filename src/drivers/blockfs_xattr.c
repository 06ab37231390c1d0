/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_xattr.c - extended attributes
 *
 * Raw, as they are on the disk: libext2fs would turn lists of access rights into
 * Linux's form, trusting their lengths; blockfs_acl.c does.
 */
#include "drivers/blockfs_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "kernel/machine/text.h"

static int open_attributes(struct blockfs *b, uint32_t ino, struct ext2_xattr_handle **ret)
{
	unsigned raw = XATTR_HANDLE_FLAG_RAW;
	struct inode i;
	int r = inode_read(b, ino, &i);
	errcode_t err;

	if (r < 0)
		return r;
	err = ext2fs_xattrs_open(b->fs, ino, ret);
	if (err)
		return blockfs_error(err);
	ext2fs_xattrs_flags(*ret, &raw, NULL);
	err = ext2fs_xattrs_read(*ret);
	if (err)
		ext2fs_xattrs_close(ret);
	return blockfs_error(err);
}

int xattr_get(struct blockfs *b, uint32_t ino, const char *name, void **ret_value, size_t *ret_len)
{
	struct ext2_xattr_handle *h;
	int ret = open_attributes(b, ino, &h);

	*ret_value = NULL;
	if (ret < 0)
		return ret == -EOPNOTSUPP ? -ENODATA : ret;
	ret = blockfs_error(ext2fs_xattr_get(h, name, ret_value, ret_len));
	ext2fs_xattrs_close(&h);
	return ret;
}

static int add_name(char *name, char *value, size_t len, void *names)
{
	text_add(names, name, strlen(name) + 1);
	return 0;
}

int xattr_list(struct blockfs *b, uint32_t ino, struct text *names)
{
	struct ext2_xattr_handle *h;
	int ret = open_attributes(b, ino, &h);

	if (ret < 0)
		return ret == -EOPNOTSUPP ? 0 : ret;
	ret = blockfs_error(ext2fs_xattrs_iterate(h, add_name, names));
	ext2fs_xattrs_close(&h);
	return ret < 0 || text_ok(names) ? ret : -ENOMEM;
}

static int write_attributes(struct blockfs *b, uint32_t ino, struct ext2_xattr_handle *h, int ret)
{
	if (ret == 0)
		ret = blockfs_error(ext2fs_xattrs_write(h));
	ext2fs_xattrs_close(&h);
	return ret ?: inode_changed(b, ino, false);
}

static bool has(struct ext2_xattr_handle *h, const char *name)
{
	void *value = NULL;
	size_t len;
	errcode_t err = ext2fs_xattr_get(h, name, &value, &len);

	if (!err)
		ext2fs_free_mem(&value);
	return !err;
}

static int set(struct blockfs *b, uint32_t ino, const char *name, const void *value, size_t size, int flags)
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

int xattr_set(struct blockfs *b, uint32_t ino, const char *name, const void *value, size_t size, int flags)
{
	int ret = set(b, ino, name, value, size, flags);

	return blockfs_full(b, ret) ? set(b, ino, name, value, size, flags) : ret;
}

int xattr_remove(struct blockfs *b, uint32_t ino, const char *name)
{
	struct ext2_xattr_handle *h;
	int ret = open_attributes(b, ino, &h);

	if (ret < 0)
		return ret;
	ret = has(h, name) ? blockfs_error(ext2fs_xattr_remove(h, name)) : -ENODATA;
	return write_attributes(b, ino, h, ret);
}
