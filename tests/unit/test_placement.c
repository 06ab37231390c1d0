/* SPDX-License-Identifier: Apache-2.0 */
/* test_placement.c - who is put where, decided on streams that no host has made */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "kernel/sched/placement.h"
#include "kernel/util.h"
#include "sched_records.h"

#define TIDS 4096

static struct placement placement;
static unsigned mask_of[TIDS];		/* of eight CPUs, what the host was told last */
static unsigned applied, refuse;

static int apply(pid_t tid, const struct host_cpus *set)
{
	applied++;
	if (refuse)
		return -EPERM;
	mask_of[tid] = set->bits[0] & 0xff;
	return 0;
}

static void gone(void *ctx, struct task *t)
{
	placement_gone(&placement, t);
}

static void begin(enum policy_sched_placement mode, unsigned ncpus)
{
	start(ncpus);
	memset(mask_of, 0, sizeof(mask_of));
	applied = refuse = 0;
	placement_init(&placement, mode, &tasks, &vcpus);
	placement.apply = apply;
	tasks.gone = gone;
}

static int end(void **state)
{
	placement_destroy(&placement);
	task_table_destroy(&tasks);
	return 0;
}

static void put_record(struct sleepwake_record r)
{
	struct task *t = task_record(&tasks, &r);

	if (t)
		placement_record(&placement, t, &r);
}

static void put(enum sleepwake_kind kind, pid_t tid, unsigned cpu)
{
	put_record(record(kind, tid, tid, cpu));
}

static void put_fork(pid_t parent, pid_t child)
{
	struct sleepwake_record r = record(SLEEPWAKE_FORK, child, child, 0);

	r.ppid = r.ptid = parent;
	put_record(r);
}

/* Where a task runs: where the host was told, else where it would. */
static unsigned cpu_of(pid_t tid, unsigned otherwise)
{
	switch (mask_of[tid]) {
	case 1:
		return 0;
	case 2:
		return 1;
	case 4:
		return 2;
	case 8:
		return 3;
	default:
		return otherwise;
	}
}

/* @a and @b answer each other @n times; each works for @burst between. */
static void ping_pong(pid_t a, pid_t b, unsigned n, uint64_t burst)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned ca = cpu_of(a, 0), cb = cpu_of(b, 1);

		put(SLEEPWAKE_RUN, a, ca);
		step(burst);
		put(SLEEPWAKE_SLEEP, a, ca);
		step(ca == cb ? 0 : 20 * US);
		put(SLEEPWAKE_RUN, b, cb);
		step(burst);
		put(SLEEPWAKE_SLEEP, b, cb);
		step(ca == cb ? 0 : 20 * US);
		if (i % 100 == 99)
			placement_decide(&placement, now);
	}
	placement_decide(&placement, now);
}

static const struct placement_decision *last(void)
{
	assert_true(placement.ndecisions > 0);
	return &placement.decision[(placement.ndecisions - 1) % PLACEMENT_DECISIONS];
}

static void test_pair(void **state)
{
	begin(PLACEMENT_AUTO, 2);
	ping_pong(10, 11, 100, 2 * US);
	assert_int_equal(placement.ngroups, 1);
	assert_true(mask_of[10] == mask_of[11] && (mask_of[10] == 1 || mask_of[10] == 2));
	assert_string_equal(last()->what, "together");
	assert_true(placement_holds(&placement, task_find(&tasks, 10)));
	/* And they stay so. */
	ping_pong(10, 11, 100000, 2 * US);
	assert_int_equal(placement.ndecisions, 1);
	assert_int_equal(placement.migrations, 1);
}

