/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched_records.h - records as the host would make them, for the unit tests
 */
#ifndef TESTS_UNIT_SCHED_RECORDS_H
#define TESTS_UNIT_SCHED_RECORDS_H

#include <stdio.h>
#include <string.h>

#include "kernel/task.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

/* What the tests are about; the clock goes on by step(). */
static struct vcpus vcpus;
static struct task_table tasks;
static uint64_t now;

static inline void start(unsigned ncpus)
{
	static const int may[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	static const unsigned used[8];

	vcpus_choose(&vcpus, 0, may, used, ncpus);
	now = 1000 * MS;
	assert_int_equal(task_table_init(&tasks, &vcpus, now), 0);
}

static inline void step(uint64_t ns)
{
	now += ns;
}

static inline struct sleepwake_record record(enum sleepwake_kind kind, pid_t pid, pid_t tid,
					     unsigned cpu)
{
	return (struct sleepwake_record){ .kind = kind, .cpu = cpu, .ns = now, .pid = pid,
					  .tid = tid };
}

static inline struct task *feed(enum sleepwake_kind kind, pid_t pid, pid_t tid, unsigned cpu)
{
	struct sleepwake_record r = record(kind, pid, tid, cpu);

	step(1 * US);
	r.ns = now;
	return task_record(&tasks, &r);
}

static inline struct task *feed_fork(pid_t ppid, pid_t ptid, pid_t pid, pid_t tid)
{
	struct sleepwake_record r = record(SLEEPWAKE_FORK, pid, tid, 0);

	step(1 * US);
	r.ns = now;
	r.ppid = ppid;
	r.ptid = ptid;
	return task_record(&tasks, &r);
}

static inline struct task *feed_name(enum sleepwake_kind kind, pid_t pid, pid_t tid, unsigned cpu,
				     const char *comm)
{
	struct sleepwake_record r = record(kind, pid, tid, cpu);

	step(1 * US);
	r.ns = now;
	snprintf(r.comm, sizeof(r.comm), "%s", comm);
	return task_record(&tasks, &r);
}

#endif
