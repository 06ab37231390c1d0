/* SPDX-License-Identifier: Apache-2.0 */
/* test_time.c - the model of the guest's clocks, and the discipline of one */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/time/time.h"
#include "kernel/time/timex.h"
#include "kernel/util.h"

#define SEC ((int64_t)NSEC_PER_SEC)
#define YEAR (365 * 86400 * SEC)
#define IN_2026 (INT64_C(1795500000) * SEC)

/* A host that has been up for an hour in 2026. */
static struct time_host host_at(uint64_t after)
{
	return (struct time_host){
		.realtime = IN_2026 + after,
		.monotonic = 3600 * SEC + after,
		.raw = 3600 * SEC + after,
		.boottime = 4000 * SEC + after,
	};
}

static struct policy_clock policy(enum policy_realtime how, int64_t ns, uint64_t rate)
{
	return (struct policy_clock){ .realtime = how, .ns = ns, .rate = rate };
}

static struct time_model model(enum policy_realtime how, int64_t ns, uint64_t rate)
{
	struct policy_clock p = policy(how, ns, rate);
	struct time_host h = host_at(0);
	struct time_model m;

	assert_int_equal(time_model_init(&m, &p, &h), 0);
	return m;
}

static int64_t read_at(const struct time_model *m, enum vclock which, uint64_t after)
{
	struct time_host h = host_at(after);

	return time_model_read(m, which, &h);
}

/* The other clocks, at one. */
static void assert_steady(const struct time_model *m, uint64_t after)
{
	assert_int_equal(read_at(m, VCLOCK_MONOTONIC, after), 3600 * SEC + after);
	assert_int_equal(read_at(m, VCLOCK_RAW, after), 3600 * SEC + after);
	assert_int_equal(read_at(m, VCLOCK_BOOTTIME, after), 4000 * SEC + after);
}

