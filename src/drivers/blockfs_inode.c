/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_inode.c - inodes, and those without a name
 *
 * A file that was removed and is still open is an orphan: on the list that the
 * super block begins and each inode's time of deletion continues, so that after a
 * crash its blocks are given back. Here the list is an array, its head last.
 */
#include "drivers/blockfs_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "kernel/log.h"
#include "kernel/util.h"

/* ---- what is known by FUSE ------------------------------------------------ */

static struct node **node_at(const struct blockfs *b, uint32_t ino)
{
	struct node **at = (struct node **)&b->node[ino % NODE_BUCKETS];

	while (*at && (*at)->ino != ino)
		at = &(*at)->next;
	return at;
}

void node_know(struct blockfs *b, uint32_t ino)
{
	struct node **at = node_at(b, ino);

	if (!*at)
		*at = calloc(1, sizeof(**at));
	if (!*at)
		return;
	(*at)->ino = ino;
	(*at)->lookups++;
}

bool node_known(const struct blockfs *b, uint32_t ino)
{
	return *node_at(b, ino) != NULL;
}

void node_forget(struct blockfs *b, uint32_t ino, uint64_t n)
{
	struct node **at = node_at(b, ino), *gone = *at;
	struct inode i;

	if (!gone)
		return;
	gone->lookups -= MIN(n, gone->lookups);
	if (gone->lookups > 0)
		return;
	*at = gone->next;
	free(gone);
	if (inode_read(b, ino, &i) < 0 || i.raw.i_links_count > 0 || b->readonly)
		return;
	inode_free(b, &i);
	blockfs_settle(b);
}

void nodes_free(struct blockfs *b)
{
	for (unsigned i = 0; i < NODE_BUCKETS; i++)
		while (b->node[i]) {
			struct node *n = b->node[i];

			b->node[i] = n->next;
			free(n);
		}
}

/* ---- reading and writing -------------------------------------------------- */

static bool may_be_used(const struct blockfs *b, uint32_t ino)
{
	const struct ext2_super_block *es = b->fs->super;

	return ino == EXT2_ROOT_INO || ino == es->s_journal_inum ||
	       (ino >= EXT2_FIRST_INO(es) && ino <= es->s_inodes_count);
}

int inode_read(struct blockfs *b, uint32_t ino, struct inode *ret)
{
	errcode_t err;

	memset(ret, 0, sizeof(*ret));
	ret->ino = ino;
	if (!may_be_used(b, ino))
		return -EUCLEAN;
	err = ext2fs_read_inode_full(b->fs, ino, inode_base(ret), sizeof(ret->raw));
	return blockfs_error(err);
}

int inode_write(struct blockfs *b, struct inode *i)
{
	b->dirty = true;
	return blockfs_error(ext2fs_write_inode_full(b->fs, i->ino, inode_base(i), sizeof(i->raw)));
}

/* ---- times: seconds, two more bits of them, and nanoseconds ---------------- */

/* Is the field within the inode? */
#define HAS(b, i, field)                                                                           \
	(EXT2_INODE_SIZE((b)->fs->super) >=                                                        \
		 offsetof(struct ext2_inode_large, field) + sizeof((i)->raw.field) &&              \
	 EXT2_GOOD_OLD_INODE_SIZE + (size_t)(i)->raw.i_extra_isize >=                                     \
		 offsetof(struct ext2_inode_large, field) + sizeof((i)->raw.field))

struct time_at {
	uint32_t *sec, *extra;		/* NULL: it has none */
};

static struct time_at time_at(struct blockfs *b, struct inode *i, enum inode_time which)
{
	struct ext2_inode_large *r = &i->raw;

	switch (which) {
	case INODE_ATIME:
		return (struct time_at){ &r->i_atime, HAS(b, i, i_atime_extra) ? &r->i_atime_extra : NULL };
	case INODE_MTIME:
		return (struct time_at){ &r->i_mtime, HAS(b, i, i_mtime_extra) ? &r->i_mtime_extra : NULL };
	case INODE_CTIME:
		return (struct time_at){ &r->i_ctime, HAS(b, i, i_ctime_extra) ? &r->i_ctime_extra : NULL };
	default:
		return (struct time_at){ HAS(b, i, i_crtime) ? &r->i_crtime : NULL,
					 HAS(b, i, i_crtime_extra) ? &r->i_crtime_extra : NULL };
	}
}

