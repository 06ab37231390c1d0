/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_fuse_dir.c - FUSE's requests about names
 */
#include "drivers/blockfs_fuse.h"

#include <errno.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"

#define MAX_LINKS 65000u	/* EXT4_LINK_MAX */

static void reply_entry(fuse_req_t req, int ret, uint32_t ino)
{
	struct blockfs *b = blockfs_of(req);
	struct fuse_entry_param e;

	if (ret == 0)
		ret = blockfs_entry(b, ino, &e);
	if (ret < 0) {
		fuse_reply_err(req, -ret);
		return;
	}
	node_know(b, ino);
	if (fuse_reply_entry(req, &e) < 0)
		node_forget(b, ino, 1);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param none = { .entry_timeout = BLOCKFS_FOREVER };
	uint32_t ino = 0;
	int ret = dir_find(blockfs_of(req), disk_ino(parent), name, &ino);

	if (ret == -ENOENT)
		fuse_reply_entry(req, &none);
	else
		reply_entry(req, ret, ino);
}

/* A long one is a block of metadata, and perhaps not on the disk yet. */
static int read_target(struct blockfs *b, struct inode *i, char target[PATH_MAX])
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

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct blockfs *b = blockfs_of(req);
	char target[PATH_MAX];
	struct inode i;
	int ret = inode_read(b, disk_ino(ino), &i) ?: read_target(b, &i, target);

	if (ret < 0)
		fuse_reply_err(req, -ret);
	else
		fuse_reply_readlink(req, target);
}

/* ---- making ------------------------------------------------------------------- */

/* As the host does: the group of a directory with the set-group-ID bit goes on. */
static int new_owner(struct blockfs *b, fuse_req_t req, uint32_t dir, struct inode *i)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct inode parent;
	int ret = inode_read(b, dir, &parent);
	bool inherit = parent.raw.i_mode & S_ISGID;

	if (ret < 0)
		return ret;
	inode_set_owner(i, ctx->uid, inherit ? inode_group(&parent) : ctx->gid);
	if (inherit && LINUX_S_ISDIR(i->raw.i_mode))
		i->raw.i_mode |= S_ISGID;
	return 0;
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

static int make_node(struct blockfs *b, fuse_req_t req, uint32_t dir, const char *name, mode_t mode,
		     dev_t dev, uint32_t *ret_ino)
{
	struct inode i;
	int ret = inode_create(b, dir, mode, &i);

	if (ret < 0)
		return ret;
	if (S_ISCHR(mode) || S_ISBLK(mode))
		set_device(&i, dev);
	i.raw.i_links_count = 1;
	ret = new_owner(b, req, dir, &i);
	if (ret == 0)
		ret = inode_write(b, &i);
	if (ret == 0)
		ret = dir_add(b, dir, name, i.ino, mode);
	if (ret < 0)
		unmake(b, &i);
	*ret_ino = i.ino;
	return ret;
}

/* libext2fs has made @name: what it does not know of is set. */
static int finish_new(struct blockfs *b, fuse_req_t req, uint32_t dir, const char *name, mode_t mode,
		      uint32_t *ret_ino)
{
	struct inode i;
	int ret = dir_find(b, dir, name, ret_ino);

	if (ret == 0)
		ret = inode_read(b, *ret_ino, &i);
	if (ret < 0)
		return ret;
	commit_inode(b, i.ino);
	i.raw.i_mode = mode;
	for (enum inode_time t = INODE_ATIME; t <= INODE_CRTIME; t++)
		inode_touch(b, &i, t);
	return new_owner(b, req, dir, &i) ?: inode_write(b, &i);
}

static int touch_dir(struct blockfs *b, uint32_t dir)
{
	struct inode i;
	int ret = inode_read(b, dir, &i);

	if (ret < 0)
		return ret;
	inode_touch(b, &i, INODE_MTIME);
	inode_touch(b, &i, INODE_CTIME);
	return inode_write(b, &i);
}

