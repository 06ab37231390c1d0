/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_blockfs_journal.c - the journal of a file system on a disk, written and replayed
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "blockfs_disk.h"
#include "drivers/blockfs_jbd2.h"

#define SIZE (16u << 20)

static const struct new_inode a_dir = { .mode = S_IFDIR | 0755 };

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
	struct blockfs *b = make(&d, SIZE, with_extents);
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
	struct blockfs *b = make(&d, SIZE, with_extents);
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
	struct blockfs *b = make(&d, SIZE, with_extents);
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

/* A block that no file has, and what is in it. */
enum { FREE = 15000, OTHER };

static char first_byte(int disk, unsigned nr)
{
	char byte;

	assert_int_equal(pread(disk, &byte, 1, (off_t)nr * 1024), 1);
	return byte;
}

static void journal_byte(struct blockfs *b, unsigned nr, char byte)
{
	int ret;
	struct block *k = block_get(&b->cache, nr, &ret);

	assert_non_null(k);
	memset(k->data, byte, 1024);
	assert_int_equal(journal_write(b, &k, 1), 0);
	block_forget(&b->cache, nr);
}

/* A revoke block for @nr, in the transaction @seq. */
static void journal_revoke(struct blockfs *b, uint32_t at, uint32_t seq, unsigned nr, bool good)
{
	const struct journal *j = &b->journal;
	char buf[1024] = "";

	put_be32(buf, JOURNAL_MAGIC);
	put_be32(buf + 4, J_REVOKE);
	put_be32(buf + 8, seq);
	put_be32(buf + 12, 16 + (j->incompat & J_64BIT ? 8 : 4));
	put_be32(buf + 16 + (j->incompat & J_64BIT ? 4 : 0), nr);
	put_be32(buf + j->size - 4, crc32c(j->seed, buf, j->size) ^ !good);
	assert_int_equal(journal_write_at(b, at, buf), 0);
}

/* One transaction writes a block, the next revokes that and writes another one. */
static void replay_revoked(bool good, char in_free, char in_other)
{
	struct memory_disk d;
	struct blockfs *b = make(&d, SIZE, with_extents);
	struct journal *j = &b->journal;
	char buf[1024];
	uint32_t seq, half = (j->n - j->first) / 2;

	assert_true(has_csum(j));
	j->seq += j->seq & 1;
	seq = j->seq;
	journal_byte(b, FREE, 'a');
	journal_byte(b, OTHER, 'b');
	/* Ours lie in halves of their own; these follow each other. */
	for (unsigned k = 0; k < 3; k++) {
		assert_int_equal(journal_read_at(b, j->first + half + k, buf), 0);
		assert_int_equal(journal_write_at(b, j->first + 4 + k, buf), 0);
	}
	journal_revoke(b, j->first + 3, seq + 1, FREE, good);
	j->seq = seq;
	assert_int_equal(journal_mark(b, false), 0);
	crash(b);
	b = open_disk(d.fd);
	assert_int_equal(first_byte(d.fd, FREE), in_free);
	assert_int_equal(first_byte(d.fd, OTHER), in_other);
	crash(b);
	memory_disk_free(&d);
}

/* If it cannot be told what a transaction revokes, the journal ends before it. */
static void test_revoked(void **state)
{
	replay_revoked(true, 0, 'b');
	replay_revoked(false, 'a', 0);
}

/* Without checksums nobody knows what of such a journal reached the disk. */
static void replay_async(bool empty, int answer)
{
	struct memory_disk d;
	struct blockfs *b = make(&d, SIZE, with_extents);
	struct j_super *s = b->journal.super;

	assert_int_equal(journal_mark(b, empty), 0);
	s->incompat = htobe32(J_ASYNC);
	assert_int_equal(journal_write_at(b, 0, s), 0);
	crash(b);
	assert_int_equal(try_open(d.fd, &b), answer);
	if (answer == 0) {
		assert_int_equal(blockfs_close(b), 0);
		check(d.fd);
	}
	memory_disk_free(&d);
}

static void test_async_journal(void **state)
{
	replay_async(false, -EUCLEAN);
	replay_async(true, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_torn_commit),
		cmocka_unit_test(test_commit_beyond_journal),
		cmocka_unit_test(test_replayed_super),
		cmocka_unit_test(test_revoked),
		cmocka_unit_test(test_async_journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
