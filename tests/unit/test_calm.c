/* SPDX-License-Identifier: Apache-2.0 */
/* test_calm.c - when a guest is looked at for the first time */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "kernel/sched/calm.h"
#include "kernel/util.h"

#define MS UINT64_C(1000000)

static const struct calm_sample start = { .ns = 100 * MS, .calls = 7, .last_pid = 500 };

/* One step, @ms after the start, in which so much has happened. */
static bool calm(unsigned ms, unsigned calls, int forks, unsigned cpus)
{
	struct calm_sample a = start, b;

	a.ns += ms * MS;
	b = a;
	b.ns += CALM_STEP_NS;
	b.calls += calls;
	b.last_pid += forks;
	return calm_between(&start, &a, &b, cpus);
}

static void test_quiet(void **state)
{
	assert_true(calm(0, 0, 0, 2));
	assert_true(calm(0, 10, 3, 2));
}

static void test_calls(void **state)
{
	/* A call that stops takes 5 us: one after the other for 10 ms. */
	assert_false(calm(0, 2000, 0, 2));
	assert_false(calm(0, 100, 0, 1));
}

static void test_forks(void **state)
{
	assert_false(calm(0, 0, 100, 2));
	/* Each has an event for each CPU. */
	assert_true(calm(0, 0, 8, 2));
	assert_false(calm(0, 0, 8, 64));
}

static void test_latest(void **state)
{
	assert_false(calm(40, 2000, 100, 2));
	assert_true(calm(CALM_LATEST_NS / MS, 2000, 100, 2));
}

static void test_unknown(void **state)
{
	struct calm_sample a = start, b = start;

	b.ns += CALM_STEP_NS;
	/* The numbers have begun anew, or cannot be read. */
	b.last_pid = 301;
	assert_true(calm_between(&start, &a, &b, 2));
	b.last_pid = 0;
	assert_true(calm_between(&start, &a, &b, 2));
	assert_false(calm_between(&start, &b, &b, 2));
}

static void test_short_step(void **state)
{
	struct calm_sample b = start;

	b.ns += CALM_STEP_NS / 10;
	assert_false(calm_between(&start, &start, &b, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quiet),	cmocka_unit_test(test_calls),
		cmocka_unit_test(test_forks),	cmocka_unit_test(test_latest),
		cmocka_unit_test(test_unknown), cmocka_unit_test(test_short_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
