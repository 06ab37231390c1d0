/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_top.c - rates, order, filter and lines of weir top, from made-up samples
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "kernel/util.h"
#include "top_view.h"

static struct top_sample sample(const char *json)
{
	json_t *j = json_loads(json, 0, NULL);
	struct top_sample s;

	assert_non_null(j);
	assert_int_equal(top_sample_read(j, &s), 0);
	json_decref(j);
	return s;
}

#define GUEST(uptime) "\"guest\":{\"name\":\"g\",\"state\":\"running\",\"uptime_ns\":" #uptime "}"

static void near(double got, double want)
{
	assert_true(fabs(got - want) < 1e-9 * fabs(want) + 1e-12);
}

static void test_rates(void **state)
{
	struct top_sample a = sample("{" GUEST(1000000000) ",\"sched\":{\"sleeps\":100,\"forks\":7,"
		"\"idle_ns\":500000000,\"vcpus\":[{\"id\":0,\"busy_ns\":1000,\"idle_ns\":9000}]},"
		"\"tasks\":[{\"pid\":1,\"host_pid\":11,\"run_ns\":5,\"sleeps\":1,\"preempts\":0},"
		"{\"pid\":2,\"host_pid\":12,\"run_ns\":1000000,\"sleeps\":10,\"preempts\":4}],"
		"\"traps\":[{\"syscall\":\"mount\",\"rule\":\"p:1\",\"count\":10}],"
		"\"disks\":[{\"name\":\"d\",\"reads\":1,\"writes\":2,\"read_bytes\":0,\"write_bytes\":4096}]}");
	struct top_sample b = sample("{" GUEST(3000000000) ",\"sched\":{\"sleeps\":300,\"forks\":7,"
		"\"idle_ns\":1500000000,\"vcpus\":[{\"id\":0,\"busy_ns\":1500,\"idle_ns\":10500}]},"
		"\"tasks\":[{\"pid\":2,\"host_pid\":12,\"run_ns\":501000000,\"sleeps\":30,\"preempts\":4},"
		"{\"pid\":3,\"host_pid\":13,\"run_ns\":9,\"sleeps\":9,\"preempts\":9}],"
		"\"traps\":[{\"syscall\":\"mount\",\"rule\":\"p:1\",\"count\":40},"
		"{\"syscall\":\"mount\",\"rule\":\"p:2\",\"count\":4}],"
		"\"disks\":[{\"name\":\"d\",\"reads\":3,\"writes\":2,\"read_bytes\":1024,\"write_bytes\":4096}]}");

	top_sample_rates(&b, &a);
	assert_int_equal(b.interval_ns, 2000000000);
	near(b.rate[TOP_SLEEPS], 100);
	near(b.rate[TOP_FORKS], 0);
	assert_true(isnan(b.rate[TOP_EXITS]));	/* was not told */
	near(b.idle, 50);
	near(b.vcpu[0].busy, 25);
	near(b.task[0].cpu, 25);
	near(b.task[0].sleep_rate, 10);
	near(b.task[0].preempt_rate, 0);
	assert_true(isnan(b.task[1].cpu));	/* was not there before */
	near(b.trap[0].rate, 15);
	near(b.trap[1].rate, 2);		/* its first call came in between */
	near(b.disk[0].read_rate, 1);
	near(b.disk[0].read_bytes_rate, 512);
	near(b.disk[0].write_bytes_rate, 0);
	top_sample_free(&a);
	top_sample_free(&b);
}