/* As the host's ktime_t; what wraps around would be any time, or a period of 0. */
static void test_times_beyond_all_time(void **state)
{
	static const struct {
		struct timespec ts;
		int64_t ns;
	} cases[] = {
		{ { 0, 0 }, 0 },
		{ { 1, 5 }, SEC + 5 },
		{ { -1, 5 }, -SEC + 5 },
		{ { INT64_MAX / SEC, INT64_MAX % SEC }, INT64_MAX },
		{ { INT64_MAX / SEC, 999999999 }, INT64_MAX },
		{ { INT64_MAX / SEC + 1, 0 }, INT64_MAX },
		{ { INT64_C(1) << 55, 0 }, INT64_MAX },
		{ { INT64_C(18446744074), 0 }, INT64_MAX },
		{ { INT64_MAX, 999999999 }, INT64_MAX },
		{ { INT64_MIN, 0 }, INT64_MIN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(timespec_ns(&cases[i].ts), cases[i].ns);
}

static void test_an_offset_follows_the_host(void **state)
{
	struct time_model m = model(REALTIME_OFFSET, 3 * 86400 * SEC, POLICY_RATE_ONE);
	struct time_host stepped = host_at(7);

	assert_int_equal(read_at(&m, VCLOCK_REALTIME, 7), IN_2026 + 3 * 86400 * SEC + 7);
	stepped.realtime += 100 * SEC;
	assert_int_equal(time_model_read(&m, VCLOCK_REALTIME, &stepped),
			 IN_2026 + 3 * 86400 * SEC + 100 * SEC + 7);
	assert_steady(&m, 7);
}

static void test_a_clock_that_was_set_does_not(void **state)
{
	struct time_model m = model(REALTIME_HOST, 0, POLICY_RATE_ONE);
	struct time_host h = host_at(10), stepped = host_at(10 + SEC);

	assert_int_equal(time_model_set(&m, &h, INT64_C(2147483648) * SEC), 0);
	stepped.realtime -= 1000 * SEC;
	assert_int_equal(time_model_read(&m, VCLOCK_REALTIME, &stepped), INT64_C(2147483649) * SEC);
	assert_steady(&m, 10 + SEC);
}

/* Back to the host's clock, with an offset of one's own and a negative one. */
static void test_following_again(void **state)
{
	struct time_model m = model(REALTIME_AT, 86400 * 365 * SEC, POLICY_RATE_ONE);
	struct time_host h = host_at(0);

	assert_int_equal(time_model_follow(&m, &h, -5400 * SEC - 1), 0);
	assert_int_equal(read_at(&m, VCLOCK_REALTIME, SEC), IN_2026 - 5399 * SEC - 1);
	assert_int_equal(time_model_follow(&m, &h, 0), 0);
	assert_int_equal(read_at(&m, VCLOCK_REALTIME, SEC), IN_2026 + SEC);
	h.realtime -= 50 * SEC;
	assert_int_equal(time_model_read(&m, VCLOCK_REALTIME, &h), IN_2026 - 50 * SEC);
}

static void test_what_cannot_be_set(void **state)
{
	static const int64_t bad[] = {
		-1, INT64_MIN, 0, 3600 * SEC - 1, TIME_MAX_SEC * SEC, INT64_MAX,
	};
	struct time_model m = model(REALTIME_HOST, 0, POLICY_RATE_ONE);
	struct time_host h = host_at(0);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(time_model_set(&m, &h, bad[i]), -EINVAL);
		assert_int_equal(read_at(&m, VCLOCK_REALTIME, 5), IN_2026 + 5);
	}
	assert_int_equal(time_model_follow(&m, &h, -60 * YEAR), -EINVAL);
	assert_int_equal(time_model_follow(&m, &h, INT64_MAX), -EINVAL);
	assert_int_equal(time_model_follow(&m, &h, INT64_MIN), -EINVAL);
	assert_int_equal(time_model_set(&m, &h, TIME_MAX_SEC * SEC - 1), 0);
	assert_int_equal(time_model_set(&m, &h, 3600 * SEC), 0);
}

static void test_a_policy_that_cannot_be(void **state)
{
	struct policy_clock p = policy(REALTIME_OFFSET, -70 * YEAR, POLICY_RATE_ONE);
	struct time_host h = host_at(0);
	struct time_model m;

	assert_int_equal(time_model_init(&m, &p, &h), -ERANGE);
	p = policy(REALTIME_AT, 5 * SEC, POLICY_RATE_ONE);
	assert_int_equal(time_model_init(&m, &p, &h), -ERANGE);
}

/* All clocks, to a part in 10^9 over a day. */
static void check_rate(uint64_t rate, uint64_t after)
{
	struct time_model m = model(REALTIME_HOST, 0, rate);
	int64_t want = (unsigned __int128)after * rate / POLICY_RATE_ONE;
	int64_t error = want / 1000000000 + 1;

	assert_in_range(read_at(&m, VCLOCK_REALTIME, after), IN_2026 + want - error,
			IN_2026 + want + error);
	assert_in_range(read_at(&m, VCLOCK_MONOTONIC, after), 3600 * SEC + want - error,
			3600 * SEC + want + error);
	assert_in_range(read_at(&m, VCLOCK_RAW, after), 3600 * SEC + want - error,
			3600 * SEC + want + error);
	assert_in_range(read_at(&m, VCLOCK_BOOTTIME, after), 4000 * SEC + want - error,
			4000 * SEC + want + error);
}

static void test_rates(void **state)
{
	static const uint64_t rates[] = {
		POLICY_RATE_ONE / 1000, POLICY_RATE_ONE / 10, POLICY_RATE_ONE - 1,
		POLICY_RATE_ONE, POLICY_RATE_ONE + 1, POLICY_RATE_ONE * 10, POLICY_RATE_ONE * 1000,
		1234567890,
	};

	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		check_rate(rates[i], 0);
		check_rate(rates[i], 1);
		check_rate(rates[i], 60 * SEC);
		check_rate(rates[i], 86400 * SEC);
	}
}

/* 200 years of the host's at a thousandth, and two months at a thousand. */
static void test_no_overflow(void **state)
{
	check_rate(POLICY_RATE_ONE / 1000, 200 * (uint64_t)YEAR);
	check_rate(POLICY_RATE_ONE * 1000, 60 * 86400 * (uint64_t)SEC);
}