static void test_not_a_pair(void **state)
{
	begin(PLACEMENT_AUTO, 2);
	/* Too much to do between. */
	ping_pong(10, 11, 1000, 150 * US);
	assert_int_equal(placement.ngroups, 0);
	/* Together more than a CPU has: both work at the same time. */
	for (int i = 0; i < 1000; i++) {
		put(SLEEPWAKE_RUN, 20, 0);
		put(SLEEPWAKE_RUN, 21, 1);
		step(50 * US);
		put(SLEEPWAKE_SLEEP, 20, 0);
		step(1 * US);
		put(SLEEPWAKE_SLEEP, 21, 1);
		step(1 * US);
	}
	placement_decide(&placement, now);
	assert_int_equal(placement.ngroups, 0);
	/* One way only: 30 wakes many. */
	for (int i = 0; i < 3000; i++) {
		pid_t other = 31 + i % 8;

		put(SLEEPWAKE_RUN, 30, 0);
		step(2 * US);
		put(SLEEPWAKE_SLEEP, 30, 0);
		step(20 * US);
		put(SLEEPWAKE_RUN, other, 1);
		step(2 * US);
		put(SLEEPWAKE_SLEEP, other, 1);
		step(500 * US);
	}
	placement_decide(&placement, now);
	assert_int_equal(placement.ndecisions, 0);
	assert_int_equal(applied, 0);
}

static void test_on_one_cpu_already(void **state)
{
	begin(PLACEMENT_AUTO, 2);
	mask_of[10] = mask_of[11] = 1;
	ping_pong(10, 11, 10000, 2 * US);
	assert_int_equal(placement.ndecisions, 0);
}

static void pair(void)
{
	begin(PLACEMENT_AUTO, 2);
	ping_pong(10, 11, 100, 2 * US);
	assert_int_equal(placement.ngroups, 1);
}

static void assert_apart(const char *reason)
{
	assert_int_equal(placement.ngroups, 0);
	assert_string_equal(last()->what, "apart");
	assert_string_equal(last()->reason, reason);
	assert_int_equal(mask_of[10], 3);
	assert_int_equal(mask_of[11], 3);
}

static void test_apart_when_busy(void **state)
{
	pair();
	ping_pong(10, 11, 100, 400 * US);
	assert_apart("a member needs more of a CPU");
}

static void test_apart_when_it_keeps_its_cpu(void **state)
{
	pair();
	put(SLEEPWAKE_RUN, 10, 0);
	step(4 * MS);
	placement_decide(&placement, now);
	/* Once is not enough: the machine may have stood still. */
	step(4 * MS);
	placement_decide(&placement, now);
	assert_int_equal(placement.ngroups, 1);
	step(4 * MS);
	placement_decide(&placement, now);
	assert_apart("a member does not leave its CPU any more");
}

/* On one CPU a quick partner preempts its waker, which then need not sleep. */
static void test_preempted_by_its_partner(void **state)
{
	unsigned cpu;

	pair();
	cpu = cpu_of(10, 0);
	put(SLEEPWAKE_RUN, 10, cpu);
	for (int i = 0; i < 100000; i++) {
		step(2 * US);
		put(SLEEPWAKE_PREEMPT, 10, cpu);
		put(SLEEPWAKE_RUN, 11, cpu);
		step(2 * US);
		put(SLEEPWAKE_SLEEP, 11, cpu);
		put(SLEEPWAKE_RUN, 10, cpu);
		if (i % 1000 == 0)
			placement_decide(&placement, now);
	}
	assert_int_equal(placement.ngroups, 1);
	assert_int_equal(placement.ndecisions, 1);
}

static void test_apart_when_strangers(void **state)
{
	unsigned cpu;

	pair();
	cpu = cpu_of(10, 0);
	for (int i = 0; i < 200; i++) {
		put(SLEEPWAKE_RUN, 10 + i % 2, cpu);
		step(10 * US);
		put(SLEEPWAKE_SLEEP, 10 + i % 2, cpu);
		step(1 * MS);
		put(SLEEPWAKE_RUN, 50, cpu);
		put(SLEEPWAKE_SLEEP, 50, cpu);
		step(1 * MS);
	}
	placement_decide(&placement, now);
	assert_apart("they do not wake each other any more");
}