void inode_set_time(struct blockfs *b, struct inode *i, enum inode_time which,
		    const struct timespec *ts)
{
	struct time_at t = time_at(b, i, which);
	int64_t sec = ts->tv_sec, most = t.extra ? INT64_C(0x37fffffff) : INT32_MAX;

	sec = MIN(MAX(sec, (int64_t)INT32_MIN), most);
	if (t.sec)
		*t.sec = (uint32_t)sec;
	if (t.extra)
		*t.extra = (uint32_t)ts->tv_nsec << 2 | ((sec - (int32_t)sec) >> 32 & 3);
}

void inode_touch(struct blockfs *b, struct inode *i, enum inode_time which)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	inode_set_time(b, i, which, &now);
}

int inode_changed(struct blockfs *b, uint32_t ino, bool data)
{
	struct inode i;
	int ret = inode_read(b, ino, &i);

	if (ret < 0)
		return ret;
	if (data)
		inode_touch(b, &i, INODE_MTIME);
	inode_touch(b, &i, INODE_CTIME);
	return inode_write(b, &i);
}

static struct timespec get_time(struct blockfs *b, const struct inode *i, enum inode_time which)
{
	struct inode copy = *i;
	struct time_at t = time_at(b, &copy, which);
	struct timespec ts = { .tv_sec = (int32_t)*t.sec };

	if (t.extra) {
		ts.tv_sec += (int64_t)(*t.extra & 3) << 32;
		ts.tv_nsec = MIN(*t.extra >> 2, 999999999u);
	}
	return ts;
}

/* ---- other fields --------------------------------------------------------- */

void inode_set_owner(struct inode *i, uint32_t uid, uint32_t gid)
{
	i->raw.i_uid = uid;
	i->raw.osd2.linux2.l_i_uid_high = uid >> 16;
	i->raw.i_gid = gid;
	i->raw.osd2.linux2.l_i_gid_high = gid >> 16;
}

uint32_t inode_owner(const struct inode *i)
{
	return inode_uid(i->raw);
}

uint32_t inode_group(const struct inode *i)
{
	return inode_gid(i->raw);
}

uint64_t inode_size(const struct inode *i)
{
	return EXT2_I_SIZE(&i->raw);
}

/* Small symbolic links have none, and special files; nor what lies in the inode. */
bool inode_has_blocks(struct blockfs *b, struct inode *i)
{
	if (i->raw.i_flags & EXT4_INLINE_DATA_FL)
		return false;
	if (LINUX_S_ISLNK(i->raw.i_mode))
		return !ext2fs_is_fast_symlink(inode_base(i));
	return LINUX_S_ISREG(i->raw.i_mode) || LINUX_S_ISDIR(i->raw.i_mode);
}

static dev_t device_of(const struct inode *i)
{
	const uint32_t *block = i->raw.i_block;

	if (block[0])
		return makedev(block[0] >> 8 & 0xff, block[0] & 0xff);
	return makedev((block[1] & 0xfff00) >> 8, (block[1] & 0xff) | (block[1] >> 12 & 0xfff00));
}

void inode_stat(struct blockfs *b, const struct inode *i, struct stat *st)
{
	*st = (struct stat){
		.st_ino = i->ino,
		.st_mode = i->raw.i_mode,
		.st_nlink = i->raw.i_links_count,
		.st_uid = inode_owner(i),
		.st_gid = inode_group(i),
		.st_size = inode_size(i),
		.st_blksize = b->fs->blocksize,
		.st_atim = get_time(b, i, INODE_ATIME),
		.st_mtim = get_time(b, i, INODE_MTIME),
		.st_ctim = get_time(b, i, INODE_CTIME),
	};
	st->st_blocks = ext2fs_get_stat_i_blocks(b->fs, (struct ext2_inode *)&i->raw);
	if (S_ISCHR(i->raw.i_mode) || S_ISBLK(i->raw.i_mode))
		st->st_rdev = device_of(i);
}

/* ---- making and removing ---------------------------------------------------- */

int inode_create(struct blockfs *b, uint32_t dir, mode_t mode, struct inode *ret)
{
	errcode_t err = ext2fs_new_inode(b->fs, dir, mode, NULL, &ret->ino);
	uint32_t ino = ret->ino;

	if (err)
		return blockfs_error(err);
	ext2fs_inode_alloc_stats2(b->fs, ino, 1, S_ISDIR(mode));
	commit_inode(b, ino);
	memset(ret, 0, sizeof(*ret));
	ret->ino = ino;
	ret->raw.i_mode = mode;
	ret->raw.i_generation = random();
	if (EXT2_INODE_SIZE(b->fs->super) > EXT2_GOOD_OLD_INODE_SIZE)
		ret->raw.i_extra_isize = sizeof(ret->raw) - EXT2_GOOD_OLD_INODE_SIZE;
	if (S_ISREG(mode) && ext2fs_has_feature_extents(b->fs->super)) {
		ext2_extent_handle_t h;

		ret->raw.i_flags |= EXT4_EXTENTS_FL;
		if (ext2fs_extent_open2(b->fs, ino, inode_base(ret), &h) == 0)
			ext2fs_extent_free(h);
	}
	for (enum inode_time t = INODE_ATIME; t <= INODE_CRTIME; t++)
		inode_touch(b, ret, t);
	return blockfs_error(ext2fs_write_new_inode(b->fs, ino, inode_base(ret)));
}