static void test_changes_of_the_rate_are_no_jumps(void **state)
{
	static const uint64_t rates[] = { 10, 1, 0, 1000, 3, 0, 1 };
	struct time_model m = model(REALTIME_OFFSET, 86400 * SEC, POLICY_RATE_ONE);
	int64_t before[NUM_VCLOCKS];
	struct time_host h;

	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		h = host_at(i * 12345678901);
		for (int c = 0; c < NUM_VCLOCKS; c++)
			before[c] = time_model_read(&m, c, &h);
		if (rates[i])
			time_model_rate(&m, &h, rates[i] * POLICY_RATE_ONE);
		time_model_freeze(&m, &h, rates[i] == 0);
		for (int c = 0; c < NUM_VCLOCKS; c++)
			assert_int_equal(time_model_read(&m, c, &h), before[c]);
		h = host_at(i * 12345678901 + 1000);
		for (int c = 0; c < NUM_VCLOCKS; c++)
			assert_in_range(time_model_read(&m, c, &h), before[c] + 1000 * rates[i] - 1,
					before[c] + 1000 * rates[i]);
	}
}

static void test_frozen(void **state)
{
	struct time_model m = model(REALTIME_AT, INT64_C(2000000000) * SEC, 0);
	struct time_host h = host_at(100 * SEC);

	assert_int_equal(read_at(&m, VCLOCK_REALTIME, 100 * SEC), INT64_C(2000000000) * SEC);
	assert_int_equal(read_at(&m, VCLOCK_MONOTONIC, 100 * SEC), 3600 * SEC);
	assert_int_equal(time_model_set(&m, &h, INT64_C(1999999999) * SEC), 0);
	assert_int_equal(read_at(&m, VCLOCK_REALTIME, 200 * SEC), INT64_C(1999999999) * SEC);
	time_model_freeze(&m, &h, false);
	assert_int_equal(read_at(&m, VCLOCK_REALTIME, 101 * SEC), INT64_C(2000000000) * SEC);
}

/* A coarse clock of the host's is behind when the rate is changed. */
static void test_a_leap_moves_all_clocks(void **state)
{
	const uint64_t rates[] = { POLICY_RATE_ONE, 10 * POLICY_RATE_ONE, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		struct time_model m = model(REALTIME_OFFSET, 5 * SEC, rates[i]);
		struct time_host h = host_at(7 * SEC);
		int64_t before[NUM_VCLOCKS], later[NUM_VCLOCKS];

		for (int c = 0; c < NUM_VCLOCKS; c++) {
			before[c] = read_at(&m, c, 7 * SEC);
			later[c] = read_at(&m, c, 8 * SEC);
		}
		assert_int_equal(time_model_leap(&m, &h, 86400 * SEC + 1), 0);
		for (int c = 0; c < NUM_VCLOCKS; c++) {
			assert_int_equal(read_at(&m, c, 7 * SEC), before[c] + 86400 * SEC + 1);
			assert_int_equal(read_at(&m, c, 8 * SEC), later[c] + 86400 * SEC + 1);
		}
	}
}

static void test_a_leap_ends_before_time_does(void **state)
{
	struct time_model m = model(REALTIME_HOST, 0, POLICY_RATE_ONE);
	struct time_host h = host_at(0);

	assert_int_equal(time_model_leap(&m, &h, UINT64_MAX), -ERANGE);
	assert_int_equal(time_model_leap(&m, &h, TIME_MAX_SEC * SEC - IN_2026), -ERANGE);
	assert_int_equal(read_at(&m, VCLOCK_REALTIME, 0), IN_2026);
	assert_steady(&m, 0);
	assert_int_equal(time_model_leap(&m, &h, TIME_MAX_SEC * SEC - IN_2026 - 1), 0);
	assert_int_equal(read_at(&m, VCLOCK_REALTIME, 0), TIME_MAX_SEC * SEC - 1);
}

