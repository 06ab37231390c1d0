/* SPDX-License-Identifier: Apache-2.0 */
/* test_task.c - the task table, fed with records that no host has made */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "kernel/util.h"
#include "sched_records.h"

static int two_cpus(void **state)
{
	start(2);
	return 0;
}

/* The counts are those of the states, whatever a test has done. */
static int consistent(void **state)
{
	unsigned count[TASK_NUM_STATES] = {}, n = 0;

	TASK_FOR_EACH(&tasks, t) {
		count[t->state]++;
		n++;
	}
	assert_memory_equal(count, tasks.count, sizeof(count));
	assert_int_equal(n, tasks.n);
	task_table_destroy(&tasks);
	return 0;
}

static void assert_state(pid_t tid, enum task_state s)
{
	struct task *t = task_find(&tasks, tid);

	assert_non_null(t);
	assert_int_equal(t->state, s);
}

static void test_names(void **state)
{
	for (int s = 0; s < TASK_NUM_STATES; s++)
		assert_non_null(task_state_str[s]);
}

static void test_life(void **state)
{
	struct task *t = feed_fork(1, 1, 10, 10);

	assert_state(10, TASK_RUNNABLE);
	assert_int_equal(t->ppid, 1);
	feed(SLEEPWAKE_RUN, 10, 10, 1);
	assert_state(10, TASK_RUNNING);
	assert_int_equal(t->vcpu, 1);
	step(5 * MS);
	feed(SLEEPWAKE_PREEMPT, 10, 10, 1);
	assert_state(10, TASK_RUNNABLE);
	feed(SLEEPWAKE_RUN, 10, 10, 0);
	assert_int_equal(t->vcpu, 0);
	step(2 * MS);
	feed(SLEEPWAKE_SLEEP, 10, 10, 0);
	assert_state(10, TASK_SLEEPING);
	assert_int_equal(t->wakes, 0);
	step(100 * MS);
	feed(SLEEPWAKE_RUN, 10, 10, 0);
	assert_int_equal(t->wakes, 1);
	assert_int_equal(t->sleeps, 1);
	assert_int_equal(t->preempts, 1);
	assert_int_equal(t->time_ns[TASK_RUNNING], 7 * MS + 2 * US);
	assert_int_equal(t->time_ns[TASK_SLEEPING], 100 * MS + 1 * US);
	assert_int_equal(tasks.busy_ns[1], 5 * MS + 1 * US);
	assert_int_equal(tasks.busy_ns[0], 2 * MS + 1 * US);
	feed(SLEEPWAKE_EXIT, 10, 10, 0);
	assert_state(10, TASK_ZOMBIE);
	assert_int_equal(tasks.exits, 1);
	/* It runs for the last time behind its EXIT. */
	feed(SLEEPWAKE_SLEEP, 10, 10, 0);
	assert_state(10, TASK_ZOMBIE);
}

static void test_stopped_and_blocked_wake(void **state)
{
	static const enum task_state asleep[] = { TASK_SLEEPING, TASK_BLOCKED, TASK_STOPPED };

	feed_fork(1, 1, 10, 10);
	for (size_t i = 0; i < ARRAY_SIZE(asleep); i++) {
		feed(SLEEPWAKE_RUN, 10, 10, 0);
		feed(SLEEPWAKE_SLEEP, 10, 10, 0);
		task_set_state(&tasks, task_find(&tasks, 10), asleep[i], now);
		assert_state(10, asleep[i]);
		assert_int_equal(task_active(&tasks), 0);
	}
	feed(SLEEPWAKE_RUN, 10, 10, 0);
	assert_state(10, TASK_RUNNING);
	assert_int_equal(task_find(&tasks, 10)->wakes, 3);
}

static void test_threads(void **state)
{
	feed_fork(1, 1, 10, 10);
	feed_fork(10, 10, 10, 11);
	feed_fork(10, 11, 10, 12);
	assert_int_equal(task_find(&tasks, 10)->nthreads, 2);
	assert_int_equal(task_find(&tasks, 12)->ppid, 1);
	/* A thread is gone when it ends, the first stays for its parent to ask. */
	feed(SLEEPWAKE_EXIT, 10, 11, 0);
	assert_null(task_find(&tasks, 11));
	feed(SLEEPWAKE_EXIT, 10, 10, 0);
	assert_state(10, TASK_ZOMBIE);
	feed(SLEEPWAKE_RUN, 10, 12, 0);
	assert_state(12, TASK_RUNNING);
	assert_int_equal(task_find(&tasks, 10)->nthreads, 1);
}

