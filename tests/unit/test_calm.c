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

/* In a rest: half a percent of the time is what it may cost. */
static void test_for_good(void **state)
{
	struct calm_sample a = { .ns = 7, .calls = 50, .last_pid = 500, .switches = 1000000 }, b = a;

	b.ns += 100 * MS;
	assert_true(calm_for_good(&a, &b, 2));
	b.switches += 400;
	b.last_pid += 5;
	assert_true(calm_for_good(&a, &b, 2));
	b.switches += 200;
	assert_false(calm_for_good(&a, &b, 2));
	b.switches = a.switches;
	b.calls += 1000;
	assert_false(calm_for_good(&a, &b, 2));
	b.calls = a.calls;
	assert_true(calm_for_good(&a, &b, 2));
	assert_false(calm_for_good(&a, &b, 64));
	/* On a host that forks all the time: what the guest has not run it has not forked. */
	a.run_ns = 5000 * MS;
	b.run_ns = a.run_ns;
	b.last_pid += 1000;
	assert_true(calm_for_good(&a, &b, 64));
	b.run_ns += 50 * MS;
	assert_false(calm_for_good(&a, &b, 64));
	/* Of no time at all nothing can be said. */
	assert_false(calm_for_good(&a, &a, 2));
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
		cmocka_unit_test(test_unknown), cmocka_unit_test(test_for_good),
		cmocka_unit_test(test_short_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
