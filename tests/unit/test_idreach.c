/* SPDX-License-Identifier: Apache-2.0 */
/* test_idreach.c - what is remembered of directories that may be searched, and forgotten */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "kernel/ids/idreach.h"
#include "kernel/util.h"

static struct idreach reach;
static const struct idcred cred = { .ngroups = 0 };
static const struct stat root = { .st_dev = 1, .st_ino = 2 };

static uint64_t key_of(const char *path)
{
	return idreach_key(idreach_now(&reach), &cred, &root, path, strlen(path));
}

static int make_reach(void **state)
{
	memset(&reach, 0, sizeof(reach));
	return 0;
}

static void test_what_it_is_true_of(void **state)
{
	struct idcred other = cred;
	struct stat elsewhere = root;
	uint64_t key = key_of("/a/b");

	other.uid[0] = 1000;
	elsewhere.st_ino++;
	assert_true(key == key_of("/a/b"));
	assert_true(key != key_of("/a/c"));
	assert_true(key != idreach_key(idreach_now(&reach), &other, &root, "/a/b", 4));
	assert_true(key != idreach_key(idreach_now(&reach), &cred, &elsewhere, "/a/b", 4));
	assert_true(key == idreach_key(idreach_now(&reach), &cred, &root, "/a/b/c", 4));
}

static void test_all_is_forgotten(void **state)
{
	uint64_t key = key_of("/a/b");

	assert_false(idreach_has(&reach, 0));
	assert_false(idreach_has(&reach, key));
	/* It holds for some time only: asked at once, and again should we have been away. */
	do
		idreach_put(&reach, key);
	while (!idreach_has(&reach, key));
	idreach_forget(&reach);
	assert_false(idreach_has(&reach, key_of("/a/b")));
	/* A walk that began before ends now. */
	idreach_put(&reach, key);
	assert_false(idreach_has(&reach, key_of("/a/b")));
}

#define TURNS 5000

struct writer {
	uint64_t key;
	_Atomic bool *stop;
};

static void *put_always(void *arg)
{
	const struct writer *w = arg;

	while (!*w->stop)
		idreach_put(&reach, w->key);
	return NULL;
}

/* The slot is another's, too, who puts something newer at the same time: what was true
 * before is not believed for the other's sake. */
static void test_two_write_one_slot(void **state)
{
	_Atomic bool stop = false;
	struct writer old = { key_of("/a"), &stop }, new = { 0, &stop };
	pthread_t thread[2];
	char path[32];
	uint64_t now;
	bool had = false;

	idreach_forget(&reach);
	for (unsigned i = 0; !new.key || new.key % IDREACH_SLOTS != old.key % IDREACH_SLOTS; i++) {
		snprintf(path, sizeof(path), "/%u", i);
		new.key = key_of(path);
	}
	now = key_of("/a");
	assert_int_equal(pthread_create(&thread[0], NULL, put_always, &old), 0);
	assert_int_equal(pthread_create(&thread[1], NULL, put_always, &new), 0);
	for (unsigned i = 0; i < TURNS; i++)
		had |= idreach_has(&reach, now);
	stop = true;
	for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_join(thread[i], NULL);
	assert_false(had);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_what_it_is_true_of, make_reach),
		cmocka_unit_test_setup(test_all_is_forgotten, make_reach),
		cmocka_unit_test_setup(test_two_write_one_slot, make_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