static void test_with_cpu_free_only_leaps_move(void **state)
{
	struct policy_clock p = { .rate = POLICY_RATE_ONE, .travels = true, .cpu_free = true };
	struct time_host h = host_at(0);
	struct time_model m;

	assert_int_equal(time_model_init(&m, &p, &h), 0);
	assert_int_equal(read_at(&m, VCLOCK_REALTIME, 100 * SEC), IN_2026);
	h = host_at(100 * SEC);
	assert_int_equal(time_model_leap(&m, &h, 3 * SEC), 0);
	assert_int_equal(read_at(&m, VCLOCK_REALTIME, 200 * SEC), IN_2026 + 3 * SEC);
	assert_int_equal(read_at(&m, VCLOCK_MONOTONIC, 200 * SEC), 3603 * SEC);
}

static void test_a_clock_that_is_behind_does_not_go_back(void **state)
{
	struct time_model m = model(REALTIME_HOST, 0, POLICY_RATE_ONE * 10);
	struct time_host h = host_at(SEC);
	int64_t before = time_model_read(&m, VCLOCK_MONOTONIC, &h);

	time_model_rate(&m, &h, POLICY_RATE_ONE / 10);
	assert_int_equal(read_at(&m, VCLOCK_MONOTONIC, SEC - 4000000), before);
}

static void test_tuning_moves_realtime_only(void **state)
{
	struct time_model m = model(REALTIME_HOST, 0, POLICY_RATE_ONE);
	struct time_host h = host_at(0);

	time_model_tune(&m, &h, VCLOCK_ONE / 1000);
	assert_in_range(read_at(&m, VCLOCK_REALTIME, 1000 * SEC), IN_2026 + 1001 * SEC - 2,
			IN_2026 + 1001 * SEC);
	assert_steady(&m, 1000 * SEC);
	h = host_at(1000 * SEC);
	time_model_tune(&m, &h, 0);
	assert_false(m.map[VCLOCK_REALTIME].scaled);
	assert_in_range(read_at(&m, VCLOCK_REALTIME, 2000 * SEC), IN_2026 + 2001 * SEC - 2,
			IN_2026 + 2001 * SEC);
}

/* ---- deadlines ---------------------------------------------------------- */

static int64_t deadline(const struct time_model *m, clockid_t id, int64_t ns, clockid_t want_clock)
{
	struct timespec at = { ns / SEC, ns % SEC };
	struct time_deadline d;

	assert_int_equal(time_model_to_host(m, id, &at, &d), 0);
	assert_int_equal(d.clock, want_clock);
	assert_in_range(d.at.tv_nsec, 0, SEC - 1);
	return d.never ? -1 : d.at.tv_sec * SEC + d.at.tv_nsec;
}

static void test_deadlines_of_an_offset(void **state)
{
	struct time_model m = model(REALTIME_OFFSET, 86400 * SEC, POLICY_RATE_ONE);
	struct time_host h = host_at(0);

	assert_int_equal(deadline(&m, CLOCK_REALTIME, IN_2026 + 86401 * SEC + 3, CLOCK_REALTIME),
			 IN_2026 + SEC + 3);
	assert_int_equal(deadline(&m, CLOCK_REALTIME, 5, CLOCK_REALTIME), 0);
	assert_int_equal(deadline(&m, CLOCK_MONOTONIC, 77, CLOCK_MONOTONIC), 77);
	assert_int_equal(deadline(&m, CLOCK_BOOTTIME_ALARM, 77, CLOCK_BOOTTIME), 77);
	assert_int_equal(time_model_set(&m, &h, INT64_C(2147483648) * SEC), 0);
	assert_int_equal(deadline(&m, CLOCK_REALTIME, INT64_C(2147483650) * SEC, CLOCK_MONOTONIC),
			 3602 * SEC);
}

/* Never early: what the guest reads at the host's deadline is the deadline or later. */
static void test_deadlines_of_a_rate(void **state)
{
	static const uint64_t rates[] = { 1, 3, 7, 100, 999, 1000, 10000, 1000000 };

	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		struct time_model m = model(REALTIME_HOST, 0, rates[i] * (POLICY_RATE_ONE / 1000));

		for (int64_t in = 1; in < 1000 * SEC; in = in * 3 + 1) {
			int64_t at = deadline(&m, CLOCK_MONOTONIC, 3600 * SEC + in, CLOCK_MONOTONIC);

			assert_true(read_at(&m, VCLOCK_MONOTONIC, at - 3600 * SEC) >= 3600 * SEC + in);
			assert_true(read_at(&m, VCLOCK_MONOTONIC, at - 1 - 3600 * SEC) <
				    3600 * SEC + in);
		}
	}
}

