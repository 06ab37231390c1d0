/* SPDX-License-Identifier: Apache-2.0 */
/* test_image_guess.c - where the vDSO of a fresh image may be, and what a wrong guess does */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/util.h"
#include "passthrough/embedded.h"
#include "passthrough/image.h"

#define PAGE UINT64_C(4096)
#define IP (UINT64_C(0x7f00deadb000) + 0xc47)

extern const struct embedded_file vdso_files[];

static struct image_guess g;

static int setup(void **state)
{
	g = (struct image_guess){ 0 };
	return 0;
}

static void test_twice_the_same(void **state)
{
	image_guess_learn(&g, IP, IP - 0xc47 - 5 * PAGE);
	assert_int_equal(image_guess(&g, IP), 0);
	image_guess_learn(&g, IP + 77 * PAGE, IP - 0xc47 + 72 * PAGE);
	assert_int_equal(image_guess(&g, IP + 3 * PAGE), IP - 0xc47 - 2 * PAGE);
	assert_int_equal(image_guess(&g, IP - 1234 * PAGE), IP - 0xc47 - 1239 * PAGE);
}

static void test_never_the_same(void **state)
{
	for (unsigned i = 0; i < 1000; i++) {
		image_guess_learn(&g, IP, IP - 0xc47 - i * PAGE);
		assert_int_equal(image_guess(&g, IP), 0);
	}
}

static void test_wrong_once(void **state)
{
	for (int i = 0; i < 10; i++)
		image_guess_learn(&g, IP, IP - 0xc47 - PAGE);
	assert_int_not_equal(image_guess(&g, IP), 0);
	image_guess_learn(&g, IP, 0);
	assert_int_equal(image_guess(&g, IP), 0);
	image_guess_learn(&g, IP, IP - 0xc47 - PAGE);
	assert_int_equal(image_guess(&g, IP), 0);
	image_guess_learn(&g, IP, IP - 0xc47 - PAGE);
	assert_int_not_equal(image_guess(&g, IP), 0);
}

/* Whatever else shares an entry: a page's address or none. */
static void test_no_page(void **state)
{
	for (uint64_t ip = IP; ip < IP + 64; ip++) {
		image_guess_learn(&g, ip, IP - 0xc47 - PAGE);
		image_guess_learn(&g, ip, IP - 0xc47 - PAGE);
		for (uint64_t other = 0; other < PAGE; other++)
			assert_int_equal(image_guess(&g, IP - 0xc47 + other) % PAGE, 0);
	}
}

/* ---- a task's vDSO, by guesses ------------------------------------------- */

static bool valid(const void *ctx)
{
	return *(const bool *)ctx;
}

/* As image_change() of a child that waits; the guess before it is @off from the truth. */
static int change_child(const struct image *im, int64_t off, bool waits, uint64_t *ret_base)
{
	const void *own;
	struct image_caller who = { .ip = IP, .guess = &g, .valid = valid, .ctx = &waits };
	int ret;

	assert_true(image_own(&own) > 0);
	for (int i = 0; i < 2; i++)
		image_guess_learn(&g, IP, (uintptr_t)own + off);
	who.tid = fork();
	assert_true(who.tid >= 0);
	if (who.tid == 0) {
		pause();
		_exit(0);
	}
	ret = image_change(im, &who, ret_base);
	if (ret == 1)
		assert_int_equal(image_change(im, &who, ret_base), 0);
	kill(who.tid, SIGKILL);
	waitpid(who.tid, NULL, 0);
	return ret;
}

static void prepare(struct image *im)
{
	const char *why;
	const void *own;
	ssize_t size = image_own(&own);

	assert_true(size > 0);
	assert_int_equal(image_prepare(im, IMAGE_READS, own, size, vdso_files[0].data,
				       vdso_files[0].size, &why), 0);
}

static void test_wrong_guesses_do_no_harm(void **state)
{
	static const int64_t off[] = { 0, 4096, -4096, 1 << 20, -(INT64_C(1) << 40), INT64_C(1) << 46 };
	const void *own;
	struct image im;
	uint64_t base;

	prepare(&im);
	image_own(&own);
	for (size_t i = 0; i < ARRAY_SIZE(off); i++) {
		setup(NULL);
		assert_int_equal(change_child(&im, off[i], true, &base), 1);
		assert_int_equal(base, (uintptr_t)own);
	}
	image_free(&im);
}

/* Who does not wait any more may be somebody else by now. */
static void test_nobody_waits(void **state)
{
	struct image im;
	uint64_t base;

	prepare(&im);
	assert_int_equal(change_child(&im, 0, false, &base), -ESRCH);
	assert_int_equal(change_child(&im, 4096, false, &base), -ESRCH);
	image_free(&im);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_twice_the_same),	     TEST(test_never_the_same),
		TEST(test_wrong_once),		     TEST(test_no_page),
		TEST(test_wrong_guesses_do_no_harm), TEST(test_nobody_waits),
	};

	return cmocka_run_group_tests_name("image_guess", tests, NULL, NULL);
}