static void test_pid_reuse(void **state)
{
	struct task *t;

	feed_fork(1, 1, 10, 10);
	feed_name(SLEEPWAKE_EXEC, 10, 10, 0, "old");
	feed(SLEEPWAKE_RUN, 10, 10, 0);
	feed(SLEEPWAKE_SLEEP, 10, 10, 0);
	feed(SLEEPWAKE_EXIT, 10, 10, 0);
	feed_fork(1, 1, 20, 20);
	t = feed_fork(20, 20, 10, 10);
	assert_int_equal(tasks.n, 2);
	assert_int_equal(t->ppid, 20);
	assert_int_equal(t->sleeps, 0);
	assert_string_equal(t->comm, "");
	/* An id that was a thread's is another process's now. */
	feed_fork(20, 20, 20, 30);
	feed_fork(10, 10, 30, 30);
	assert_int_equal(task_find(&tasks, 20)->nthreads, 0);
	assert_int_equal(task_find(&tasks, 30)->pid, 30);
}

static void test_exec_of_a_thread(void **state)
{
	struct task *t;

	feed_fork(1, 1, 10, 10);
	for (pid_t tid = 11; tid < 15; tid++)
		feed_fork(10, 10, 10, tid);
	feed(SLEEPWAKE_RUN, 10, 13, 1);
	feed(SLEEPWAKE_SLEEP, 10, 13, 1);
	feed(SLEEPWAKE_RUN, 10, 13, 1);
	step(3 * MS);
	/* 13 calls execve: the others end, and it goes on as 10. */
	feed(SLEEPWAKE_EXIT, 10, 11, 0);
	feed(SLEEPWAKE_EXIT, 10, 10, 0);
	assert_state(10, TASK_ZOMBIE);
	t = feed_name(SLEEPWAKE_EXEC, 10, 10, 1, "new");
	assert_int_equal(tasks.n, 1);
	assert_int_equal(t->tid, 10);
	assert_int_equal(t->state, TASK_RUNNING);
	assert_int_equal(t->sleeps, 1);
	assert_string_equal(t->comm, "new");
	assert_int_equal(t->nthreads, 0);
	assert_int_equal(tasks.on_cpu[1]->tid, 10);
	assert_int_equal(tasks.exits, 1);
	feed(SLEEPWAKE_SLEEP, 10, 10, 1);
	assert_true(t->time_ns[TASK_RUNNING] >= 3 * MS);
}

static void test_inheritance(void **state)
{
	struct task *t = feed_fork(1, 1, 10, 10);

	feed_name(SLEEPWAKE_COMM, 10, 10, 0, "parent");
	t->wish = malloc(sizeof(*t->wish));
	CPU_ZERO(t->wish);
	CPU_SET(1, t->wish);
	t = feed_fork(10, 10, 20, 20);
	assert_string_equal(t->comm, "parent");
	assert_true(t->wish && CPU_ISSET(1, t->wish) && !CPU_ISSET(0, t->wish));
	assert_ptr_not_equal(t->wish, task_find(&tasks, 10)->wish);
}

/* Records of tasks that nobody has told of: they were there before, or a FORK is lost. */
static void test_unknown_tasks(void **state)
{
	feed(SLEEPWAKE_SLEEP, 10, 10, 1);
	assert_state(10, TASK_SLEEPING);
	feed(SLEEPWAKE_PREEMPT, 10, 11, 0);
	assert_state(11, TASK_RUNNABLE);
	feed(SLEEPWAKE_EXIT, 12, 12, 0);
	assert_null(task_find(&tasks, 12));
	feed_name(SLEEPWAKE_COMM, 13, 13, 0, "x");
	feed_name(SLEEPWAKE_EXEC, 14, 14, 0, "x");
	assert_non_null(task_find(&tasks, 14));
}

/* The record that took a task off its CPU is lost: another runs there. */
static void test_lost_switch(void **state)
{
	struct sleepwake_record lost = { .kind = SLEEPWAKE_LOST, .lost = 7 };

	feed(SLEEPWAKE_RUN, 10, 10, 0);
	feed(SLEEPWAKE_RUN, 11, 11, 0);
	assert_state(10, TASK_RUNNABLE);
	feed(SLEEPWAKE_RUN, 11, 11, 1);
	assert_state(11, TASK_RUNNING);
	assert_null(tasks.on_cpu[0]);
	lost.ns = now;
	assert_null(task_record(&tasks, &lost));
	assert_int_equal(tasks.lost, 7);
	/* A walk over /proc says what it is doing. */
	task_set_state(&tasks, task_find(&tasks, 10), TASK_SLEEPING, now);
	assert_int_equal(task_active(&tasks), 1);
}