static void test_apart_at_exit_and_exec(void **state)
{
	struct sleepwake_record r;

	pair();
	put(SLEEPWAKE_EXIT, 11, 0);
	task_remove(&tasks, task_find(&tasks, 11), now);
	mask_of[11] = 3;
	placement_decide(&placement, now);
	assert_apart("the other has ended");
	end(NULL);
	pair();
	r = record(SLEEPWAKE_EXEC, 10, 10, 0);
	put_record(r);
	placement_decide(&placement, now);
	assert_apart("a member runs another program");
}

/* A second try comes later, a third later still. */
static void test_rate_of_one_pair(void **state)
{
	uint64_t split, again[2];

	pair();
	for (int i = 0; i < 2; i++) {
		ping_pong(10, 11, 100, 400 * US);
		assert_int_equal(placement.ngroups, 0);
		split = now;
		while (!placement.ngroups) {
			ping_pong(10, 11, 100, 2 * US);
			assert_true(now - split < 10000 * MS);
		}
		again[i] = now - split;
	}
	assert_true(again[0] >= 200 * MS);
	assert_true(again[1] > again[0] * 3 / 2);
}

static void test_rate_of_all(void **state)
{
	begin(PLACEMENT_AUTO, 8);
	/* Forty pairs are ready at the same moment. */
	for (int i = 0; i < 24 + 16; i++)
		for (int n = 0; n < 40; n++) {
			pid_t a = 100 + 2 * n;

			put(SLEEPWAKE_RUN, a, n % 8);
			step(1 * US);
			put(SLEEPWAKE_SLEEP, a, n % 8);
			step(5 * US);
			put(SLEEPWAKE_RUN, a + 1, (n + 1) % 8);
			step(1 * US);
			put(SLEEPWAKE_SLEEP, a + 1, (n + 1) % 8);
			step(5 * US);
			put(SLEEPWAKE_RUN, a, n % 8);
			step(1 * US);
			put(SLEEPWAKE_SLEEP, a, n % 8);
			step(500 * US);
		}
	placement_decide(&placement, now);
	assert_true(placement.ngroups > 8);
	assert_true(placement.ngroups <= 32);
	/* They are dealt out over the CPUs. */
	for (unsigned cpu = 0; cpu < 8; cpu++) {
		unsigned n = 0;

		for (struct task_group *g = placement.group; g; g = g->next)
			n += g->vcpu == cpu;
		assert_true(n <= placement.ngroups / 8 + 1);
	}
}

static void test_children_are_not_held(void **state)
{
	pair();
	put_fork(10, 12);
	mask_of[12] = mask_of[10];
	placement_decide(&placement, now);
	assert_int_equal(mask_of[12], 3);
	assert_false(placement_holds(&placement, task_find(&tasks, 12)));
	assert_int_equal(placement.ngroups, 1);
	/* More at once than are written down. */
	for (pid_t p = 100; p < 300; p++) {
		put_fork(11, p);
		mask_of[p] = mask_of[11];
	}
	placement_decide(&placement, now);
	for (pid_t p = 100; p < 300; p++)
		assert_int_equal(mask_of[p], 3);
	assert_true(mask_of[11] != 3);
}

static void wish(pid_t tid, unsigned cpu)
{
	struct task *t = task_find(&tasks, tid);

	free(t->wish);
	t->wish = calloc(1, sizeof(*t->wish));
	CPU_SET(cpu, t->wish);
}

static void test_the_guests_wish_is_kept(void **state)
{
	begin(PLACEMENT_AUTO, 2);
	put(SLEEPWAKE_RUN, 10, 0);
	put(SLEEPWAKE_SLEEP, 10, 0);
	put(SLEEPWAKE_RUN, 11, 1);
	put(SLEEPWAKE_SLEEP, 11, 1);
	wish(10, 0);
	wish(11, 1);
	ping_pong(10, 11, 1000, 2 * US);
	assert_int_equal(placement.ngroups, 0);
	/* Both may be on CPU 1 only one of them is held to. */
	free(task_find(&tasks, 10)->wish);
	task_find(&tasks, 10)->wish = NULL;
	ping_pong(10, 11, 1000, 2 * US);
	assert_int_equal(placement.ngroups, 1);
	assert_int_equal(mask_of[10], 2);
	/* What the guest sets while they are together ends it, for all members. */
	wish(11, 0);
	placement_release(&placement, task_find(&tasks, 11), now);
	assert_int_equal(placement.ngroups, 0);
	assert_int_equal(mask_of[11], 1);
	assert_int_equal(mask_of[10], 3);
}

