/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_link.c - names that come, go and change
 */
#include "drivers/blockfs_impl.h"

#include <errno.h>
#include <linux/fs.h>

bool dir_is_full(const struct inode *dir)
{
	return dir->raw.i_links_count >= MAX_LINKS;
}

/* ---- adding -------------------------------------------------------------------- */

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
	ret = dir_has_not(b, dir, name) ?: dir_add(b, dir, name, ino, i.raw.i_mode);
	if (ret < 0)
		return ret;
	i.raw.i_links_count++;
	inode_touch(b, &i, INODE_CTIME);
	return inode_write(b, &i);
}

int link_add(struct blockfs *b, uint32_t ino, uint32_t dir, const char *name)
{
	int ret = add_link(b, ino, dir, name);

	return blockfs_full(b, ret) ? add_link(b, ino, dir, name) : ret;
}

/* ---- removing ------------------------------------------------------------------ */

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

int link_remove(struct blockfs *b, uint32_t dir, const char *name, bool want_dir)
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

/* ---- renaming ------------------------------------------------------------------ */

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

/* May @dir get a directory more? */
static int check_links(struct blockfs *b, uint32_t dir)
{
	struct inode i;

	return inode_read(b, dir, &i) ?: dir_is_full(&i) ? -EMLINK : 0;
}

static int exchange(struct blockfs *b, const struct place *a, const struct place *z)
{
	int ret = 0;

	if (a->dir != z->dir && S_ISDIR(a->mode) != S_ISDIR(z->mode))
		ret = check_links(b, S_ISDIR(a->mode) ? z->dir : a->dir);
	if (ret == 0)
		ret = dir_change(b, a->dir, a->name, z->ino, z->mode);
	if (ret == 0)
		ret = dir_change(b, z->dir, z->name, a->ino, a->mode);
	if (ret == 0 && S_ISDIR(a->mode))
		ret = change_parent(b, a->ino, a->dir, z->dir);
	if (ret == 0 && S_ISDIR(z->mode))
		ret = change_parent(b, z->ino, z->dir, a->dir);
	return ret ?: inode_changed(b, a->ino, false) ?: inode_changed(b, z->ino, false);
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
	int ret = 0;

	if (z->ino)
		ret = check_replace(b, a, z);
	else if (a->dir != z->dir && S_ISDIR(a->mode))
		ret = check_links(b, z->dir);
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
	return ret ?: inode_changed(b, a->ino, false);
}

static int rename_place(struct blockfs *b, struct place *a, struct place *z, unsigned flags)
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

int link_rename(struct blockfs *b, uint32_t dir, const char *name, uint32_t newdir, const char *newname,
		unsigned flags)
{
	struct place a = { .dir = dir, .name = name }, z = { .dir = newdir, .name = newname };
	int ret;

	if (flags & ~(unsigned)(RENAME_EXCHANGE | RENAME_NOREPLACE))
		return -EINVAL;
	ret = rename_place(b, &a, &z, flags);
	return blockfs_full(b, ret) ? rename_place(b, &a, &z, flags) : ret;
}