/* What follows @ino on the list, to its inode. */
static int write_link(struct blockfs *b, uint32_t ino, uint32_t next)
{
	struct inode i;
	int ret = inode_read(b, ino, &i);

	if (ret < 0)
		return ret;
	i.raw.i_dtime = next;
	return inode_write(b, &i);
}

static int push(struct blockfs *b, uint32_t ino)
{
	if (b->norphans == b->room_orphans) {
		unsigned room = MAX(2 * b->room_orphans, 64u);
		uint32_t *more = realloc(b->orphan, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		b->orphan = more;
		b->room_orphans = room;
	}
	b->orphan[b->norphans++] = ino;
	return 0;
}

int inode_orphan(struct blockfs *b, struct inode *i)
{
	uint32_t next = b->norphans ? b->orphan[b->norphans - 1] : 0;
	int ret = push(b, i->ino);

	i->raw.i_dtime = next;
	return ret < 0 ? ret : inode_write(b, i);
}

void orphan_drop(struct blockfs *b, uint32_t ino)
{
	unsigned at = b->norphans;

	while (at > 0 && b->orphan[at - 1] != ino)
		at--;
	if (at == 0)
		return;
	at--;
	/* The one above it leads to it. */
	if (at + 1 < b->norphans)
		write_link(b, b->orphan[at + 1], at ? b->orphan[at - 1] : 0);
	memmove(b->orphan + at, b->orphan + at + 1, (b->norphans - at - 1) * sizeof(*b->orphan));
	b->norphans--;
	b->dirty = true;
}

int inode_free(struct blockfs *b, struct inode *i)
{
	bool dir = S_ISDIR(i->raw.i_mode);
	int ret = 0;

	orphan_drop(b, i->ino);
	if (inode_has_blocks(b, i))
		ret = file_free(b, i, 0, ~0ULL);
	/* A damaged file gives back what it can. */
	if (ret < 0)
		log_warn("blockfs: inode %u: its blocks cannot be freed: %s", i->ino, strerror(-ret));
	if (ext2fs_file_acl_block(b->fs, inode_base(i)))
		ext2fs_free_ext_attr(b->fs, i->ino, &i->raw);
	ret = inode_read(b, i->ino, i);
	if (ret < 0)
		return ret;
	i->raw.i_dtime = time(NULL);
	i->raw.i_links_count = 0;
	i->raw.i_size = i->raw.i_size_high = 0;
	ret = inode_write(b, i);
	ext2fs_inode_alloc_stats2(b->fs, i->ino, -1, dir);
	commit_inode(b, i->ino);
	return ret;
}

/* A list that leads in circles has more than there are inodes. */
int orphans_load(struct blockfs *b)
{
	uint32_t ino = b->fs->super->s_last_orphan;
	unsigned n = 0;

	for (; ino; n++) {
		struct inode i;
		int ret = inode_read(b, ino, &i);

		if (ret < 0 || n > b->fs->super->s_inodes_count ||
		    !ext2fs_test_inode_bitmap2(b->fs->inode_map, ino))
			return -EUCLEAN;
		ret = push(b, ino);
		if (ret < 0)
			return ret;
		ino = i.raw.i_dtime;
	}
	/* Its head is last. */
	for (unsigned k = 0; k < n / 2; k++) {
		uint32_t t = b->orphan[k];

		b->orphan[k] = b->orphan[n - 1 - k];
		b->orphan[n - 1 - k] = t;
	}
	return n;
}

int orphans_free(struct blockfs *b)
{
	while (b->norphans > 0) {
		uint32_t ino = b->orphan[b->norphans - 1];
		struct inode i;
		int ret = inode_read(b, ino, &i);

		if (ret < 0)
			return ret;
		if (i.raw.i_links_count == 0) {
			ret = inode_free(b, &i);
		} else {
			/* It was being cut off. */
			orphan_drop(b, ino);
			i.raw.i_dtime = 0;
			ret = file_truncate(b, &i, inode_size(&i));
		}
		if (ret < 0)
			return ret;
	}
	return 0;
}
