/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_fuse_dir.c - FUSE's requests about names
 */
#include "drivers/blockfs_fuse.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"

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

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct blockfs *b = blockfs_of(req);
	char target[PATH_MAX];
	struct inode i;
	int ret = inode_read(b, disk_ino(ino), &i) ?: file_target(b, &i, target);

	if (ret < 0)
		fuse_reply_err(req, -ret);
	else
		fuse_reply_readlink(req, target);
}

/* ---- making ------------------------------------------------------------------- */

static void make(fuse_req_t req, fuse_ino_t parent, const char *name, const struct new_inode *n)
{
	struct blockfs *b = blockfs_of(req);
	uint32_t ino = 0;
	int ret;

	if (!blockfs_may_write(req))
		return;
	ret = blockfs_create(b, disk_ino(parent), name, n, &ino);
	reply_entry(req, ret, ino);
	blockfs_settle(b);
}

static struct new_inode new_inode(fuse_req_t req, mode_t mode)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct new_inode){ .mode = mode, .uid = ctx->uid, .gid = ctx->gid, .umask = ctx->umask };
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	struct new_inode n = new_inode(req, mode);

	n.dev = dev;
	make(req, parent, name, &n);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct new_inode n = new_inode(req, S_IFDIR | (mode & 07777));

	make(req, parent, name, &n);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct new_inode n = new_inode(req, S_IFLNK | 0777);

	n.target = target;
	make(req, parent, name, &n);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	struct new_inode n = new_inode(req, S_IFREG | (mode & 07777));
	struct blockfs *b = blockfs_of(req);
	struct fuse_entry_param e;
	uint32_t ino = 0;
	int ret;

	if (!blockfs_may_write(req))
		return;
	ret = blockfs_create(b, disk_ino(parent), name, &n, &ino);
	if (ret == -EEXIST && !(fi->flags & O_EXCL))
		ret = dir_find(b, disk_ino(parent), name, &ino);
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

/* ---- links --------------------------------------------------------------------- */

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct blockfs *b = blockfs_of(req);

	if (!blockfs_may_write(req))
		return;
	reply_entry(req, link_add(b, disk_ino(ino), disk_ino(parent), name), disk_ino(ino));
	blockfs_settle(b);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (blockfs_may_write(req))
		blockfs_done(req, link_remove(blockfs_of(req), disk_ino(parent), name, false));
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (blockfs_may_write(req))
		blockfs_done(req, link_remove(blockfs_of(req), disk_ino(parent), name, true));
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
		      const char *newname, unsigned flags)
{
	if (blockfs_may_write(req))
		blockfs_done(req, link_rename(blockfs_of(req), disk_ino(parent), name, disk_ino(newparent),
					      newname, flags));
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
