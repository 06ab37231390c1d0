/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_share.c - how a budget of memory is divided
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/util.h"
#include "mmu/share.h"

#define MIB (UINT64_C(1) << 20)

/* Numbers in MiB; it is at its limit. */
static struct share guest(unsigned weight, bool idle, unsigned least, unsigned used)
{
	return (struct share){
		.weight = weight, .idle = idle, .least = least * MIB, .most = 1024 * MIB,
		.used = used * MIB, .limit = used * MIB,
	};
}

static unsigned mib(const struct share *s)
{
	return s->target / MIB;
}

static void the_busy_have_it_by_weight(void **state)
{
	struct share v[] = { guest(100, false, 40, 500), guest(300, false, 40, 500) };

	assert_int_equal(share_divide(v, 2, 840 * MIB), 0);
	assert_int_equal(mib(&v[0]), 40 + 190);
	assert_int_equal(mib(&v[1]), 40 + 570);
}

static void the_idle_give_first(void **state)
{
	struct share v[] = { guest(100, true, 100, 500), guest(100, false, 40, 500) };

	assert_int_equal(share_divide(v, 2, 1000 * MIB), 0);
	assert_int_equal(mib(&v[0]), 100);
	assert_int_equal(mib(&v[1]), 900);
}

/* Who is busy and not at its limit is content with some room. */
static void the_idle_keep_what_nobody_wants(void **state)
{
	struct share v[] = { guest(100, true, 100, 500), guest(100, false, 40, 100) };

	v[1].limit = 500 * MIB;
	assert_int_equal(share_divide(v, 2, 1000 * MIB), 0);
	assert_int_equal(mib(&v[0]), 500 + 125);
	assert_int_equal(mib(&v[1]), 1000 - 625);
}

static void nobody_has_more_than_its_policy_says(void **state)
{
	struct share v[] = { guest(100, false, 40, 200), guest(100, false, 40, 200), guest(1, true, 40, 200) };

	v[0].most = 200 * MIB;
	assert_int_equal(share_divide(v, 3, 4096 * MIB), 0);
	assert_int_equal(mib(&v[0]), 200);
	assert_int_equal(mib(&v[1]), 1024);
	assert_int_equal(mib(&v[2]), 1024);
}

static void what_cannot_be_taken_is_not(void **state)
{
	struct share v[] = { guest(100, true, 600, 700), guest(10000, false, 500, 700) };

	assert_int_equal(share_divide(v, 2, 1000 * MIB), 100 * MIB);
	assert_int_equal(mib(&v[0]), 600);
	assert_int_equal(mib(&v[1]), 500);
}

/* Whatever the guests are: the budget holds, and each is between its bounds. */
static void the_budget_holds(void **state)
{
	srandom(7);
	for (int round = 0; round < 20000; round++) {
		uint64_t budget = (uint64_t)random() << 4, sum = 0, most = 0, missing;
		struct share v[8];
		unsigned n = random() % (ARRAY_SIZE(v) + 1);

		for (unsigned i = 0; i < n; i++) {
			v[i] = guest(1 + random() % 10000, random() % 2, random() % 100, random() % 2000);
			v[i].most = (random() % 3000) * MIB;
			v[i].limit = (random() % 3000) * MIB;
			most += v[i].most;
		}
		missing = share_divide(v, n, budget);
		for (unsigned i = 0; i < n; i++) {
			assert_true(v[i].target >= MIN(v[i].least, v[i].most) && v[i].target <= v[i].most);
			sum += v[i].target;
		}
		assert_true(sum <= budget + missing);
		/* Nothing but the rests of divisions is kept back. */
		assert_true(sum + n * 4 >= MIN(budget + missing, most));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_busy_have_it_by_weight),
		cmocka_unit_test(the_idle_give_first),
		cmocka_unit_test(the_idle_keep_what_nobody_wants),
		cmocka_unit_test(nobody_has_more_than_its_policy_says),
		cmocka_unit_test(what_cannot_be_taken_is_not),
		cmocka_unit_test(the_budget_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
