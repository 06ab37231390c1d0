/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_blockfs.c - ext2, ext3 and ext4 on a disk: commits, the journal, links
 *
 * FUSE is not here: what its requests lead to is called.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/blockfs_jbd2.h"
#include "kernel/util.h"
#include "memory_disk.h"

#define SIZE (16u << 20)

/* Blocks of 1 KiB: the smallest journal has 1024 of them. */
static const char *const ext4[] = { "-t", "ext4", "-b", "1024", "-J", "size=1", "-E", "lazy_itable_init=0", NULL };

static const struct new_inode a_file = { .mode = S_IFREG | 0644 };
static const struct new_inode a_dir = { .mode = S_IFDIR | 0755 };

/* ---- disks, and what is on them -------------------------------------------- */

static int try_open(int disk, struct blockfs **ret)
{
	struct blockfs_options opt = { .type = "ext4", .disk = disk };
	struct disk_error why;

	return blockfs_open(&opt, ret, &why);
}

static struct blockfs *open_disk(int disk)
{
	struct blockfs *b = NULL;

	assert_int_equal(try_open(disk, &b), 0);
	return b;
}

static struct blockfs *make(struct memory_disk *d)
{
	if (!memory_disk_make(d, SIZE, ext4))
		skip();
	return open_disk(d->fd);
}

/* Power fails: what was not committed is lost. */
static void crash(struct blockfs *b)
{
	b->broken = true;
	blockfs_close(b);
}

static uint32_t create(struct blockfs *b, const char *name, const struct new_inode *n)
{
	uint32_t ino = 0;

	assert_int_equal(blockfs_create(b, EXT2_ROOT_INO, name, n, &ino), 0);
	return ino;
}

static bool has(struct blockfs *b, const char *name)
{
	return dir_has_not(b, EXT2_ROOT_INO, name) == -EEXIST;
}

static void check(int disk)
{
	static char text[20000];

	if (memory_disk_e2fsck(disk, "-fn", text, sizeof(text)) > 0)
		fail_msg("e2fsck: %s", text);
}

/* ---- the journal -------------------------------------------------------------- */

/* The last write of a block of the journal of this type; or 0. */
static unsigned last_of_journal(const struct memory_disk *d, uint32_t type)
{
	unsigned at = d->n;

	while (at > 0 && (d->op[at - 1].len < sizeof(struct j_header) ||
			  get_be32(d->op[at - 1].data) != JOURNAL_MAGIC ||
			  get_be32(d->op[at - 1].data + 4) != type))
		at--;
	return at;
}

/* A commit block of which a part reached the disk ends the journal, as none would. */
static void test_torn_commit(void **state)
{
	struct memory_disk d;
	struct blockfs *b = make(&d);
	unsigned at;
	char byte;
	int cut;

	create(b, "a", &a_file);
	assert_int_equal(blockfs_commit(b), 0);
	create(b, "b", &a_file);
	assert_int_equal(blockfs_commit(b), 0);
	crash(b);
	/* It, and the super block that names the transaction. */
	at = last_of_journal(&d, J_COMMIT);
	assert_in_range(at, 1, d.n - 1);
	assert_int_equal(get_be32(d.op[at].data + 4), J_SUPER_V2);
	cut = memory_disk_cut(&d, at + 1, DISK_SECTOR, 0);
	byte = d.op[at - 1].data[offsetof(struct j_commit, csum)] ^ 1;
	assert_int_equal(pwrite(cut, &byte, 1, d.op[at - 1].offset + offsetof(struct j_commit, csum)), 1);
	b = open_disk(cut);
	assert_true(has(b, "a"));
	assert_false(has(b, "b"));
	assert_int_equal(blockfs_close(b), 0);
	check(cut);
	close(cut);
	memory_disk_free(&d);
}

/* More than the journal holds: what was synced is there all the same. */
static void test_commit_beyond_journal(void **state)
{
	struct memory_disk d;
	struct blockfs *b = make(&d);
	char name[16];
	int cut;

	for (unsigned i = 0; i < 700; i++) {
		snprintf(name, sizeof(name), "d%u", i);
		create(b, name, &a_dir);
	}
	assert_true(b->cache.dirty.n > b->journal.n / 2);
	assert_int_equal(blockfs_commit(b), 0);
	/* Nothing is left to be lost. */
	assert_int_equal(d.op[d.n - 1].len, 0);
	cut = memory_disk_cut(&d, d.n, DISK_SECTOR, 7);
	crash(b);
	b = open_disk(cut);
	assert_true(has(b, "d0") && has(b, "d699"));
	assert_int_equal(blockfs_close(b), 0);
	check(cut);
	close(cut);
	memory_disk_free(&d);
}

