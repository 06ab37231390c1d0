/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_create.c - new inodes and their names
 *
 * Directories and symbolic links are libext2fs's, which links them before it knows
 * whose they are; all else is made here, and linked once it is whole.
 */
#include "drivers/blockfs_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "kernel/cleanup.h"

/* As the host does: the group of a directory with the set-group-ID bit goes on. */
static void set_owner(const struct inode *parent, const struct new_inode *n, struct inode *i)
{
	bool inherit = parent->raw.i_mode & S_ISGID;

	inode_set_owner(i, n->uid, inherit ? inode_group(parent) : n->gid);
	if (inherit && LINUX_S_ISDIR(i->raw.i_mode))
		i->raw.i_mode |= S_ISGID;
}

static void set_device(struct inode *i, dev_t dev)
{
	unsigned major = major(dev), minor = minor(dev);

	if (major < 256 && minor < 256)
		i->raw.i_block[0] = major << 8 | minor;
	else
		i->raw.i_block[1] = (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

/* Not linked yet: give it back. */
static void unmake(struct blockfs *b, struct inode *i)
{
	i->raw.i_links_count = 0;
	inode_free(b, i);
}

static int make_node(struct blockfs *b, const struct inode *parent, const char *name,
		     const struct new_inode *n, uint32_t *ret_ino)
{
	struct inode i;
	int ret = inode_create(b, parent->ino, n->mode, &i);

	if (ret < 0)
		return ret;
	if (S_ISCHR(n->mode) || S_ISBLK(n->mode))
		set_device(&i, n->dev);
	i.raw.i_links_count = 1;
	set_owner(parent, n, &i);
	ret = inode_write(b, &i);
	if (ret == 0)
		ret = dir_add(b, parent->ino, name, i.ino, n->mode);
	if (ret < 0)
		unmake(b, &i);
	*ret_ino = i.ino;
	return ret;
}

static errcode_t make_by_library(struct blockfs *b, uint32_t dir, const char *name, const struct new_inode *n)
{
	return S_ISDIR(n->mode) ? ext2fs_mkdir(b->fs, dir, 0, name) :
				  ext2fs_symlink(b->fs, dir, 0, name, n->target);
}

/* libext2fs has made it: what it does not know of is set. */
static int finish(struct blockfs *b, const struct inode *parent, const struct new_inode *n, uint32_t ino)
{
	struct inode i;
	int ret = inode_read(b, ino, &i);

	if (ret < 0)
		return ret;
	commit_inode(b, ino);
	i.raw.i_mode = n->mode;
	for (enum inode_time t = INODE_ATIME; t <= INODE_CRTIME; t++)
		inode_touch(b, &i, t);
	set_owner(parent, n, &i);
	return inode_write(b, &i);
}

/* One link of directories that cannot be counted is counted by libext2fs. */
static int settle_parent(struct blockfs *b, const struct inode *was)
{
	struct inode p;
	int ret = inode_read(b, was->ino, &p);

	if (ret < 0)
		return ret;
	if (was->raw.i_links_count == 1)
		p.raw.i_links_count = 1;
	inode_touch(b, &p, INODE_MTIME);
	inode_touch(b, &p, INODE_CTIME);
	return inode_write(b, &p);
}

static int make_other(struct blockfs *b, const struct inode *parent, const char *name,
		      const struct new_inode *n, uint32_t *ret_ino)
{
	errcode_t err;
	int ret;

	if (S_ISDIR(n->mode) && dir_is_full(parent))
		return -EMLINK;
	if (S_ISLNK(n->mode) && strlen(n->target) >= b->fs->blocksize)
		return -ENAMETOOLONG;
	err = make_by_library(b, parent->ino, name, n);
	if (err == EXT2_ET_DIR_NO_SPACE) {
		err = ext2fs_expand_dir(b->fs, parent->ino);
		if (!err)
			err = make_by_library(b, parent->ino, name, n);
	}
	ret = blockfs_error(err) ?: dir_find(b, parent->ino, name, ret_ino);
	return ret ?: finish(b, parent, n, *ret_ino) ?: settle_parent(b, parent);
}

static int create(struct blockfs *b, uint32_t dir, const char *name, const struct new_inode *n,
		  uint32_t *ret_ino)
{
	struct inode parent;
	int ret = inode_read(b, dir, &parent) ?: dir_has_not(b, dir, name);

	if (ret < 0)
		return ret;
	return S_ISDIR(n->mode) || S_ISLNK(n->mode) ? make_other(b, &parent, name, n, ret_ino) :
						      make_node(b, &parent, name, n, ret_ino);
}

static int create_with_acl(struct blockfs *b, uint32_t dir, const char *name, struct new_inode n,
			   uint32_t *ret_ino)
{
	cleanup_free struct acl *acl = NULL;
	int ret = acl_inherit(b, dir, &n, &acl);

	if (ret == 0)
		ret = create(b, dir, name, &n, ret_ino);
	if (ret < 0 || !acl)
		return ret;
	ret = acl_give(b, *ret_ino, acl);
	if (ret < 0)
		link_remove(b, dir, name, S_ISDIR(n.mode));
	return ret;
}

int blockfs_create(struct blockfs *b, uint32_t dir, const char *name, const struct new_inode *n,
		   uint32_t *ret_ino)
{
	int ret = create_with_acl(b, dir, name, *n, ret_ino);

	return blockfs_full(b, ret) ? create_with_acl(b, dir, name, *n, ret_ino) : ret;
}