static void test_not_beside_a_hog(void **state)
{
	begin(PLACEMENT_AUTO, 2);
	put(SLEEPWAKE_RUN, 90, 0);
	put(SLEEPWAKE_PREEMPT, 90, 0);
	ping_pong(10, 11, 100, 2 * US);
	assert_int_equal(placement.ngroups, 1);
	assert_int_equal(mask_of[10], 2);
	end(NULL);
	begin(PLACEMENT_AUTO, 2);
	put(SLEEPWAKE_RUN, 90, 0);
	put(SLEEPWAKE_PREEMPT, 90, 0);
	put(SLEEPWAKE_RUN, 91, 1);
	put(SLEEPWAKE_PREEMPT, 91, 1);
	ping_pong(10, 11, 100, 2 * US);
	assert_int_equal(placement.ngroups, 0);
}

static void test_host_refuses(void **state)
{
	begin(PLACEMENT_AUTO, 2);
	refuse = 1;
	ping_pong(10, 11, 1000, 2 * US);
	assert_int_equal(placement.ngroups, 0);
	assert_true(placement.ndecisions < 10);
}

static void test_off_and_one_cpu(void **state)
{
	begin(PLACEMENT_OFF, 2);
	ping_pong(10, 11, 1000, 2 * US);
	assert_int_equal(applied, 0);
	end(NULL);
	begin(PLACEMENT_AUTO, 1);
	for (int i = 0; i < 1000; i++) {
		put(SLEEPWAKE_RUN, 10 + i % 2, 0);
		put(SLEEPWAKE_SLEEP, 10 + i % 2, 0);
	}
	put_fork(10, 12);
	placement_decide(&placement, now);
	assert_int_equal(applied, 0);
}

static void test_spread(void **state)
{
	unsigned n[4] = {};

	begin(PLACEMENT_SPREAD, 4);
	step(100 * MS);
	for (pid_t p = 10; p < 18; p++)
		put_fork(1, p);
	placement_decide(&placement, now);
	for (pid_t p = 10; p < 18; p++)
		n[cpu_of(p, 99)]++;
	for (int i = 0; i < 4; i++)
		assert_int_equal(n[i], 2);
	/* All but the two on one CPU sleep: one of them is moved. */
	for (pid_t p = 10; p < 18; p++) {
		put(SLEEPWAKE_RUN, p, cpu_of(p, 0));
		put(SLEEPWAKE_SLEEP, p, cpu_of(p, 0));
		step(1 * US);
	}
	for (pid_t p = 10; p < 18; p++)
		if (cpu_of(p, 99) == 2) {
			put(SLEEPWAKE_RUN, p, 2);
			step(1 * US);
			put(SLEEPWAKE_PREEMPT, p, 2);
		}
	step(100 * MS);
	placement_decide(&placement, now);
	memset(n, 0, sizeof(n));
	for (pid_t p = 10; p < 18; p++)
		n[cpu_of(p, 99)]++;
	assert_int_equal(n[2], 1);
	assert_string_equal(last()->what, "spread");
}