/* After a reboot clock and counters begin again; a pid may be another task's. */
static void test_no_rates(void **state)
{
	const char *task = "{" GUEST(5000) ",\"sched\":{\"sleeps\":100},"
			   "\"tasks\":[{\"pid\":1,\"host_pid\":11,\"run_ns\":50,\"sleeps\":9}]}";
	struct top_sample old = sample(task), same = sample(task);
	struct top_sample reboot = sample("{" GUEST(1000) ",\"sched\":{\"sleeps\":900},"
		"\"tasks\":[{\"pid\":1,\"host_pid\":11,\"run_ns\":60,\"sleeps\":10}]}");
	struct top_sample reused = sample("{" GUEST(6000) ",\"sched\":{\"sleeps\":100},"
		"\"tasks\":[{\"pid\":1,\"host_pid\":11,\"run_ns\":20,\"sleeps\":9},"
		"{\"pid\":11,\"host_pid\":99,\"run_ns\":20,\"sleeps\":9}]}");
	struct top_sample *none[] = { &same, &reboot };

	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		top_sample_rates(none[i], &old);
		assert_int_equal(none[i]->interval_ns, TOP_ABSENT);
		assert_true(isnan(none[i]->rate[TOP_SLEEPS]));
		assert_true(isnan(none[i]->task[0].cpu));
	}
	top_sample_rates(&reused, &old);
	assert_true(isnan(reused.task[0].cpu));
	near(reused.task[0].sleep_rate, 0);
	assert_true(isnan(reused.task[1].cpu));
	top_sample_rates(&reused, NULL);
	assert_true(isnan(reused.task[0].sleep_rate));
	top_sample_free(&old);
	top_sample_free(&same);
	top_sample_free(&reboot);
	top_sample_free(&reused);
}

static void test_not_stats(void **state)
{
	static const char *const bad[] = { "{}", "[]", "3", "{\"guest\":{}}",
					   "{\"guest\":{\"uptime_ns\":\"1\"}}" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		json_t *j = json_loads(bad[i], JSON_DECODE_ANY, NULL);
		struct top_sample s;

		assert_non_null(j);
		assert_int_equal(top_sample_read(j, &s), -EINVAL);
		json_decref(j);
	}
}

static struct top_sample three_tasks(void)
{
	struct top_sample s = sample("{" GUEST(1) ",\"tasks\":["
		"{\"pid\":30,\"comm\":\"alpha\",\"state\":\"sleeping\",\"run_ns\":1,\"vcpu\":1},"
		"{\"pid\":10,\"comm\":\"Beta\",\"state\":\"running\",\"run_ns\":3,\"vcpu\":0},"
		"{\"pid\":20,\"comm\":\"gamma\",\"state\":\"zombie\",\"run_ns\":2,\"vcpu\":0}]}");

	s.task[0].cpu = 5;
	s.task[1].cpu = NAN;
	s.task[2].cpu = 50;
	return s;
}

static void order(struct top_sample *s, const char *key, bool reverse, int a, int b, int c)
{
	top_sample_sort(s, top_sort_by_name(key), reverse);
	assert_int_equal(s->task[0].pid, a);
	assert_int_equal(s->task[1].pid, b);
	assert_int_equal(s->task[2].pid, c);
}

static void test_sort(void **state)
{
	struct top_sample s = three_tasks();

	order(&s, "cpu", false, 20, 30, 10);	/* what is not known comes last */
	order(&s, "cpu", true, 10, 30, 20);
	order(&s, "time", false, 10, 20, 30);
	order(&s, "pid", false, 10, 20, 30);
	order(&s, "pid", true, 30, 20, 10);
	order(&s, "name", false, 10, 30, 20);
	order(&s, "state", false, 10, 30, 20);
	order(&s, "vcpu", false, 10, 20, 30);	/* a tie goes by pid */
	order(&s, "sleeps", false, 10, 20, 30);
	top_sample_free(&s);
	assert_null(top_sort_by_name("colour"));
	for (unsigned i = 0; i < top_sorts_len; i++) {
		assert_ptr_equal(top_sort_by_key(top_sorts[i].key), &top_sorts[i]);
		assert_ptr_equal(top_sort_by_name(top_sorts[i].name), &top_sorts[i]);
	}
}

