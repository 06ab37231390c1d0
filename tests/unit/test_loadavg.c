/* SPDX-License-Identifier: Apache-2.0 */
/* test_loadavg.c - the load averages, beside the kernel's own arithmetic */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "kernel/sched/loadavg.h"

#define SECOND UINT64_C(1000000000)

/* kernel/sched/loadavg.c: 11 bits behind the point, a sample every 5 s. */
#define FIXED_1 2048ul
static const unsigned long exp_n[3] = { 1884, 2014, 2037 };

static unsigned long calc_load(unsigned long load, unsigned long exp, unsigned long active)
{
	unsigned long newload = load * exp + active * (FIXED_1 - exp);

	if (active >= load)
		newload += FIXED_1 - 1;
	return newload / FIXED_1;
}

/* The kernel's arithmetic rounds: by 0.02 of what is shown for each task of the load. */
static void compare(const struct loadavg *la, const unsigned long *kernel, double per)
{
	for (int i = 0; i < 3; i++)
		assert_true(fabs(la->avg[i] - (double)kernel[i] / FIXED_1) < 0.02 * per + 0.02);
}

static void test_constant(void **state)
{
	unsigned long kernel[3] = {};
	struct loadavg la;

	loadavg_init(&la, 7);
	for (uint64_t s = 1; s <= 1800; s++) {
		loadavg_advance(&la, 3, 7 + s * SECOND);
		if (s % 5)
			continue;
		for (int i = 0; i < 3; i++)
			kernel[i] = calc_load(kernel[i], exp_n[i], 3 * FIXED_1);
		compare(&la, kernel, 3);
	}
	assert_true(fabs(la.avg[0] - 3) < 0.001);
}

static void test_changing(void **state)
{
	unsigned long kernel[3] = {};
	struct loadavg la;
	unsigned n = 0;

	srand(1);
	loadavg_init(&la, 0);
	for (int period = 0; period < 1000; period++) {
		n = rand() % 9;
		for (int i = 0; i < 50; i++)
			loadavg_advance(&la, n, period * 5 * SECOND + (i + 1) * SECOND / 10);
		for (int i = 0; i < 3; i++)
			kernel[i] = calc_load(kernel[i], exp_n[i], n * FIXED_1);
		compare(&la, kernel, 8);
	}
}

/* Half a period counts half, whatever moment a sample would have met. */
static void test_mean_of_a_period(void **state)
{
	struct loadavg la, half;

	loadavg_init(&la, 0);
	loadavg_init(&half, 0);
	loadavg_advance(&la, 4, SECOND);
	loadavg_advance(&la, 0, 5 * SECOND);
	loadavg_advance(&half, 2, 2 * SECOND);
	loadavg_advance(&half, 0, 5 * SECOND);
	assert_true(la.avg[0] > 0.05);
	assert_true(fabs(la.avg[0] - half.avg[0]) < 1e-9);
}

/* An hour in which nobody looked is the same as one in which somebody did. */
static void test_gap(void **state)
{
	struct loadavg one, many;

	loadavg_init(&one, 0);
	loadavg_init(&many, 0);
	loadavg_advance(&one, 5, 61 * SECOND);
	loadavg_advance(&many, 5, 61 * SECOND);
	loadavg_advance(&one, 1, 3661 * SECOND + 3);
	for (uint64_t s = 62; s <= 3661; s++)
		loadavg_advance(&many, 1, s * SECOND);
	loadavg_advance(&many, 1, 3661 * SECOND + 3);
	for (int i = 0; i < 3; i++)
		assert_true(fabs(one.avg[i] - many.avg[i]) < 1e-9);
	assert_int_equal(one.start_ns, many.start_ns);
}

static void test_time_does_not_go_back(void **state)
{
	struct loadavg la, before;

	loadavg_init(&la, 0);
	loadavg_advance(&la, 2, 6 * SECOND);
	before = la;
	loadavg_advance(&la, 9, 2 * SECOND);
	assert_memory_equal(&la, &before, sizeof(la));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_constant), cmocka_unit_test(test_changing),
		cmocka_unit_test(test_mean_of_a_period), cmocka_unit_test(test_gap),
		cmocka_unit_test(test_time_does_not_go_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