static void test_deadlines_that_never_come(void **state)
{
	struct time_model m = model(REALTIME_HOST, 0, 0);
	struct timespec far = { .tv_sec = INT64_MAX }, bad = { .tv_nsec = SEC };
	struct time_deadline d;

	assert_int_equal(deadline(&m, CLOCK_MONOTONIC, 3601 * SEC, CLOCK_MONOTONIC), -1);
	assert_int_equal(deadline(&m, CLOCK_MONOTONIC, 3600 * SEC, CLOCK_MONOTONIC), 3600 * SEC);
	m = model(REALTIME_HOST, 0, POLICY_RATE_ONE);
	assert_int_equal(time_model_to_host(&m, CLOCK_REALTIME, &far, &d), 0);
	assert_true(d.never);
	assert_int_equal(time_model_to_host(&m, CLOCK_REALTIME, &bad, &d), -EINVAL);
	assert_int_equal(time_model_to_host(&m, CLOCK_PROCESS_CPUTIME_ID, &far, &d), -EINVAL);
	assert_int_equal(time_model_to_host(&m, -1, &far, &d), -EINVAL);
}

static void test_spans(void **state)
{
	struct time_model m = model(REALTIME_HOST, 0, POLICY_RATE_ONE * 10);

	assert_int_equal(time_model_span(&m, 10 * SEC), SEC);
	assert_int_equal(time_model_span(&m, 1), 1);
	m = model(REALTIME_HOST, 0, 0);
	assert_int_equal(time_model_span(&m, 0), 0);
	assert_int_equal(time_model_span(&m, 1), UINT64_MAX);
	m = model(REALTIME_HOST, 0, POLICY_RATE_ONE / 1000);
	assert_int_equal(time_model_span(&m, UINT64_MAX), UINT64_MAX);
}

/* ---- adjtimex ----------------------------------------------------------- */

static struct timex_state fresh(void)
{
	struct timex_state s;

	timex_init(&s, 1000, 37);
	return s;
}

static void test_a_fresh_state_reads_as_a_fresh_machine(void **state)
{
	struct timex_state s = fresh();
	struct timex tx = {};

	assert_int_equal(timex_check(&tx, false), 0);
	timex_change(&s, &tx);
	timex_report(&s, 5 * SEC + 7000, &tx);
	assert_int_equal(timex_result(&s), TIME_ERROR);
	assert_int_equal(tx.status, STA_UNSYNC);
	assert_int_equal(tx.tick, 10000);
	assert_int_equal(tx.freq, 0);
	assert_int_equal(tx.tai, 37);
	assert_int_equal(tx.maxerror, 16000000);
	assert_int_equal(tx.tolerance, 32768000);
	assert_int_equal(tx.time.tv_sec, 5);
	assert_int_equal(tx.time.tv_usec, 7);
	assert_false(timex_active(&s));
	assert_int_equal(timex_tune(&s), 0);
}

static void test_who_may_ask_for_what(void **state)
{
	struct timex tx = { .modes = ADJ_FREQUENCY };

	assert_int_equal(timex_check(&tx, false), -EPERM);
	assert_int_equal(timex_check(&tx, true), 0);
	tx.modes = ADJ_OFFSET_SS_READ;
	assert_int_equal(timex_check(&tx, false), 0);
	tx.modes = ADJ_OFFSET_SINGLESHOT;
	assert_int_equal(timex_check(&tx, false), -EPERM);
	tx.modes = 0x8000;
	assert_int_equal(timex_check(&tx, true), -EINVAL);
	for (long tick = 8999; tick <= 11001; tick += 2002) {
		tx = (struct timex){ .modes = ADJ_TICK, .tick = tick };
		assert_int_equal(timex_check(&tx, true), -EINVAL);
	}
	tx = (struct timex){ .modes = ADJ_SETOFFSET, .time.tv_usec = 1000000 };
	assert_int_equal(timex_check(&tx, true), -EINVAL);
	tx.modes |= ADJ_NANO;
	assert_int_equal(timex_check(&tx, true), 0);
	tx.time.tv_usec = -1;
	assert_int_equal(timex_check(&tx, true), -EINVAL);
}