static int make_dir(struct blockfs *b, fuse_req_t req, uint32_t dir, const char *name, mode_t mode,
		    uint32_t *ret_ino)
{
	struct inode parent;
	errcode_t err;
	int ret = inode_read(b, dir, &parent);

	if (ret < 0)
		return ret;
	if (parent.raw.i_links_count >= MAX_LINKS - 1)
		return -EMLINK;
	err = ext2fs_mkdir(b->fs, dir, 0, name);
	if (err == EXT2_ET_DIR_NO_SPACE) {
		err = ext2fs_expand_dir(b->fs, dir);
		if (!err)
			err = ext2fs_mkdir(b->fs, dir, 0, name);
	}
	ret = blockfs_error(err);
	if (ret == 0)
		ret = finish_new(b, req, dir, name, S_IFDIR | (mode & 07777), ret_ino);
	return ret ?: touch_dir(b, dir);
}

static int make_symlink(struct blockfs *b, fuse_req_t req, uint32_t dir, const char *name,
			const char *target, uint32_t *ret_ino)
{
	errcode_t err;
	int ret;

	if (strlen(target) >= b->fs->blocksize)
		return -ENAMETOOLONG;
	err = ext2fs_symlink(b->fs, dir, 0, name, target);
	if (err == EXT2_ET_DIR_NO_SPACE) {
		err = ext2fs_expand_dir(b->fs, dir);
		if (!err)
			err = ext2fs_symlink(b->fs, dir, 0, name, target);
	}
	ret = blockfs_error(err);
	if (ret == 0)
		ret = finish_new(b, req, dir, name, S_IFLNK | 0777, ret_ino);
	return ret ?: touch_dir(b, dir);
}

/* A directory grows by blocks, and those of the last commit may be all there are. */
static bool again(struct blockfs *b, int ret)
{
	return ret == -ENOSPC && b->nfreed && blockfs_commit(b) == 0;
}

static int check_name(struct blockfs *b, uint32_t dir, const char *name)
{
	uint32_t ino;
	int ret = dir_find(b, dir, name, &ino);

	return ret == -ENOENT ? 0 : ret < 0 ? ret : -EEXIST;
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	struct blockfs *b = blockfs_of(req);
	uint32_t dir = disk_ino(parent), ino = 0;
	int ret;

	if (!blockfs_may_write(req))
		return;
	ret = check_name(b, dir, name);
	if (ret == 0)
		ret = make_node(b, req, dir, name, mode, dev, &ino);
	if (again(b, ret))
		ret = make_node(b, req, dir, name, mode, dev, &ino);
	reply_entry(req, ret, ino);
	blockfs_settle(b);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	struct blockfs *b = blockfs_of(req);
	uint32_t dir = disk_ino(parent), ino = 0;
	struct fuse_entry_param e;
	int ret;

	if (!blockfs_may_write(req))
		return;
	ret = dir_find(b, dir, name, &ino);
	if (ret == -ENOENT)
		ret = make_node(b, req, dir, name, S_IFREG | (mode & 07777), 0, &ino);
	else if (ret == 0 && fi->flags & O_EXCL)
		ret = -EEXIST;
	if (again(b, ret))
		ret = make_node(b, req, dir, name, S_IFREG | (mode & 07777), 0, &ino);
	if (ret == 0)
		ret = blockfs_entry(b, ino, &e);
	if (ret < 0) {
		fuse_reply_err(req, -ret);
		return;
	}
	fi->keep_cache = 1;
	node_know(b, ino);
	if (fuse_reply_create(req, &e, fi) < 0)
		node_forget(b, ino, 1);
	blockfs_settle(b);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct blockfs *b = blockfs_of(req);
	uint32_t dir = disk_ino(parent), ino = 0;
	int ret;

	if (!blockfs_may_write(req))
		return;
	ret = check_name(b, dir, name);
	if (ret == 0)
		ret = make_dir(b, req, dir, name, mode, &ino);
	if (again(b, ret))
		ret = make_dir(b, req, dir, name, mode, &ino);
	reply_entry(req, ret, ino);
	blockfs_settle(b);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct blockfs *b = blockfs_of(req);
	uint32_t dir = disk_ino(parent), ino = 0;
	int ret;

	if (!blockfs_may_write(req))
		return;
	ret = check_name(b, dir, name);
	if (ret == 0)
		ret = make_symlink(b, req, dir, name, target, &ino);
	if (again(b, ret))
		ret = make_symlink(b, req, dir, name, target, &ino);
	reply_entry(req, ret, ino);
	blockfs_settle(b);
}