static void test_reported_twice(void **state)
{
	struct sleepwake_record r;

	feed_fork(1, 1, 10, 10);
	feed(SLEEPWAKE_RUN, 10, 10, 0);
	r = record(SLEEPWAKE_SLEEP, 10, 10, 0);
	r.ns = now += 1 * MS;
	assert_non_null(task_record(&tasks, &r));
	assert_null(task_record(&tasks, &r));
	assert_int_equal(tasks.sleeps, 1);
	r = record(SLEEPWAKE_FORK, 11, 11, 0);
	r.ppid = r.ptid = 10;
	assert_non_null(task_record(&tasks, &r));
	assert_null(task_record(&tasks, &r));
	assert_int_equal(tasks.forks, 2);
}

static void test_idle(void **state)
{
	uint64_t begin = tasks.idle_since_ns;

	assert_int_equal(begin, now);
	step(10 * MS);
	feed_fork(1, 1, 10, 10);
	assert_int_equal(tasks.idle_since_ns, 0);
	assert_int_equal(tasks.idle_ns, now - begin);
	feed(SLEEPWAKE_RUN, 10, 10, 0);
	feed(SLEEPWAKE_RUN, 11, 11, 1);
	feed(SLEEPWAKE_SLEEP, 10, 10, 0);
	assert_int_equal(tasks.idle_since_ns, 0);
	feed(SLEEPWAKE_SLEEP, 11, 11, 1);
	assert_int_equal(tasks.idle_since_ns, now);
	step(40 * MS);
	feed(SLEEPWAKE_RUN, 11, 11, 1);
	assert_true(tasks.idle_ns >= 50 * MS && tasks.idle_ns < 51 * MS);
	/* The last that could run ends. */
	feed(SLEEPWAKE_EXIT, 11, 11, 1);
	assert_int_equal(tasks.idle_since_ns, now);
}

static void test_load(void **state)
{
	feed(SLEEPWAKE_RUN, 10, 10, 0);
	feed(SLEEPWAKE_RUN, 11, 11, 1);
	step(600000 * MS);
	feed(SLEEPWAKE_SLEEP, 11, 11, 1);
	assert_true(tasks.load.avg[0] > 1.99 && tasks.load.avg[0] < 2.01);
	step(600000 * MS);
	task_table_advance(&tasks, now);
	assert_true(tasks.load.avg[0] > 0.99 && tasks.load.avg[0] < 1.01);
}

/* Ten thousand short lives leave nothing, and take no time. */
static void test_fork_bomb(void **state)
{
	feed_fork(1, 1, 10, 10);
	for (int i = 0; i < 200000; i++) {
		pid_t tid = 100 + i % 30000;

		feed_fork(10, 10, tid, tid);
		feed(SLEEPWAKE_RUN, tid, tid, i & 1);
		feed(SLEEPWAKE_EXIT, tid, tid, i & 1);
		if (i % 3)
			task_remove(&tasks, task_find(&tasks, tid), now);
	}
	assert_int_equal(tasks.forks, 200001);
	assert_int_equal(tasks.exits, 200000);
	assert_true(tasks.n <= 30001);
}

static void test_no_room(void **state)
{
	for (pid_t tid = 1; tid <= TASK_MAX + 10; tid++)
		feed_fork(0, 0, tid, tid);
	assert_int_equal(tasks.n, TASK_MAX);
	assert_int_equal(tasks.untracked, 10);
	assert_null(feed(SLEEPWAKE_RUN, TASK_MAX + 1, TASK_MAX + 1, 0));
	assert_int_equal(tasks.forks, TASK_MAX + 10);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, two_cpus, consistent)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		TEST(test_life),
		TEST(test_stopped_and_blocked_wake),
		TEST(test_threads),
		TEST(test_pid_reuse),
		TEST(test_exec_of_a_thread),
		TEST(test_inheritance),
		TEST(test_unknown_tasks),
		TEST(test_lost_switch),
		TEST(test_reported_twice),
		TEST(test_idle),
		TEST(test_load),
		TEST(test_fork_bomb),
		TEST(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