static long ppb(const struct timex_state *s)
{
	return (long)((__int128)timex_tune(s) * 1000000000 / (int64_t)VCLOCK_ONE);
}

static void test_frequency_and_tick(void **state)
{
	struct timex_state s = fresh();
	struct timex tx = { .modes = ADJ_FREQUENCY, .freq = 100L << 16 };

	timex_change(&s, &tx);
	assert_in_range(ppb(&s), 99999, 100000);
	tx.freq = LONG_MIN;
	timex_change(&s, &tx);
	assert_in_range(-ppb(&s), 499999, 500000);
	tx = (struct timex){ .modes = ADJ_TICK | ADJ_FREQUENCY, .tick = 10100 };
	timex_change(&s, &tx);
	assert_in_range(ppb(&s), 9999999, 10000000);
}

/* adjtime(3): 500 us a second, and what is left can be read. */
static void test_single_shot(void **state)
{
	struct timex_state s = fresh();
	struct timex tx = { .modes = ADJ_OFFSET_SINGLESHOT, .offset = -1200 };
	static const long left[] = { -700, -200, 0, 0 };
	static const long slew[] = { -500000, -500000, -200000, 0 };

	timex_change(&s, &tx);
	assert_int_equal(tx.offset, 0);
	assert_true(timex_active(&s));
	for (int i = 0; i < 4; i++) {
		assert_int_equal(timex_second(&s, 1001 + i), 0);
		assert_int_equal(s.slew, slew[i]);
		tx = (struct timex){ .modes = ADJ_OFFSET_SS_READ };
		timex_change(&s, &tx);
		assert_int_equal(tx.offset, left[i]);
	}
	assert_false(timex_active(&s));
}

/* The loop: off as long as STA_PLL is; then the phase is made up, all of it. */
static void test_phase(void **state)
{
	struct timex_state s = fresh();
	struct timex tx = { .modes = ADJ_OFFSET, .offset = 100000 };
	int64_t sum = 0;

	timex_change(&s, &tx);
	assert_false(timex_active(&s));
	tx = (struct timex){ .modes = ADJ_STATUS | ADJ_NANO | ADJ_OFFSET | ADJ_TIMECONST,
			     .status = STA_PLL | STA_FREQHOLD, .offset = 10000000, .constant = 2 };
	timex_change(&s, &tx);
	assert_int_equal(tx.offset, 10000000);
	assert_int_equal(timex_result(&s), TIME_OK);
	for (int i = 1; i < 1000; i++) {
		timex_second(&s, 1000 + i);
		sum += s.slew;
	}
	assert_in_range(sum, 10000000 - 20, 10000000);
	assert_false(timex_active(&s));
	assert_int_equal(s.freq, 0);
	/* Half a second is the most. */
	tx = (struct timex){ .modes = ADJ_OFFSET | ADJ_STATUS, .status = STA_PLL,
			     .offset = INT64_C(900000000) };
	timex_change(&s, &tx);
	assert_int_equal(s.offset, 500000000);
}

/* Later offsets say that the frequency is wrong. */
static void test_phase_teaches_the_frequency(void **state)
{
	struct timex_state s = fresh();
	struct timex tx = { .modes = ADJ_STATUS | ADJ_NANO | ADJ_TIMECONST, .status = STA_PLL,
			    .constant = 0 };

	timex_change(&s, &tx);
	timex_second(&s, 1008);
	tx = (struct timex){ .modes = ADJ_OFFSET, .offset = 1000000 };
	timex_change(&s, &tx);
	/* 1 ms, 8 s, constant 0: 1000000 * 8 / 2^8 ns a second, 31.25 ppm */
	assert_int_equal(s.freq, 3125 * 65536 / 100);
}