static void test_pack(void **state)
{
	begin(PLACEMENT_PACK, 4);
	for (pid_t p = 10; p < 14; p++)
		put_fork(1, p);
	placement_decide(&placement, now);
	for (pid_t p = 10; p < 14; p++)
		assert_int_equal(mask_of[p], 1);
	/* One CPU is full. */
	put(SLEEPWAKE_RUN, 10, 0);
	step(30 * MS);
	placement_decide(&placement, now);
	assert_int_equal(mask_of[10], 3);
	assert_string_equal(last()->what, "open");
	/* It is not any more. */
	put(SLEEPWAKE_SLEEP, 10, 0);
	step(30 * MS);
	placement_decide(&placement, now);
	assert_int_equal(mask_of[10], 1);
	assert_string_equal(last()->what, "close");
	/* What the guest wants and we do not have open is had all the same. */
	wish(11, 3);
	placement_release(&placement, task_find(&tasks, 11), now);
	assert_int_equal(mask_of[11], 8);
}

/* Without records a pair stays; what they say first afterwards is no long burst. */
static void test_a_pair_stays_over_a_rest(void **state)
{
	begin(PLACEMENT_AUTO, 2);
	ping_pong(10, 11, 100, 2 * US);
	assert_int_equal(placement.ngroups, 1);
	for (int i = 0; i < 20; i++) {
		placement_rest(&placement, now);
		step(1000 * MS);
		placement_decide(&placement, now);
		placement_resume(&placement, now);
		put(SLEEPWAKE_SLEEP, 10, cpu_of(10, 0));
		put(SLEEPWAKE_PREEMPT, 11, cpu_of(11, 0));
		ping_pong(10, 11, 300, 2 * US);
		assert_int_equal(placement.ngroups, 1);
	}
	assert_int_equal(placement.ndecisions, 1);
}

/* The host has two on one CPU, where they take turns. */
static void neighbours(uint64_t burst)
{
	for (int i = 0; i < 200; i++) {
		put(SLEEPWAKE_RUN, 10, 1);
		step(burst);
		put(SLEEPWAKE_SLEEP, 10, 1);
		put(SLEEPWAKE_RUN, 11, 1);
		step(burst);
		put(SLEEPWAKE_SLEEP, 11, 1);
	}
	placement_decide(&placement, now);
	assert_int_equal(placement.ngroups, 0);
}

/* Before nobody looks any more they are held there. */
static void test_neighbours_are_kept_in_a_rest(void **state)
{
	begin(PLACEMENT_AUTO, 2);
	neighbours(2 * US);
	placement_rest(&placement, now);
	assert_int_equal(placement.ngroups, 1);
	assert_true(mask_of[10] == 2 && mask_of[11] == 2);
	assert_string_equal(last()->reason, "they wake each other on one CPU");
}

/* Redis and a client with ten requests under way: on one CPU by chance, they take turns, too. */
static void test_neighbours_that_could_work_at_the_same_time(void **state)
{
	begin(PLACEMENT_AUTO, 2);
	neighbours(22 * US);
	placement_rest(&placement, now);
	assert_int_equal(placement.ngroups, 0);
	assert_int_equal(placement.ndecisions, 0);
	assert_int_equal(applied, 0);
}

static void sample(pid_t tid, uint64_t run_ns, uint64_t slices)
{
	const struct hostproc_slices sl = { .run_ns = run_ns, .n = slices };

	placement_sample(task_find(&tasks, tid), &sl);
	placement_decide(&placement, now);
}

/* 100 ms of a pair on one CPU, from its beginning on; of each slice each waited so long. */
static void sample_pair(unsigned n, uint64_t burst, uint64_t wait_a, uint64_t wait_b)
{
	uint64_t slices = 50 * MS / burst * n;
	const struct hostproc_slices a = { .run_ns = slices * burst, .wait_ns = slices * wait_a, .n = slices };
	const struct hostproc_slices b = { .run_ns = slices * burst, .wait_ns = slices * wait_b, .n = slices };

	placement_sample(task_find(&tasks, 10), &a);
	placement_sample(task_find(&tasks, 11), &b);
	placement_sampled(placement.group, now);
	placement_decide(&placement, now);
	step(100 * MS);
}

