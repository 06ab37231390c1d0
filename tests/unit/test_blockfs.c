/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_blockfs.c - ext2, ext3 and ext4 on a disk: links, files, transfers
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
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "blockfs_disk.h"
#include "kernel/util.h"

#define SIZE (16u << 20)

static const struct new_inode a_dir = { .mode = S_IFDIR | 0755 };

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
	struct blockfs *b = make(&d, SIZE, with_extents);
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
	struct blockfs *b = make(&d, SIZE, with_extents);
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
	struct blockfs *b = make(&d, SIZE, with_extents);
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
	struct blockfs *b = make(&d, SIZE, with_extents);
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
	struct blockfs *b = make(&d, SIZE, with_extents);
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

/* It takes it the second time: nobody notices. */
static void test_transfer_once_more(void **state)
{
	int sealed = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct memory_disk d;
	struct blockfs *b = make(&d, SIZE, with_extents);
	uint32_t ino = create(b, "a", &a_file);
	char data[1024] = "x", *got;
	struct inode i;

	assert_int_equal(ftruncate(sealed, SIZE), 0);
	assert_int_equal(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(inode_read(b, ino, &i), 0);
	b->data.fd = sealed;
	assert_int_equal(file_write(b, &i, 0, data, sizeof(data)), sizeof(data));
	b->data.fd = d.fd;
	assert_int_equal(inode_write(b, &i), 0);
	assert_int_equal(blockfs_commit(b), 0);
	assert_int_equal(file_read(b, &i, 0, sizeof(data), &got), sizeof(data));
	assert_memory_equal(got, data, sizeof(data));
	assert_int_equal(blockfs_close(b), 0);
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
		cmocka_unit_test(test_too_many_links),
		cmocka_unit_test(test_uncounted_links),
		cmocka_unit_test(test_failed_write_to_reserved),
		cmocka_unit_test(test_seek_in_sparse_file),
		cmocka_unit_test(test_read_ahead),
		cmocka_unit_test(test_failed_transfer),
		cmocka_unit_test(test_transfer_once_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
