/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_impl.h - inside of a file system on a disk
 *
 * blockfs.c         mounting: what is supported, journal, orphans, state
 * blockfs_io.c      blocks of metadata, kept in memory until they are committed
 * blockfs_commit.c  what has changed, all of it or nothing
 * blockfs_journal.c the journal: found, and written by a commit
 * blockfs_replay.c  the journal, read after a crash
 * blockfs_inode.c   inodes, and those without a name
 * blockfs_dir.c     directories
 * blockfs_create.c  new inodes and their names
 * blockfs_link.c    names that come, go and change
 * blockfs_map.c     where the blocks of a file lie
 * blockfs_file.c    bytes of a file, and the blocks that they take
 * blockfs_data.c    those bytes, to the disk and from it
 * blockfs_xattr.c   extended attributes; blockfs_acl.c lists of access rights
 * blockfs_fuse.c    FUSE's requests; blockfs_fuse_dir.c those about names,
 *                   blockfs_fuse_xattr.c those about attributes
 *
 * One thread. Errors are negative errno; libext2fs's own are turned by
 * blockfs_error() where they are met.
 */
#ifndef WEIR_DRIVERS_BLOCKFS_IMPL_H
#define WEIR_DRIVERS_BLOCKFS_IMPL_H

#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h>
#include <libaio.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "drivers/blockfs.h"

#define BLOCKFS_MAX_IO (1u << 20)	/* bytes of one request */

/* ---- blockfs_io.c -------------------------------------------------------- */

/* A block of metadata. */
struct block {
	struct block *next;		/* of its hash chain */
	struct block *newer, *older;	/* of all that are clean, or of all that are dirty */
	uint64_t nr;
	bool dirty;
	_Alignas(8) char data[];
};

struct block_list {
	struct block *newest, *oldest;
	unsigned n;
};

struct block_cache {
	int fd;
	unsigned size;			/* bytes of a block */
	uint64_t end;			/* blocks of the disk */
	struct block **hash;
	struct block_list clean, dirty;
};

/* For libext2fs: its name is what block_cache_name() makes. */
extern struct struct_io_manager block_cache_manager;
#define BLOCK_CACHE_NAME 32
void block_cache_name(const struct block_cache *c, char name[BLOCK_CACHE_NAME]);

int block_cache_init(struct block_cache *c, int fd);
void block_cache_destroy(struct block_cache *c);

/* Blocks of another size: all that is kept must be clean. */
int block_cache_resize(struct block_cache *c, unsigned size);

/* Its contents, from the disk if need be. NULL and @ret: -EIO, -ENOMEM. */
struct block *block_get(struct block_cache *c, uint64_t nr, int *ret);

/* The block is free, or has data of a file from now on: what is kept is no more. */
void block_forget(struct block_cache *c, uint64_t nr);

/* Written since the last commit, by number. Return: how many, or -ENOMEM; @ret to be freed. */
int block_cache_dirty(struct block_cache *c, struct block ***ret);

/* Write blocks to where they belong; they are clean then. */
int block_cache_write(struct block_cache *c, struct block **b, unsigned n);
int block_cache_flush(struct block_cache *c);

/* Whole transfers. Return: 0 or a negative errno. */
int block_io_read(int fd, void *buf, size_t len, uint64_t off);
int block_io_write(int fd, const void *buf, size_t len, uint64_t off);

/* ---- blockfs_data.c ------------------------------------------------------ */

/**
 * enum transfer_state - Where bytes of a file are
 *
 *   NONE     nowhere: the transfer is free	-> READING, WRITING
 *   READING  on their way here		-> READ, or NONE if that failed
 *   READ     here, for who reads on		-> NONE
 *   WRITING  on their way to the disk	-> NONE
 */
enum transfer_state { TRANSFER_NONE, TRANSFER_READING, TRANSFER_READ, TRANSFER_WRITING };

struct transfer {
	struct iocb iocb;
	enum transfer_state state;
	uint64_t off, len;		/* bytes of the disk */
	uint64_t begun;			/* as the how manyth */
	char *buf;			/* NULL until it is used first */
};

#define DATA_TRANSFERS 8u		/* of BLOCKFS_MAX_IO at most */