/* A journal may hold a super block that is another than the one with which it was found. */
static void replay_super(void (*change)(struct ext2_super_block *es), int answer)
{
	struct memory_disk d;
	struct blockfs *b = make(&d);
	struct block *super;
	int ret;

	super = block_get(&b->cache, 1, &ret);
	assert_non_null(super);
	change((struct ext2_super_block *)super->data);
	ext2fs_superblock_csum_set(b->fs, (struct ext2_super_block *)super->data);
	assert_int_equal(journal_write(b, &super, 1), 0);
	crash(b);
	assert_int_equal(try_open(d.fd, &b), answer);
	memory_disk_free(&d);
}

static void larger_blocks(struct ext2_super_block *es)
{
	es->s_log_block_size = es->s_log_cluster_size = 2;
	es->s_first_data_block = 0;
}

static void more_blocks(struct ext2_super_block *es)
{
	ext2fs_blocks_count_set(es, ext2fs_blocks_count(es) + 4096);
}

static void a_feature(struct ext2_super_block *es)
{
	ext2fs_set_feature_encrypt(es);
}

static void test_replayed_super(void **state)
{
	replay_super(larger_blocks, -EUCLEAN);
	replay_super(more_blocks, -EUCLEAN);
	replay_super(a_feature, -EINVAL);
}

/* ---- links ---------------------------------------------------------------------- */

static void set_links(struct blockfs *b, uint32_t ino, unsigned n)
{
	struct inode i;

	assert_int_equal(inode_read(b, ino, &i), 0);
	i.raw.i_links_count = n;
	assert_int_equal(inode_write(b, &i), 0);
}

static unsigned links(struct blockfs *b, uint32_t ino)
{
	struct inode i;

	assert_int_equal(inode_read(b, ino, &i), 0);
	return i.raw.i_links_count;
}

/* A directory that has as many as can be counted gets none by a move either. */
static void test_too_many_links(void **state)
{
	const unsigned root = EXT2_ROOT_INO;
	struct memory_disk d;
	struct blockfs *b = make(&d);
	uint32_t full = create(b, "full", &a_dir), other = create(b, "other", &a_dir), in, ino;

	assert_int_equal(blockfs_create(b, full, "in", &a_dir, &in), 0);
	assert_int_equal(blockfs_create(b, full, "file", &a_file, &ino), 0);
	set_links(b, full, MAX_LINKS);
	assert_int_equal(blockfs_create(b, full, "new", &a_dir, &ino), -EMLINK);
	assert_int_equal(link_rename(b, root, "other", full, "new", 0), -EMLINK);
	assert_int_equal(link_rename(b, root, "other", full, "file", RENAME_EXCHANGE), -EMLINK);
	assert_int_equal(link_rename(b, full, "file", root, "other", RENAME_EXCHANGE), -EMLINK);
	/* These take as many as they bring. */
	assert_int_equal(link_rename(b, full, "in", full, "still", 0), 0);
	assert_int_equal(link_rename(b, root, "other", full, "still", RENAME_EXCHANGE), 0);
	assert_int_equal(links(b, full), MAX_LINKS);
	assert_int_equal(links(b, other), 2);
	set_links(b, full, 3);
	assert_int_equal(blockfs_close(b), 0);
	check(d.fd);
	memory_disk_free(&d);
}

/* One link: more than can be counted (feature dir_nlink). It stays so. */
static void test_uncounted_links(void **state)
{
	struct memory_disk d;
	struct blockfs *b = make(&d);
	uint32_t many = create(b, "many", &a_dir), ino;

	set_links(b, many, 1);
	assert_int_equal(blockfs_create(b, many, "in", &a_dir, &ino), 0);
	assert_int_equal(links(b, many), 1);
	assert_int_equal(link_remove(b, many, "in", true), 0);
	assert_int_equal(links(b, many), 1);
	crash(b);
	memory_disk_free(&d);
}

/* ---- files ------------------------------------------------------------------------ */

/* Writing to reserved blocks that fails leaves nothing behind in memory. */
static void test_failed_write_to_reserved(void **state)
{
	struct memory_disk d;
	struct blockfs *b = make(&d);
	uint32_t ino = create(b, "a", &a_file);
	char data[1024] = "x";
	struct inode i;
	size_t before;

	assert_int_equal(inode_read(b, ino, &i), 0);
	assert_int_equal(file_reserve(b, &i, 0, 64 * 1024), 0);
	b->fs->flags &= ~EXT2_FLAG_RW;
	/* The buffers that writing takes are there from then on. */
	for (unsigned k = 0; k < 2 * DATA_TRANSFERS; k++)
		assert_true(file_write(b, &i, 8 * 1024, data, sizeof(data)) < 0);
	memory_disk_mark(&d);
	before = mallinfo2().uordblks;
	for (unsigned k = 0; k < 100; k++)
		assert_true(file_write(b, &i, 8 * 1024, data, sizeof(data)) < 0);
	memory_disk_mark(&d);
	assert_true(mallinfo2().uordblks < before + 4096);
	b->fs->flags |= EXT2_FLAG_RW;
	assert_int_equal(blockfs_close(b), 0);
	check(d.fd);
	memory_disk_free(&d);
}

