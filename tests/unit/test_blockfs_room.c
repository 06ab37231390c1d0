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

static const char *const without_attributes[] = { "-t", "ext4", "-b", "1024", "-O", "^ext_attr", NULL };

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
		cmocka_unit_test(test_no_attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