struct data_io {
	int fd;
	io_context_t ctx;		/* NULL: the host has none for us */
	struct transfer transfer[DATA_TRANSFERS];
	uint64_t begun;
	int error;			/* the first of a write */
	uint32_t ino;			/* who was read last, */
	uint64_t next;			/* and the byte behind that */
};

void data_init(struct data_io *d, int fd);

/* Waits for what is under way. */
void data_exit(struct data_io *d);

/*
 * Whole sectors at byte @off of the disk; @len is at most BLOCKFS_MAX_IO. Return: 0 or a
 * negative errno. A write may still be under way then; data_settle() waits for all, and
 * says if any has failed. @ahead: bytes behind those that will be asked for next, or 0;
 * @buf: aligned as the disk wants it.
 */
int data_read(struct data_io *d, char *buf, size_t len, uint64_t off, uint64_t ahead);
int data_write(struct data_io *d, const char *data, size_t len, uint64_t off);
int data_settle(struct data_io *d);

/* ---- the whole ----------------------------------------------------------- */

/* Blocks of a file that were freed: others may have them after the commit. */
struct block_run {
	uint64_t first, n;
};

struct journal {
	bool present;
	unsigned size;		/* bytes of a block */
	uint32_t n, first;	/* blocks; first that may be used */
	uint64_t *place;	/* of each, on the disk */
	uint32_t seq;		/* of the next transaction */
	uint32_t incompat;
	uint32_t seed;		/* of its checksums */
	struct j_super *super;	/* its first block, as it is on the disk */
};

/* An inode that the guest knows of. */
struct node {
	struct node *next;
	uint32_t ino;
	uint64_t lookups;
};

#define NODE_BUCKETS 4096u

struct blockfs {
	struct blockfs_options opt;
	struct block_cache cache;
	ext2_filsys fs;
	struct journal journal;
	bool readonly;
	bool torn;			/* the super block was, on the disk */
	bool broken;			/* writing failed: nothing is written any more */
	uint64_t most, overhead;	/* bytes of a file without extents; blocks no file has */
	uint16_t valid;			/* the state's bit, as it was found */

	struct block_run *freed;	/* since the last commit */
	size_t nfreed, room_freed;
	uint32_t *changed;		/* groups whose bitmaps did */
	unsigned nchanged;
	bool *is_changed;		/* of each group */
	bool dirty;			/* something did since the last commit */
	bool data_dirty;		/* bytes of files since the last flush */

	uint32_t *orphan;		/* of the disk's list, its head last */
	unsigned norphans, room_orphans;

	struct node *node[NODE_BUCKETS];
	char *buf;			/* BLOCKFS_MAX_IO and a block at each end */
	struct data_io data;
};

int blockfs_error(errcode_t err);

/* ---- blockfs_journal.c, blockfs_replay.c ---------------------------------- */

/* Find the journal. Return: 0 also if there is none. @why: of an error. */
int journal_open(struct blockfs *b, struct disk_error *why);
void journal_close(struct journal *j);

/* Bring to their places what was committed; blocks are dirty then. */
int journal_replay(struct blockfs *b, struct disk_error *why);

/* Its super block: to be replayed from its start, or (@empty) nothing in it. */
int journal_mark(struct blockfs *b, bool empty);

/* Write @blocks as a transaction that is valid once this has returned 0.
 * -E2BIG: there is not room for so many. */
int journal_write(struct blockfs *b, struct block **blocks, unsigned n);

/* ---- blockfs_commit.c ----------------------------------------------------- */

/* Keep count of what changes in bitmaps. */
int commit_init(struct blockfs *b);
void commit_exit(struct blockfs *b);

/* Blocks that ext2fs_block_alloc_stats_range() has allocated. */
void commit_range(struct blockfs *b, uint64_t first, uint64_t n);

/* Of an inode's group, when it was allocated or freed. */
void commit_inode(struct blockfs *b, ext2_ino_t ino);

/* Make durable all that has changed. Return: 0 or -EIO ..., and then for good. */
int blockfs_commit(struct blockfs *b);