/* What was read ahead is not what is there once somebody has written. */
static void test_read_ahead(void **state)
{
	enum { PART = 64 * 1024, PARTS = 8 };
	static char data[PART];
	struct memory_disk d;
	struct blockfs *b = make(&d);
	uint32_t ino = create(b, "a", &a_file);
	unsigned ahead = 0;
	struct inode i;
	char *got;

	assert_int_equal(inode_read(b, ino, &i), 0);
	for (unsigned k = 0; k < PARTS; k++) {
		memset(data, 'a' + k, PART);
		assert_int_equal(file_write(b, &i, k * PART, data, PART), PART);
	}
	assert_int_equal(inode_write(b, &i), 0);
	for (unsigned k = 0; k < PARTS; k++) {
		/* The third part is another one by then. */
		if (k == 2) {
			for (unsigned t = 0; t < DATA_TRANSFERS; t++)
				ahead += b->data.transfer[t].state == TRANSFER_READ ||
					 b->data.transfer[t].state == TRANSFER_READING;
			memset(data, 'z', PART);
			assert_int_equal(file_write(b, &i, k * PART, data, PART), PART);
		}
		assert_int_equal(file_read(b, &i, k * PART, PART, &got), PART);
		memset(data, k == 2 ? 'z' : 'a' + (int)k, PART);
		assert_memory_equal(got, data, PART);
	}
	assert_int_equal(ahead, 1);
	assert_int_equal(blockfs_close(b), 0);
	check(d.fd);
	memory_disk_free(&d);
}

/* A disk that does not take what a writer was told is written: the commit says so. */
static void test_failed_transfer(void **state)
{
	int sealed = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct memory_disk d;
	struct blockfs *b = make(&d);
	uint32_t ino = create(b, "a", &a_file);
	char data[1024] = "x";
	struct inode i;

	assert_int_equal(ftruncate(sealed, SIZE), 0);
	assert_int_equal(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(blockfs_commit(b), 0);
	assert_int_equal(inode_read(b, ino, &i), 0);
	b->data.fd = sealed;
	assert_int_equal(file_write(b, &i, 0, data, sizeof(data)), sizeof(data));
	assert_int_equal(blockfs_commit(b), -EIO);
	assert_true(b->broken);
	blockfs_close(b);
	check(d.fd);
	close(sealed);
	memory_disk_free(&d);
}

/* Sought in without looking at each of its blocks, which are a thousand million. */
static void test_seek_in_sparse_file(void **state)
{
	static const char *const ext3[] = { "-t", "ext3", "-b", "1024", "-J", "size=1", NULL };
	const uint64_t near = 300 * 1024, far = UINT64_C(15) << 30, places[] = { 0, 5 * 1024, near, far };
	struct memory_disk d;
	struct blockfs *b;
	char data[1024] = "x";
	struct inode i;
	uint32_t ino;

	if (!memory_disk_make(&d, SIZE, ext3))
		skip();
	b = open_disk(d.fd);
	ino = create(b, "a", &a_file);
	assert_int_equal(inode_read(b, ino, &i), 0);
	for (size_t k = 0; k < ARRAY_SIZE(places); k++)
		assert_int_equal(file_write(b, &i, places[k], data, sizeof(data)), sizeof(data));
	assert_int_equal(inode_write(b, &i), 0);
	assert_int_equal(file_seek(b, &i, 0, true), 1024);
	assert_int_equal(file_seek(b, &i, 1024, false), 5 * 1024);
	assert_int_equal(file_seek(b, &i, 6 * 1024, false), near);
	assert_int_equal(file_seek(b, &i, near, true), near + 1024);
	assert_int_equal(file_seek(b, &i, near + 1024, false), far);
	assert_int_equal(file_seek(b, &i, far + 1024, true), -ENXIO);
	assert_int_equal(blockfs_close(b), 0);
	check(d.fd);
	memory_disk_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_torn_commit),
		cmocka_unit_test(test_commit_beyond_journal),
		cmocka_unit_test(test_replayed_super),
		cmocka_unit_test(test_too_many_links),
		cmocka_unit_test(test_uncounted_links),
		cmocka_unit_test(test_failed_write_to_reserved),
		cmocka_unit_test(test_seek_in_sparse_file),
		cmocka_unit_test(test_read_ahead),
		cmocka_unit_test(test_failed_transfer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