static int add_link(struct blockfs *b, uint32_t ino, uint32_t dir, const char *name)
{
	struct inode i;
	int ret = inode_read(b, ino, &i);

	if (ret < 0)
		return ret;
	if (i.raw.i_links_count >= MAX_LINKS)
		return -EMLINK;
	if (i.raw.i_links_count == 0)
		return -ENOENT;
	ret = check_name(b, dir, name) ?: dir_add(b, dir, name, ino, i.raw.i_mode);
	if (ret < 0)
		return ret;
	i.raw.i_links_count++;
	inode_touch(b, &i, INODE_CTIME);
	return inode_write(b, &i);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct blockfs *b = blockfs_of(req);
	int ret;

	if (!blockfs_may_write(req))
		return;
	ret = add_link(b, disk_ino(ino), disk_ino(parent), name);
	if (again(b, ret))
		ret = add_link(b, disk_ino(ino), disk_ino(parent), name);
	reply_entry(req, ret, disk_ino(ino));
	blockfs_settle(b);
}

/* ---- removing ------------------------------------------------------------------- */

/* One name less. A directory has two, and its parent loses one as well. */
static int drop_link(struct blockfs *b, uint32_t ino, uint32_t parent)
{
	struct inode i, p;
	int ret = inode_read(b, ino, &i);

	if (ret < 0)
		return ret;
	if (LINUX_S_ISDIR(i.raw.i_mode)) {
		i.raw.i_links_count = 0;
		ret = inode_read(b, parent, &p);
		/* 1: too many to be counted. */
		if (ret == 0 && p.raw.i_links_count > 2) {
			p.raw.i_links_count--;
			ret = inode_write(b, &p);
		}
	} else if (i.raw.i_links_count > 0) {
		i.raw.i_links_count--;
	}
	inode_touch(b, &i, INODE_CTIME);
	if (ret < 0)
		return ret;
	if (i.raw.i_links_count > 0)
		return inode_write(b, &i);
	if (node_known(b, ino))
		return inode_orphan(b, &i);
	return inode_write(b, &i) ?: inode_free(b, &i);
}

static int remove_name(struct blockfs *b, uint32_t dir, const char *name, bool want_dir)
{
	struct inode i;
	uint32_t ino;
	int ret = dir_find(b, dir, name, &ino);

	if (ret == 0)
		ret = inode_read(b, ino, &i);
	if (ret < 0)
		return ret;
	if (LINUX_S_ISDIR(i.raw.i_mode) != want_dir)
		return want_dir ? -ENOTDIR : -EISDIR;
	if (want_dir)
		ret = dir_empty(b, ino);
	return ret ?: dir_remove(b, dir, name) ?: drop_link(b, ino, dir);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (blockfs_may_write(req))
		blockfs_done(req, remove_name(blockfs_of(req), disk_ino(parent), name, false));
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (blockfs_may_write(req))
		blockfs_done(req, remove_name(blockfs_of(req), disk_ino(parent), name, true));
}

/* ---- renaming -------------------------------------------------------------------- */

struct place {
	uint32_t dir;
	const char *name;
	uint32_t ino;		/* 0: nothing there */
	mode_t mode;
};

