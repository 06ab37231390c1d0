/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_blockfs_room.c - a disk that is full but for what was freed a moment ago
 *
 * Blocks that were freed can be had again after a commit; and attributes where there is
 * no room for them at all.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "blockfs_disk.h"
#include "kernel/machine/text.h"

#define SIZE (4u << 20)
#define BLOCK 1024u
#define STEP 40u		/* blocks that are free, and as many that were freed */

static const char *const without_extents[] = { "-t", "ext3", "-b", "1024", "-J", "size=1", NULL };
static const char *const without_attributes[] = { "-t", "ext4", "-b", "1024", "-O", "^ext_attr", NULL };

static void read_inode(struct blockfs *b, uint32_t ino, struct inode *i)
{
	assert_int_equal(inode_read(b, ino, i), 0);
}

static void resize(struct blockfs *b, uint32_t ino, uint64_t size)
{
	struct inode i;

	read_inode(b, ino, &i);
	assert_int_equal(file_truncate(b, &i, size), 0);
}

/* A file that takes all there is; @freed blocks are given back, and not to be had yet. */
static void fill_disk(struct blockfs *b, unsigned left, unsigned freed)
{
	static char data[64 * BLOCK];
	uint32_t ino = create(b, "full", &a_file);
	uint64_t size = 0;
	struct inode i;
	ssize_t n;

	memset(data, 's', sizeof(data));
	read_inode(b, ino, &i);
	while ((n = file_write(b, &i, size, data, sizeof(data))) > 0)
		size += n;
	assert_int_equal(n, -ENOSPC);
	assert_int_equal(inode_write(b, &i), 0);
	assert_int_equal(blockfs_commit(b), 0);
	resize(b, ino, size -= left * BLOCK);
	assert_int_equal(blockfs_commit(b), 0);
	resize(b, ino, size - freed * BLOCK);
	assert_true(b->nfreed > 0);
}

/* Power fails wherever it can: of who wrote to the file there are his bytes or zeros. */
static void check_cuts(const struct memory_disk *d)
{
	for (unsigned cut = 0; cut <= d->n; cut++) {
		int fd = memory_disk_cut(d, cut, DISK_SECTOR, cut % 2 ? cut : 0);
		struct blockfs *b = open_disk(fd);
		struct inode i;
		uint32_t ino;
		ssize_t n;
		char *data;

		assert_int_equal(dir_find(b, EXT2_ROOT_INO, "a", &ino), 0);
		read_inode(b, ino, &i);
		n = file_read(b, &i, 0, BLOCKFS_MAX_IO, &data);
		assert_true(n >= 0);
		for (ssize_t k = 0; k < n; k++)
			if (data[k] != 'n' && data[k] != 0)
				fail_msg("cut %u of %u: byte %zd is another file's", cut, d->n, k);
		assert_int_equal(blockfs_close(b), 0);
		check(fd);
		close(fd);
	}
}

/* A file of @size zeros gets more than what is free, and less than that with what was freed. */
static void write_all(const char *const options[], uint64_t size)
{
	static char data[(2 * STEP - 8) * BLOCK];
	struct memory_disk d;
	struct blockfs *b = make(&d, SIZE, options);
	uint32_t ino = create(b, "a", &a_file);
	struct inode i;

	resize(b, ino, size);
	fill_disk(b, STEP, STEP);
	memory_disk_mark(&d);
	memset(data, 'n', sizeof(data));
	read_inode(b, ino, &i);
	assert_int_equal(file_write(b, &i, 0, data, sizeof(data)), sizeof(data));
	assert_int_equal(inode_write(b, &i), 0);
	assert_int_equal(blockfs_commit(b), 0);
	crash(b);
	check_cuts(&d);
	memory_disk_free(&d);
}

static void test_write(void **state)
{
	write_all(with_extents, 0);
	write_all(with_extents, 200 * BLOCK);
	write_all(without_extents, 0);
	write_all(without_extents, 200 * BLOCK);
}

static void test_reserve(void **state)
{
	struct memory_disk d;
	struct blockfs *b = make(&d, SIZE, with_extents);
	uint32_t ino = create(b, "a", &a_file);
	struct inode i;

	fill_disk(b, STEP, STEP);
	read_inode(b, ino, &i);
	assert_int_equal(file_reserve(b, &i, 0, (2 * STEP - 8) * BLOCK), 0);
	assert_int_equal(file_reserve(b, &i, 0, 3 * STEP * BLOCK), -ENOSPC);
	/* What was reserved has no bytes, and may lie behind the end. */
	assert_int_equal(inode_write(b, &i), 0);
	assert_int_equal(blockfs_close(b), 0);
	check(d.fd);
	memory_disk_free(&d);
}

static void test_attribute(void **state)
{
	static const char value[700] = "x";
	struct memory_disk d;
	struct blockfs *b = make(&d, SIZE, with_extents);
	uint32_t ino = create(b, "a", &a_file);

	fill_disk(b, 0, STEP);
	assert_int_equal(xattr_set(b, ino, "user.key", value, sizeof(value), 0), 0);
	assert_int_equal(blockfs_close(b), 0);
	check(d.fd);
	memory_disk_free(&d);
}

/* mke2fs -O ^ext_attr: files can be made and changed, as on any other. */
static void test_no_attributes(void **state)
{
	struct memory_disk d;
	struct blockfs *b = make(&d, SIZE, without_attributes);
	uint32_t ino = create(b, "a", &a_file);
	struct text names = { .buf = NULL };
	void *value = NULL;
	size_t len;

	assert_int_equal(acl_chmod(b, ino, 0600), 0);
	assert_int_equal(acl_remove(b, ino, ACL_ACCESS), 0);
	assert_int_equal(acl_get(b, ino, ACL_ACCESS, &value, &len), -ENODATA);
	assert_int_equal(xattr_get(b, ino, "user.key", &value, &len), -ENODATA);
	assert_int_equal(xattr_list(b, ino, &names), 0);
	assert_int_equal(xattr_set(b, ino, "user.key", "x", 1, 0), -EOPNOTSUPP);
	assert_int_equal(blockfs_close(b), 0);
	check(d.fd);
	memory_disk_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_attribute),
		cmocka_unit_test(test_no_attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