static void test_the_error_grows(void **state)
{
	struct timex_state s = fresh();
	struct timex tx = { .modes = ADJ_STATUS | ADJ_MAXERROR, .status = STA_PLL, .maxerror = 1000 };

	timex_change(&s, &tx);
	timex_second(&s, 1010);
	assert_int_equal(s.maxerror, 6000);
	assert_int_equal(timex_result(&s), TIME_OK);
	timex_second(&s, 1000 + 86400);
	assert_int_equal(s.maxerror, 16000000);
	assert_int_equal(timex_result(&s), TIME_ERROR);
	timex_second(&s, INT64_MAX);
	assert_int_equal(s.maxerror, 16000000);
}

static void test_leap_seconds(void **state)
{
	static const struct {
		int flag, want, announced, after, tai;
		int64_t due;
	} leaps[] = {
		{ STA_INS, -1, TIME_INS, TIME_OOP, 38, 86400 },
		{ STA_DEL, 1, TIME_DEL, TIME_WAIT, 36, 86399 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(leaps); i++) {
		struct timex_state s = fresh();
		struct timex tx = { .modes = ADJ_STATUS, .status = leaps[i].flag };

		timex_change(&s, &tx);
		assert_int_equal(timex_second(&s, 86390), 0);
		assert_int_equal(s.state, leaps[i].announced);
		assert_int_equal(timex_second(&s, leaps[i].due - 1), 0);
		assert_int_equal(timex_second(&s, leaps[i].due), leaps[i].want);
		assert_int_equal(s.state, leaps[i].after);
		assert_int_equal(s.tai, leaps[i].tai);
		assert_int_equal(s.second, leaps[i].due + leaps[i].want);
		timex_second(&s, leaps[i].due + 10);
		timex_second(&s, leaps[i].due + 11);
		assert_int_equal(s.state, TIME_WAIT);
		tx.status = 0;
		timex_change(&s, &tx);
		timex_second(&s, leaps[i].due + 12);
		assert_int_equal(s.state, TIME_OK);
	}
}

/* ---- stamps --------------------------------------------------------------- */

static struct timespec stamp_of(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / SEC, .tv_nsec = ns % SEC };
}

static int64_t shown(const struct time_model *m, int64_t ns)
{
	struct timespec ts = stamp_of(ns);

	time_model_stamp(m, IN_2026 - 3600 * SEC, &ts);
	return ts.tv_sec * SEC + ts.tv_nsec;
}

static int64_t set_to(const struct time_model *m, int64_t ns)
{
	struct timespec ts = stamp_of(ns);

	time_model_unstamp(m, IN_2026 - 3600 * SEC, &ts);
	return ts.tv_sec * SEC + ts.tv_nsec;
}

static void test_stamps_of_a_shifted_clock(void **state)
{
	struct time_model m = model(REALTIME_OFFSET, 3 * 86400 * SEC, POLICY_RATE_ONE);
	struct time_host h = host_at(5 * SEC);

	assert_int_equal(shown(&m, IN_2026 + 7), IN_2026 + 3 * 86400 * SEC + 7);
	assert_int_equal(set_to(&m, shown(&m, IN_2026 + 7)), IN_2026 + 7);
	/* Set: what was made a second ago is still a second old. */
	assert_int_equal(time_model_set(&m, &h, IN_2026 + YEAR), 0);
	assert_int_equal(shown(&m, IN_2026 + 4 * SEC), IN_2026 + YEAR - SEC);
	assert_int_equal(set_to(&m, IN_2026 + YEAR - SEC), IN_2026 + 4 * SEC);
	/* Before 1970, with ns that count up. */
	assert_int_equal(set_to(&m, shown(&m, -5 * SEC - 1)), -5 * SEC - 1);
}