static int find_place(struct blockfs *b, struct place *p)
{
	struct inode i;
	int ret = dir_find(b, p->dir, p->name, &p->ino);

	if (ret < 0) {
		p->ino = 0;
		return ret;
	}
	ret = inode_read(b, p->ino, &i);
	p->mode = i.raw.i_mode;
	return ret;
}

static int add_links(struct blockfs *b, uint32_t ino, int by)
{
	struct inode i;
	int ret = inode_read(b, ino, &i);

	if (ret < 0 || i.raw.i_links_count == 1)
		return ret;
	i.raw.i_links_count += by;
	return inode_write(b, &i);
}

/* A directory has moved from @from to @to. */
static int change_parent(struct blockfs *b, uint32_t ino, uint32_t from, uint32_t to)
{
	if (from == to)
		return 0;
	return dir_change(b, ino, "..", to, S_IFDIR) ?: add_links(b, from, -1) ?: add_links(b, to, 1);
}

static int touch_inode(struct blockfs *b, uint32_t ino)
{
	struct inode i;
	int ret = inode_read(b, ino, &i);

	if (ret < 0)
		return ret;
	inode_touch(b, &i, INODE_CTIME);
	return inode_write(b, &i);
}

static int exchange(struct blockfs *b, const struct place *a, const struct place *z)
{
	int ret = dir_change(b, a->dir, a->name, z->ino, z->mode);

	if (ret == 0)
		ret = dir_change(b, z->dir, z->name, a->ino, a->mode);
	if (ret == 0 && S_ISDIR(a->mode))
		ret = change_parent(b, a->ino, a->dir, z->dir);
	if (ret == 0 && S_ISDIR(z->mode))
		ret = change_parent(b, z->ino, z->dir, a->dir);
	return ret ?: touch_inode(b, a->ino) ?: touch_inode(b, z->ino);
}

static int check_replace(struct blockfs *b, const struct place *a, const struct place *z)
{
	if (S_ISDIR(z->mode) && !S_ISDIR(a->mode))
		return -EISDIR;
	if (!S_ISDIR(z->mode) && S_ISDIR(a->mode))
		return -ENOTDIR;
	return S_ISDIR(z->mode) ? dir_empty(b, z->ino) : 0;
}

static int move(struct blockfs *b, const struct place *a, const struct place *z)
{
	int ret = z->ino ? check_replace(b, a, z) : 0;

	if (ret < 0)
		return ret;
	if (z->ino)
		ret = dir_change(b, z->dir, z->name, a->ino, a->mode);
	else
		ret = dir_add(b, z->dir, z->name, a->ino, a->mode);
	if (ret == 0)
		ret = dir_remove(b, a->dir, a->name);
	if (ret == 0 && S_ISDIR(a->mode))
		ret = change_parent(b, a->ino, a->dir, z->dir);
	if (ret == 0 && z->ino)
		ret = drop_link(b, z->ino, z->dir);
	return ret ?: touch_inode(b, a->ino);
}

