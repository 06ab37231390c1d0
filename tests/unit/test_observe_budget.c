/* SPDX-License-Identifier: Apache-2.0 */
/* test_observe_budget.c - what observing may cost, over times that no test has */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "kernel/sched/observe_budget.h"
#include "kernel/util.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)

static struct observe_budget b;
static uint64_t now, busy, cost;

static void begin(void)
{
	now = 5 * SECOND;
	busy = cost = 0;
	observe_budget_init(&b, now);
}

/* One drain, @ms after the last: the guest ran on @cpus, and wrote @records and forked @forks. */
static void drain(unsigned ms, unsigned cpus, unsigned records, unsigned forks)
{
	uint64_t before = b.spent_ns[OBSERVE_COST_RECORDS] + b.spent_ns[OBSERVE_COST_FORKS];

	now += ms * MS;
	busy += cpus * ms * MS;
	observe_budget_earn(&b, now, busy);
	observe_budget_spend(&b, OBSERVE_COST_RECORDS, records * (uint64_t)OBSERVE_PRICE_RECORD);
	observe_budget_spend(&b, OBSERVE_COST_FORKS, forks * (uint64_t)OBSERVE_PRICE_EVENT * 2);
	cost += b.spent_ns[OBSERVE_COST_RECORDS] + b.spent_ns[OBSERVE_COST_FORKS] - before;
}

/* Time passes in which nobody observes, until there is enough again. */
static uint64_t rest(void)
{
	uint64_t ns, before;

	/* What was written until all was closed. */
	drain(1, 1, 10, 0);
	before = b.spent_ns[OBSERVE_COST_RECORDS];
	observe_budget_rest(&b);
	cost += b.spent_ns[OBSERVE_COST_RECORDS] - before;
	ns = observe_budget_wait(&b);
	now += ns;
	busy += ns;
	observe_budget_look(&b, now, busy);
	return ns;
}

static void test_calm(void **state)
{
	begin();
	/* 4,000 switches a second, and ten forks, for an hour */
	for (int i = 0; i < 3600 * 10; i++) {
		drain(100, 1, 800, 1);
		assert_false(observe_budget_is_spent(&b));
	}
	assert_int_equal(observe_budget_wait(&b), 0);
}

static void test_ping_pong(void **state)
{
	uint64_t first = now;

	begin();
	/* a round trip each 6.6 us on one CPU: 6,000 records in ten milliseconds */
	while (!observe_budget_is_spent(&b))
		drain(10, 1, 6000, 0);
	assert_true(now - first >= 10 * MS);
	assert_int_equal(observe_budget_most(&b), OBSERVE_COST_RECORDS);
	/* The second after it costs 30 ms, ten times the look itself. */
	assert_in_range(rest(), 6 * SECOND, 8 * SECOND);
}

/* Whatever it does, and however well it was before: 2 % of any ten seconds. */
static void test_ten_seconds(void **state)
{
	const unsigned records[] = { 6000, 20000, 2000, 0 }, forks[] = { 0, 0, 50, 120 };

	for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
		uint64_t end;

		begin();
		for (int k = 0; k < 600; k++)
			drain(100, 1, 0, 0);
		for (int k = 0; k < 10; k++) {
			end = now + 10 * SECOND;
			cost = 0;
			while (now < end) {
				drain(10, 1, records[i], forks[i]);
				if (observe_budget_is_spent(&b))
					rest();
			}
			assert_true(cost <= 200 * MS);
		}
	}
}

static void test_forks_are_the_reason(void **state)
{
	begin();
	/* 10,000 a second, with seven records each */
	while (!observe_budget_is_spent(&b))
		drain(10, 1, 700, 100);
	assert_int_equal(observe_budget_most(&b), OBSERVE_COST_FORKS);
	rest();
	observe_budget_spend(&b, OBSERVE_COST_ATTACH, 40 * MS);
	assert_int_equal(observe_budget_most(&b), OBSERVE_COST_ATTACH);
}

/* A guest that runs on 64 CPUs may cost 64 times as much, and rests no longer for it. */
static void test_many_cpus(void **state)
{
	begin();
	for (int i = 0; i < 1000; i++) {
		drain(10, 64, 5000, 0);
		assert_false(observe_budget_is_spent(&b));
	}
	observe_budget_spend(&b, OBSERVE_COST_RECORDS, OBSERVE_SAVED + 64 * MS);
	assert_true(observe_budget_wait(&b) < 1 * SECOND);
	begin();
	drain(10, 1, 0, 0);
	observe_budget_spend(&b, OBSERVE_COST_RECORDS, 64 * MS);
	assert_true(observe_budget_wait(&b) > 10 * SECOND);
}

static void test_who_overspent_waits_longer(void **state)
{
	uint64_t little;

	begin();
	drain(10, 1, 8000, 0);
	little = observe_budget_wait(&b);
	drain(10, 1, 80000, 0);
	assert_true(observe_budget_wait(&b) > 5 * little);
	rest();
	assert_int_equal(observe_budget_wait(&b), 0);
	assert_false(observe_budget_is_spent(&b));
}

/* Two threads may look at the clock in another order than they come here. */
static void test_time_goes_back(void **state)
{
	int64_t left;

	begin();
	drain(10, 1, 0, 0);
	left = b.left_ns;
	observe_budget_earn(&b, now - 5 * MS, busy);
	assert_int_equal(b.left_ns, left);
}

/* What was paid to attach, the next look has to pay again. */
static void test_dear_to_attach(void **state)
{
	begin();
	observe_budget_spend(&b, OBSERVE_COST_RECORDS, 2 * OBSERVE_LOOK);
	observe_budget_spend(&b, OBSERVE_COST_ATTACH, OBSERVE_LOOK);
	assert_false(observe_budget_dear_to_attach(&b));
	observe_budget_spend(&b, OBSERVE_COST_ATTACH, 1);
	assert_true(observe_budget_dear_to_attach(&b));
	observe_budget_look(&b, now, busy);
	assert_false(observe_budget_dear_to_attach(&b));
}

static void test_reasons(void **state)
{
	for (int i = 0; i < OBSERVE_NUM_COSTS; i++)
		assert_non_null(observe_cost_str[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calm),
		cmocka_unit_test(test_ping_pong),
		cmocka_unit_test(test_ten_seconds),
		cmocka_unit_test(test_forks_are_the_reason),
		cmocka_unit_test(test_many_cpus),
		cmocka_unit_test(test_who_overspent_waits_longer),
		cmocka_unit_test(test_time_goes_back),
		cmocka_unit_test(test_dear_to_attach),
		cmocka_unit_test(test_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
