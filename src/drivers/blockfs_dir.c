/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_dir.c - names
 *
 * Directories are libext2fs's, indexed ones too. What it has not is to let a name
 * lead elsewhere: that is done in the entry, so that no moment is without the name.
 */
#include "drivers/blockfs_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/util.h"

#define MAX_LIST_BYTES (256u << 20)	/* of a directory that was made to be large */

static int type_of(mode_t mode)
{
	static const uint8_t type[16] = {
		[S_IFREG >> 12] = EXT2_FT_REG_FILE, [S_IFDIR >> 12] = EXT2_FT_DIR,
		[S_IFCHR >> 12] = EXT2_FT_CHRDEV,   [S_IFBLK >> 12] = EXT2_FT_BLKDEV,
		[S_IFIFO >> 12] = EXT2_FT_FIFO,	    [S_IFSOCK >> 12] = EXT2_FT_SOCK,
		[S_IFLNK >> 12] = EXT2_FT_SYMLINK,
	};

	return type[(mode & S_IFMT) >> 12];
}

static int check_dir(struct blockfs *b, uint32_t dir)
{
	struct inode i;
	int ret = inode_read(b, dir, &i);

	if (ret < 0)
		return ret;
	return LINUX_S_ISDIR(i.raw.i_mode) ? 0 : -ENOTDIR;
}

int dir_find(struct blockfs *b, uint32_t dir, const char *name, uint32_t *ret)
{
	size_t len = strlen(name);

	if (len > EXT2_NAME_LEN)
		return -ENAMETOOLONG;
	return check_dir(b, dir) ?: blockfs_error(ext2fs_lookup(b->fs, dir, name, len, NULL, ret));
}

int dir_has_not(struct blockfs *b, uint32_t dir, const char *name)
{
	uint32_t ino;
	int ret = dir_find(b, dir, name, &ino);

	return ret == -ENOENT ? 0 : ret < 0 ? ret : -EEXIST;
}

int dir_add(struct blockfs *b, uint32_t dir, const char *name, uint32_t ino, mode_t mode)
{
	errcode_t err = ext2fs_link(b->fs, dir, name, ino, type_of(mode));

	if (err == EXT2_ET_DIR_NO_SPACE) {
		err = ext2fs_expand_dir(b->fs, dir);
		if (!err)
			err = ext2fs_link(b->fs, dir, name, ino, type_of(mode));
	}
	return err ? blockfs_error(err) : inode_changed(b, dir, true);
}

int dir_remove(struct blockfs *b, uint32_t dir, const char *name)
{
	errcode_t err = ext2fs_unlink(b->fs, dir, name, 0, 0);

	return err ? blockfs_error(err) : inode_changed(b, dir, true);
}

struct change {
	const char *name;
	size_t len;
	uint32_t ino;
	int type;
	bool done;
};

static int change_entry(ext2_ino_t dir, int entry, struct ext2_dir_entry *d, int offset,
			int blocksize, char *buf, void *ctx)
{
	struct change *c = ctx;

	if ((size_t)ext2fs_dirent_name_len(d) != c->len || memcmp(d->name, c->name, c->len))
		return 0;
	d->inode = c->ino;
	if (ext2fs_dirent_file_type(d))
		ext2fs_dirent_set_file_type(d, c->type);
	c->done = true;
	return DIRENT_CHANGED | DIRENT_ABORT;
}

int dir_change(struct blockfs *b, uint32_t dir, const char *name, uint32_t ino, mode_t mode)
{
	struct change c = { name, strlen(name), ino, type_of(mode), false };
	errcode_t err = ext2fs_dir_iterate2(b->fs, dir, 0, NULL, change_entry, &c);

	if (err)
		return blockfs_error(err);
	return c.done ? inode_changed(b, dir, true) : -ENOENT;
}

static int see_entry(ext2_ino_t dir, int entry, struct ext2_dir_entry *d, int offset,
		     int blocksize, char *buf, void *ctx)
{
	bool *any = ctx;
	int len = ext2fs_dirent_name_len(d);

	if ((len == 1 && d->name[0] == '.') || (len == 2 && d->name[0] == '.' && d->name[1] == '.'))
		return 0;
	*any = true;
	return DIRENT_ABORT;
}

int dir_empty(struct blockfs *b, uint32_t dir)
{
	bool any = false;
	errcode_t err = ext2fs_dir_iterate2(b->fs, dir, 0, NULL, see_entry, &any);

	return err ? blockfs_error(err) : any ? -ENOTEMPTY : 0;
}

/* ---- the whole of one ------------------------------------------------------ */

struct listing {
	struct dir_list *l;
	size_t used, size;	/* of names */
	int ret;
};

static int list_entry(ext2_ino_t dir, int entry, struct ext2_dir_entry *d, int offset,
		      int blocksize, char *buf, void *ctx)
{
	struct listing *g = ctx;
	struct dir_list *l = g->l;
	size_t len = ext2fs_dirent_name_len(d);

	if (l->n == l->room || g->used + len + 1 > g->size) {
		/* Entries take more room on the disk than here. */
		g->ret = -EUCLEAN;
		return DIRENT_ABORT;
	}
	/* No name has a slash or a NUL: what has cannot be opened. */
	if (len == 0 || memchr(d->name, '/', len) || memchr(d->name, 0, len))
		return 0;
	l->e[l->n++] = (struct dir_entry){ d->inode, ext2fs_dirent_file_type(d), l->names + g->used };
	memcpy(l->names + g->used, d->name, len);
	l->names[g->used + len] = '\0';
	g->used += len + 1;
	return 0;
}

int dir_list(struct blockfs *b, uint32_t dir, struct dir_list *ret)
{
	struct listing g = { .l = ret };
	struct inode i;
	errcode_t err;
	int r = inode_read(b, dir, &i);

	*ret = (struct dir_list){ .n = 0 };
	if (r < 0)
		return r;
	g.size = MIN(inode_size(&i), (uint64_t)MAX_LIST_BYTES) + b->fs->blocksize;
	ret->room = g.size / 8;		/* an entry has at least that */
	ret->e = calloc(ret->room, sizeof(*ret->e));
	ret->names = malloc(g.size);
	if (!ret->e || !ret->names) {
		dir_list_free(ret);
		return -ENOMEM;
	}
	err = ext2fs_dir_iterate2(b->fs, dir, 0, NULL, list_entry, &g);
	r = err ? blockfs_error(err) : g.ret;
	if (r < 0)
		dir_list_free(ret);
	return r;
}

void dir_list_free(struct dir_list *l)
{
	free(l->e);
	free(l->names);
	*l = (struct dir_list){ .n = 0 };
}