static int rename_name(struct blockfs *b, struct place *a, struct place *z, unsigned flags)
{
	int ret = find_place(b, a);

	if (ret < 0)
		return ret;
	ret = find_place(b, z);
	if (ret < 0 && ret != -ENOENT)
		return ret;
	if (flags & RENAME_EXCHANGE)
		return ret < 0 ? ret : exchange(b, a, z);
	if (ret == 0 && flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (a->ino == z->ino)
		return 0;
	return move(b, a, z);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
		      const char *newname, unsigned flags)
{
	struct blockfs *b = blockfs_of(req);
	struct place a = { .dir = disk_ino(parent), .name = name };
	struct place z = { .dir = disk_ino(newparent), .name = newname };
	int ret;

	if (!blockfs_may_write(req))
		return;
	if (flags & ~(unsigned)(RENAME_EXCHANGE | RENAME_NOREPLACE)) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	ret = rename_name(b, &a, &z, flags);
	if (again(b, ret))
		ret = rename_name(b, &a, &z, flags);
	blockfs_done(req, ret);
}

/* ---- reading directories ----------------------------------------------------------- */

static struct dir_list *list_of(const struct fuse_file_info *fi)
{
	return (struct dir_list *)(uintptr_t)fi->fh;
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct dir_list *l = calloc(1, sizeof(*l));

	if (!l) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	fi->fh = (uintptr_t)l;
	fi->cache_readdir = 1;
	fi->keep_cache = 1;
	if (fuse_reply_open(req, fi) < 0)
		free(l);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	dir_list_free(list_of(fi));
	free(list_of(fi));
	fuse_reply_err(req, 0);
}

static int fill(fuse_req_t req, struct fuse_file_info *fi, fuse_ino_t ino, off_t off)
{
	struct dir_list *l = list_of(fi);

	if (off > 0 && l->e)
		return 0;
	dir_list_free(l);
	return dir_list(blockfs_of(req), disk_ino(ino), l);
}

static size_t put_plain(fuse_req_t req, char *buf, size_t room, const struct dir_entry *d, off_t next)
{
	static const mode_t mode[] = {
		[EXT2_FT_REG_FILE] = S_IFREG, [EXT2_FT_DIR] = S_IFDIR, [EXT2_FT_CHRDEV] = S_IFCHR,
		[EXT2_FT_BLKDEV] = S_IFBLK, [EXT2_FT_FIFO] = S_IFIFO, [EXT2_FT_SOCK] = S_IFSOCK,
		[EXT2_FT_SYMLINK] = S_IFLNK,
	};
	struct stat st = { .st_ino = fuse_ino(d->ino) };

	if (d->type < ARRAY_SIZE(mode))
		st.st_mode = mode[d->type];
	return fuse_add_direntry(req, buf, room, d->name, &st, next);
}

static size_t put_plus(fuse_req_t req, char *buf, size_t room, const struct dir_entry *d, off_t next)
{
	struct fuse_entry_param e = { .ino = 0 };
	bool dots = streq(d->name, ".") || streq(d->name, "..");
	size_t n;

	/* A name that leads nowhere is found so when it is asked for. */
	if (dots || blockfs_entry(blockfs_of(req), d->ino, &e) < 0) {
		e = (struct fuse_entry_param){ .ino = 0 };
		e.attr.st_ino = d->ino;
		e.attr.st_mode = dots ? S_IFDIR : 0;
	}
	n = fuse_add_direntry_plus(req, buf, room, d->name, &e, next);
	if (n <= room && e.ino)
		node_know(blockfs_of(req), d->ino);
	return n;
}

static void read_dir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi,
		     size_t (*put)(fuse_req_t, char *, size_t, const struct dir_entry *, off_t))
{
	cleanup_free char *buf = malloc(size);
	int ret = buf ? fill(req, fi, ino, off) : -ENOMEM;
	const struct dir_list *l = list_of(fi);
	size_t used = 0;

	if (ret < 0) {
		fuse_reply_err(req, -ret);
		return;
	}
	for (size_t k = off; k < l->n; k++) {
		size_t n = put(req, buf + used, size - used, &l->e[k], k + 1);

		if (n > size - used)
			break;
		used += n;
	}
	fuse_reply_buf(req, buf, used);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	read_dir(req, ino, size, off, fi, put_plain);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			   struct fuse_file_info *fi)
{
	read_dir(req, ino, size, off, fi, put_plus);
}

void blockfs_fuse_dir_ops(struct fuse_lowlevel_ops *ops)
{
	ops->lookup = op_lookup;
	ops->readlink = op_readlink;
	ops->mknod = op_mknod;
	ops->create = op_create;
	ops->mkdir = op_mkdir;
	ops->symlink = op_symlink;
	ops->link = op_link;
	ops->unlink = op_unlink;
	ops->rmdir = op_rmdir;
	ops->rename = op_rename;
	ops->opendir = op_opendir;
	ops->releasedir = op_releasedir;
	ops->readdir = op_readdir;
	ops->readdirplus = op_readdirplus;
}