static void test_filter(void **state)
{
	struct top_sample s = three_tasks();
	struct top_trap trap = { .syscall = "mount", .rule = "base.policy:12" };

	assert_true(top_task_matches(&s.task[0], ""));
	assert_true(top_task_matches(&s.task[0], "LPH"));
	assert_true(top_task_matches(&s.task[0], "sleep"));
	assert_true(top_task_matches(&s.task[0], "30"));
	assert_false(top_task_matches(&s.task[0], "3"));
	assert_false(top_task_matches(&s.task[0], "beta"));
	assert_true(top_trap_matches(&trap, "Moun"));
	assert_true(top_trap_matches(&trap, "policy:12"));
	assert_false(top_trap_matches(&trap, "umount"));
	top_sample_free(&s);
}

/* What is not in the stats is a "-" in the lines, and no number. */
static void test_absent(void **state)
{
	struct top_sample s = sample("{" GUEST(61000000000) ",\"tasks\":[{\"pid\":1}],"
				     "\"traps\":[{\"syscall\":\"mount\"}],"
				     "\"memory\":{\"limit_bytes\":1048576,\"used_bytes\":0}}");
	struct top_lines l = {};

	top_view_head(&s, &l);
	top_view_vcpus(&s, 80, &l);
	top_view_memory(&s, &l);
	top_view_disks(&s, &l);
	top_view_traps(&s, "", &l);
	top_view_tasks(&s, "", &l);
	assert_int_equal(l.n, 7);
	assert_string_equal(l.v[0].text, "g  running  up 1m01s  policy -  vcpus -  load - - -");
	assert_null(strpbrk(l.v[1].text, "0123456789"));
	assert_string_equal(l.v[2].text, "memory used -  limit 1.0M  unplugged -  released -");
	assert_null(strpbrk(l.v[4].text, "0123456789"));
	assert_non_null(strstr(l.v[6].text, "1"));
	assert_null(strpbrk(strstr(l.v[6].text, "1") + 1, "0123456789"));
	top_lines_free(&l);
	top_sample_free(&s);
}

/* Names are the guest's to choose: no terminal takes orders from them. */
static void test_hostile_names(void **state)
{
	struct top_sample s = sample("{" GUEST(1) ",\"tasks\":[{\"pid\":1,"
		"\"comm\":\"a\\u001b[2Jb\\u007f\\u009bc\\nd\\u00e9\",\"state\":\"running\"}]}");

	assert_string_equal(s.task[0].comm, "a?[2Jb??c?d\303\251");
	top_sample_free(&s);
	/* and a long one is not cut within a character */
	s = sample("{" GUEST(1) ",\"tasks\":[{\"pid\":1,\"state\":\"123456789012345678\","
		   "\"comm\":\"x\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9"
		   "\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9"
		   "\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\"}]}");
	assert_int_equal(strlen(s.task[0].comm), 63);
	assert_string_equal(s.task[0].state, "123456789012345");
	top_sample_free(&s);
	s = sample("{" GUEST(1) ",\"tasks\":[{\"pid\":1,\"state\":\"12345678901234\\u00e9\"}]}");
	assert_string_equal(s.task[0].state, "12345678901234");
	top_sample_free(&s);
}

static void test_bars(void **state)
{
	struct top_sample s = sample("{" GUEST(1) ",\"sched\":{\"vcpus\":[{\"id\":0},{\"id\":1},{\"id\":2}]}}");
	struct top_lines one = {}, two = {};

	s.vcpu[0].busy = 100;
	s.vcpu[1].busy = 0;
	top_view_vcpus(&s, 10, &one);
	assert_int_equal(one.n, 3);
	assert_string_equal(one.v[0].text, "vcpu 0   [||||||||||||||||||||] 100.0%  ");
	assert_string_equal(one.v[1].text, "vcpu 1   [                    ]   0.0%  ");
	assert_string_equal(one.v[2].text, "vcpu 2   [--------------------]     -%  ");
	top_view_vcpus(&s, 90, &two);
	assert_int_equal(two.n, 2);
	top_lines_free(&one);
	top_lines_free(&two);
	top_sample_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),	 cmocka_unit_test(test_no_rates),
		cmocka_unit_test(test_not_stats), cmocka_unit_test(test_sort),
		cmocka_unit_test(test_filter),	 cmocka_unit_test(test_absent),
		cmocka_unit_test(test_hostile_names), cmocka_unit_test(test_bars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