/* It was full: is there more room now, that of what was freed since the last commit? */
bool blockfs_full(struct blockfs *b, int ret);

/* Between two changes: commit if much is waiting. */
void blockfs_settle(struct blockfs *b);

/* ---- blockfs_inode.c ------------------------------------------------------ */

struct inode {
	uint32_t ino;
	struct ext2_inode_large raw;
};

/* -ESTALE: it is none that could be in use. */
int inode_read(struct blockfs *b, uint32_t ino, struct inode *ret);
int inode_write(struct blockfs *b, struct inode *i);
static inline struct ext2_inode *inode_base(struct inode *i)
{
	return (struct ext2_inode *)&i->raw;
}

void inode_stat(struct blockfs *b, const struct inode *i, struct stat *st);
enum inode_time { INODE_ATIME, INODE_MTIME, INODE_CTIME, INODE_CRTIME };
void inode_set_time(struct blockfs *b, struct inode *i, enum inode_time which,
		    const struct timespec *ts);
/* To this moment. */
void inode_touch(struct blockfs *b, struct inode *i, enum inode_time which);
/* It has changed at this moment, and (@data) its contents too. Copies of the inode are outdated then. */
int inode_changed(struct blockfs *b, uint32_t ino, bool data);
void inode_set_owner(struct inode *i, uint32_t uid, uint32_t gid);
uint32_t inode_owner(const struct inode *i);
uint32_t inode_group(const struct inode *i);
uint64_t inode_size(const struct inode *i);
bool inode_has_blocks(struct blockfs *b, struct inode *i);

/* A new inode near @dir; not yet linked anywhere. The caller writes it. */
int inode_create(struct blockfs *b, uint32_t dir, mode_t mode, struct inode *ret);

/* It has no name any more: gone when nobody knows it any more. */
int inode_orphan(struct blockfs *b, struct inode *i);

/* Give all of it back. */
int inode_free(struct blockfs *b, struct inode *i);
void orphan_drop(struct blockfs *b, uint32_t ino);

/* After a crash, and at the end. */
int orphans_load(struct blockfs *b);
int orphans_free(struct blockfs *b);

void node_know(struct blockfs *b, uint32_t ino);
void node_forget(struct blockfs *b, uint32_t ino, uint64_t n);
bool node_known(const struct blockfs *b, uint32_t ino);
void nodes_free(struct blockfs *b);

/* ---- blockfs_dir.c -------------------------------------------------------- */

int dir_find(struct blockfs *b, uint32_t dir, const char *name, uint32_t *ret);
/* -EEXIST if it has. */
int dir_has_not(struct blockfs *b, uint32_t dir, const char *name);
int dir_add(struct blockfs *b, uint32_t dir, const char *name, uint32_t ino, mode_t mode);
int dir_remove(struct blockfs *b, uint32_t dir, const char *name);
/* Let an existing name lead to another inode. */
int dir_change(struct blockfs *b, uint32_t dir, const char *name, uint32_t ino, mode_t mode);
int dir_empty(struct blockfs *b, uint32_t dir);

struct dir_entry {
	uint32_t ino;
	uint8_t type;		/* EXT2_FT_* */
	char *name;
};

struct dir_list {
	struct dir_entry *e;
	size_t n, room;
	char *names;
};

int dir_list(struct blockfs *b, uint32_t dir, struct dir_list *ret);
void dir_list_free(struct dir_list *l);

/* ---- blockfs_create.c ----------------------------------------------------- */

struct new_inode {
	mode_t mode;
	uint32_t uid, gid;
	dev_t dev;		/* of a device */
	const char *target;	/* of a symbolic link */
	mode_t umask;		/* for where no list of access rights says more */
};

int blockfs_create(struct blockfs *b, uint32_t dir, const char *name, const struct new_inode *n,
		   uint32_t *ret_ino);

/* ---- blockfs_link.c ------------------------------------------------------- */

#define MAX_LINKS 65000u	/* EXT4_LINK_MAX */

/* Of directories: it has as many as can be counted. */
bool dir_is_full(const struct inode *dir);

int link_add(struct blockfs *b, uint32_t ino, uint32_t dir, const char *name);

