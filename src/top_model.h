/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_model.h - what weir top knows of a guest: a sample of its stats, and rates
 *
 * A sample is the JSON of `weir stats` (kernel/stats.c). A number that was not
 * in it is TOP_ABSENT, a rate that cannot be known is NAN; neither is ever 0.
 */
#ifndef WEIR_TOP_MODEL_H
#define WEIR_TOP_MODEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define TOP_ABSENT INT64_C(-1)	/* none of the numbers below is negative */

struct top_vcpu {
	int64_t id, host_cpu, busy_ns, idle_ns;
	double busy;		/* percent of the interval */
};

struct top_task {
	int64_t pid, ppid, uid, host_pid, vcpu;		/* host_pid the host's, else the guest's */
	int64_t run_ns, state_ns, sleeps, preempts;
	char comm[64], state[16];
	double cpu;		/* percent of one CPU */
	double sleep_rate, preempt_rate;	/* per second */
};

struct top_trap {
	char syscall[40], lane[12], rule[256];
	int64_t count, errors, p50_ns, p99_ns, max_ns;
	double rate;		/* calls per second */
};

struct top_disk {
	char name[40];
	int64_t reads, writes, read_bytes, write_bytes, inflight_max;
	double read_rate, write_rate;		/* requests per second */
	double read_bytes_rate, write_bytes_rate;
};

/* What the scheduler counts for the whole guest. */
enum top_counter {
	TOP_SLEEPS, TOP_WAKES, TOP_PREEMPTS, TOP_FORKS, TOP_EXECS, TOP_EXITS, TOP_MIGRATIONS,
	TOP_LOST, TOP_NUM_COUNTERS,
};
extern const char *const top_counter_str[TOP_NUM_COUNTERS];

struct top_sample {
	char guest[64], state[16], policy[64], source[16];
	int64_t uptime_ns;	/* the guest's own clock of samples */
	int64_t interval_ns;	/* since the sample that rates are against; TOP_ABSENT: none */
	double load[3];
	int64_t nvcpus, tasks_n, runnable, blocked;
	int64_t counter[TOP_NUM_COUNTERS];
	double rate[TOP_NUM_COUNTERS];		/* per second */
	double idle;		/* percent of the interval in which every task slept */
	int64_t idle_ns;
	int64_t memory_limit, memory_used, memory_unplugged, memory_released;	/* bytes */

	/* in the order of the JSON's arrays, until sorted */
	struct top_vcpu *vcpu;
	struct top_task *task;
	struct top_trap *trap;
	struct top_disk *disk;
	unsigned vcpu_len, task_len, trap_len, disk_len;
	bool has_tasks;		/* the JSON had a list of them */
};

/* Return: 0, -EINVAL if this is no stats JSON, -ENOMEM. */
int top_sample_read(json_t *stats, struct top_sample *ret);
void top_sample_free(struct top_sample *s);

/* Fill in the rates of @s, all NAN if @before is NULL, of another boot of the
 * guest, or as old as @s. */
void top_sample_rates(struct top_sample *s, const struct top_sample *before);

/* What the list of tasks may be sorted by; the first is the default. */
struct top_sort {
	char key;		/* on the keyboard */
	const char *name;	/* for --sort */
	bool descending;	/* unless it is reversed */
	int (*compare)(const struct top_task *a, const struct top_task *b);
};
extern const struct top_sort top_sorts[];
extern const unsigned top_sorts_len;

const struct top_sort *top_sort_by_name(const char *name);
const struct top_sort *top_sort_by_key(int key);

/* Tasks by @by, ties by pid; traps by rate, then by count. */
void top_sample_sort(struct top_sample *s, const struct top_sort *by, bool reverse);

/* Is @filter, without regard to case, in the task's name or state, or its pid?
 * In the call or rule of a trap? "" matches all. */
bool top_task_matches(const struct top_task *t, const char *filter);
bool top_trap_matches(const struct top_trap *t, const char *filter);

#endif