/* A pair that came together while a stranger had one of the CPUs, say. */
static void test_apart_when_they_wait_for_their_cpu(void **state)
{
	pair();
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(placement.ngroups, 1);
		sample_pair(i, 22 * US, 16 * US, 17 * US);
	}
	assert_apart("they could work at the same time");
	/* Not at once again. */
	ping_pong(10, 11, 100, 2 * US);
	assert_int_equal(placement.ngroups, 0);
}

/* One sample in which they could, and none that says anything: not two in a row. */
static void test_a_wait_counts_once(void **state)
{
	pair();
	sample_pair(1, 22 * US, 16 * US, 17 * US);
	sample_pair(2, 22 * US, 16 * US, 17 * US);
	for (unsigned i = 0; i < 10; i++)
		sample_pair(2, 22 * US, 16 * US, 17 * US);
	assert_int_equal(placement.ngroups, 1);
	assert_int_equal(placement.ndecisions, 1);
}

static void test_together_though_one_waits(void **state)
{
	pair();
	/* The client of one request waits until the server, which it has woken, is done. */
	for (unsigned i = 1; i <= 20; i++)
		sample_pair(i, 10 * US, 14 * US, 1 * US);
	/* A stranger has half of the CPU, in slices of 3 ms. */
	for (unsigned i = 100; i <= 120; i++)
		sample_pair(i, 3 * US, 6 * US, 7 * US);
	assert_int_equal(placement.ngroups, 1);
	assert_int_equal(placement.ndecisions, 1);
}

static void test_apart_by_samples(void **state)
{
	begin(PLACEMENT_AUTO, 2);
	ping_pong(10, 11, 100, 2 * US);
	placement_rest(&placement, now);
	/* The first says nothing; short slices, and long ones of one who hardly ran, are fine. */
	sample(10, 900 * MS, 10);
	sample(10, 1000 * MS, 50010);
	sample(11, 900 * MS, 10);
	sample(11, 900 * MS + 400 * US, 11);
	assert_int_equal(placement.ngroups, 1);
	sample(10, 1100 * MS, 50050);
	assert_int_equal(placement.ngroups, 0);
	assert_string_equal(last()->reason, "a member needs more of a CPU");
	assert_int_equal(mask_of[10], 3);
}

/* The look was too short for a whole window, but long enough to see that. */
static void test_apart_at_the_end_of_a_look(void **state)
{
	begin(PLACEMENT_AUTO, 2);
	ping_pong(10, 11, 100, 2 * US);
	assert_int_equal(placement.ngroups, 1);
	placement_resume(&placement, now);
	for (int i = 0; i < 30; i++)
		ping_pong(10, 40 + i, 1, 2 * US);
	assert_int_equal(placement.ngroups, 1);
	placement_rest(&placement, now);
	assert_int_equal(placement.ngroups, 0);
	assert_string_equal(last()->reason, "they do not wake each other any more");
}

#define TEST(f) cmocka_unit_test_teardown(f, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pair),
		TEST(test_not_a_pair),
		TEST(test_on_one_cpu_already),
		TEST(test_apart_when_busy),
		TEST(test_apart_when_it_keeps_its_cpu),
		TEST(test_preempted_by_its_partner),
		TEST(test_apart_when_strangers),
		TEST(test_apart_at_exit_and_exec),
		TEST(test_rate_of_one_pair),
		TEST(test_rate_of_all),
		TEST(test_children_are_not_held),
		TEST(test_the_guests_wish_is_kept),
		TEST(test_not_beside_a_hog),
		TEST(test_host_refuses),
		TEST(test_off_and_one_cpu),
		TEST(test_a_pair_stays_over_a_rest),
		TEST(test_neighbours_are_kept_in_a_rest),
		TEST(test_neighbours_that_could_work_at_the_same_time),
		TEST(test_apart_when_they_wait_for_their_cpu),
		TEST(test_a_wait_counts_once),
		TEST(test_together_though_one_waits),
		TEST(test_apart_by_samples),
		TEST(test_apart_at_the_end_of_a_look),
		TEST(test_spread),
		TEST(test_pack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