/* -EISDIR, -ENOTDIR if it is not what is wanted. */
int link_remove(struct blockfs *b, uint32_t dir, const char *name, bool want_dir);

/* As renameat2(2). */
int link_rename(struct blockfs *b, uint32_t dir, const char *name, uint32_t newdir, const char *newname,
		unsigned flags);

/* ---- blockfs_map.c, blockfs_file.c ------------------------------------------------------- */

/* Blocks of a file that lie together. */
struct extent {
	uint64_t place;		/* on the disk; 0: nowhere */
	uint64_t n;
	bool unwritten;		/* reads as zeros */
};

/* At block @at of a file, at most @n. */
int file_map(struct blockfs *b, struct inode *i, uint64_t at, uint64_t n, struct extent *ret);

/* Into @buf, of whole blocks around. Return: bytes, at *@ret in it. */
ssize_t file_read(struct blockfs *b, struct inode *i, uint64_t off, size_t len, char **ret);
/* Return: bytes, fewer if the disk is full. The caller writes the inode. */
ssize_t file_write(struct blockfs *b, struct inode *i, uint64_t off, const char *data, size_t len);
int file_truncate(struct blockfs *b, struct inode *i, uint64_t size);
/* Give blocks @first to @last back. */
int file_free(struct blockfs *b, struct inode *i, uint64_t first, uint64_t last);
int file_punch(struct blockfs *b, struct inode *i, uint64_t off, uint64_t len);
int file_reserve(struct blockfs *b, struct inode *i, uint64_t off, uint64_t len);
/* The next data (or hole) at or after @off; -ENXIO. */
int64_t file_seek(struct blockfs *b, struct inode *i, uint64_t off, bool hole);

/* The target of a symbolic link, cut off if it is as long as no path can be. */
int file_target(struct blockfs *b, struct inode *i, char target[PATH_MAX]);

/* ---- blockfs_xattr.c ------------------------------------------------------ */

struct text;

/* @ret_value: for ext2fs_free_mem(), also when it fails; -ENODATA. */
int xattr_get(struct blockfs *b, uint32_t ino, const char *name, void **ret_value, size_t *ret_len);

/* Their names, a NUL after each, added to @names. */
int xattr_list(struct blockfs *b, uint32_t ino, struct text *names);

/* @flags: XATTR_CREATE, XATTR_REPLACE. Copies of the inode are outdated then. */
int xattr_set(struct blockfs *b, uint32_t ino, const char *name, const void *value, size_t size, int flags);
int xattr_remove(struct blockfs *b, uint32_t ino, const char *name);

/* ---- blockfs_acl.c -------------------------------------------------------- */

enum acl_type { ACL_ACCESS, ACL_DEFAULT };
struct acl;

/* Of the attribute of this name, or -1. */
int acl_type(const char *name);

/* In the host's form. @ret_value: as of xattr_get(). -EINVAL: it is damaged. */
int acl_get(struct blockfs *b, uint32_t ino, enum acl_type type, void **ret_value, size_t *ret_len);

/* In the host's form; the mode follows that of access. -EINVAL: it is none.
 * @keep_sgid: the set-group-ID bit stays. Copies of the inode are outdated then. */
int acl_set(struct blockfs *b, uint32_t ino, enum acl_type type, const void *value, size_t len, bool keep_sgid);
int acl_remove(struct blockfs *b, uint32_t ino, enum acl_type type);

/* The inode will have this mode: its list follows. */
int acl_chmod(struct blockfs *b, uint32_t ino, mode_t mode);

/* What is made in @dir gets a list, to be freed and for acl_give(), or (NULL) a mode that
 * the umask cuts. */
int acl_inherit(struct blockfs *b, uint32_t dir, struct new_inode *n, struct acl **ret);
int acl_give(struct blockfs *b, uint32_t ino, struct acl *a);

/* ---- FUSE ----------------------------------------------------------------- */

struct fuse_lowlevel_ops;
void blockfs_fuse_dir_ops(struct fuse_lowlevel_ops *ops);
void blockfs_fuse_xattr_ops(struct fuse_lowlevel_ops *ops);
void blockfs_fuse_ops(struct fuse_lowlevel_ops *ops);

#endif