static void test_stamps_of_a_rate(void **state)
{
	static const uint64_t rates[] = { POLICY_RATE_ONE / 10, POLICY_RATE_ONE / 3, POLICY_RATE_ONE * 10,
					  POLICY_RATE_ONE * 1000 - 1 };

	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		struct time_model m = model(REALTIME_HOST, 0, rates[i]);
		int64_t last = INT64_MIN;

		/* In order, and what is shown leads back to the same. */
		for (int64_t at = IN_2026 - 9; at < IN_2026 + YEAR / 10; at += at < IN_2026 + 9 ? 1 : YEAR / 70) {
			int64_t is = shown(&m, at);

			assert_true(is >= last);
			last = is;
			assert_int_equal(shown(&m, set_to(&m, is)), is);
			if (rates[i] > POLICY_RATE_ONE)
				assert_int_equal(set_to(&m, is), at);
		}
		/* A whole second that is set does not become the second before. */
		for (int64_t at = IN_2026 - 50 * SEC; at < IN_2026 + 50 * SEC; at += SEC) {
			int64_t is = shown(&m, set_to(&m, at));

			assert_in_range(is - at, 0, rates[i] / POLICY_RATE_ONE + 1);
		}
		/* Files older than the guest are as old as they are. */
		assert_int_equal(shown(&m, IN_2026 - YEAR), shown(&m, IN_2026) - YEAR);
	}
}

static void test_stamps_of_a_frozen_clock(void **state)
{
	struct time_model m = model(REALTIME_AT, IN_2026 + YEAR, 0);

	assert_int_equal(shown(&m, IN_2026 + 50 * SEC), IN_2026 + YEAR);
	assert_int_equal(shown(&m, IN_2026 - SEC), IN_2026 + YEAR - SEC);
	assert_int_equal(shown(&m, set_to(&m, IN_2026)), IN_2026);
	assert_int_equal(shown(&m, set_to(&m, IN_2026 + 2 * YEAR)), IN_2026 + YEAR);
}

static void test_stamps_out_of_all_time(void **state)
{
	struct time_model m = model(REALTIME_HOST, 0, POLICY_RATE_ONE * 1000);
	struct timespec far[] = { { INT64_MAX, 1 }, { INT64_MIN, 2 }, { INT64_C(1) << 40, 3 } };

	for (size_t i = 0; i < ARRAY_SIZE(far); i++) {
		struct timespec ts = far[i];

		time_model_stamp(&m, 0, &ts);
		time_model_unstamp(&m, 0, &ts);
		assert_memory_equal(&ts, &far[i], sizeof(ts));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times_beyond_all_time),
		cmocka_unit_test(test_an_offset_follows_the_host),
		cmocka_unit_test(test_a_clock_that_was_set_does_not),
		cmocka_unit_test(test_following_again),
		cmocka_unit_test(test_what_cannot_be_set),
		cmocka_unit_test(test_a_policy_that_cannot_be),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_no_overflow),
		cmocka_unit_test(test_changes_of_the_rate_are_no_jumps),
		cmocka_unit_test(test_frozen),
		cmocka_unit_test(test_a_clock_that_is_behind_does_not_go_back),
		cmocka_unit_test(test_tuning_moves_realtime_only),
		cmocka_unit_test(test_deadlines_of_an_offset),
		cmocka_unit_test(test_deadlines_of_a_rate),
		cmocka_unit_test(test_deadlines_that_never_come),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_stamps_of_a_shifted_clock),
		cmocka_unit_test(test_stamps_of_a_rate),
		cmocka_unit_test(test_stamps_of_a_frozen_clock),
		cmocka_unit_test(test_stamps_out_of_all_time),
		cmocka_unit_test(test_a_fresh_state_reads_as_a_fresh_machine),
		cmocka_unit_test(test_who_may_ask_for_what),
		cmocka_unit_test(test_frequency_and_tick),
		cmocka_unit_test(test_single_shot),
		cmocka_unit_test(test_a_leap_moves_all_clocks),
		cmocka_unit_test(test_a_leap_ends_before_time_does),
		cmocka_unit_test(test_with_cpu_free_only_leaps_move),
		cmocka_unit_test(test_phase),
		cmocka_unit_test(test_phase_teaches_the_frequency),
		cmocka_unit_test(test_the_error_grows),
		cmocka_unit_test(test_leap_seconds),
	};

	return cmocka_run_group_tests_name("time", tests, NULL, NULL);
}
