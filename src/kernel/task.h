/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.h - the guest's threads as the guest kernel knows them
 *
 * A table by host thread id, kept up to date by the host's records
 * (passthrough/sleepwake.h) and healed by looks at the host's /proc. It makes
 * no system call and has no lock: sched.c has both.
 */
#ifndef WEIR_KERNEL_TASK_H
#define WEIR_KERNEL_TASK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/sched/loadavg.h"
#include "kernel/sched/vcpu.h"
#include "passthrough/sleepwake.h"

/**
 * enum task_state - Life of a guest thread
 *
 *   RUNNING   is on a host CPU                  -> SLEEPING by SLEEP; RUNNABLE by PREEMPT, or
 *                                                  when another runs on its CPU (a record was lost)
 *   RUNNABLE  new (FORK) or preempted           -> RUNNING by RUN
 *   SLEEPING  left its CPU by itself            -> RUNNING by RUN: the host tells of no wake-up
 *   BLOCKED   sleeps, and /proc calls the sleep uninterruptible    -> as SLEEPING
 *   STOPPED   sleeps, and /proc says by a signal or a tracer       -> as SLEEPING
 *   ZOMBIE    EXIT of a process's first thread  -> dead when /proc has it no more; RUNNING by
 *                                                  EXEC (another thread took its id over), or
 *                                                  when /proc says it lives (a set-id program)
 *
 * A dead thread is not in the table: one that is not its process's first is
 * dead at EXIT, and at EXEC of another thread; any is when FORK gives its id to
 * a new one. Written by task.c only.
 */
enum task_state {
	TASK_RUNNING, TASK_RUNNABLE, TASK_SLEEPING, TASK_BLOCKED, TASK_STOPPED, TASK_ZOMBIE,
	TASK_NUM_STATES,
};
extern const char *const task_state_str[TASK_NUM_STATES];

struct task_group;	/* placement.c */

struct task {
	struct task *next;		/* in its bucket */
	pid_t tid, pid, ppid;		/* host's; ppid: who forked it */
	unsigned nthreads;		/* of a first thread: others in the table */
	char comm[16];

	enum task_state state;
	uint64_t since_ns;		/* in this state */
	uint64_t start_ns, exec_ns;
	uint64_t time_ns[TASK_NUM_STATES];	/* in each state, without the current */
	uint64_t sleeps, wakes, preempts;
	uint64_t fork_nr;		/* how many forks there were before it */
	int cpu;			/* host's, where it ran last; -1 */
	unsigned vcpu;			/* the same in the guest's number */
	uint64_t last_ns;		/* of its last record; with the kind: a duplicate? */
	enum sleepwake_kind last_kind;
	bool observed;			/* the host reports it to us */
	unsigned seen;			/* number of the last walk that met it */
	uint64_t slices, judged_slices;	/* times it was given a CPU, as the last walk found and
					 * at the last rest_judge() */
	bool looked_at;			/* it ran when the guest was last observed */
	uint64_t host_start;		/* as that walk found it, hostproc_stat.start; 0: none has */

	/* asked of /proc when somebody wants to know; 0: not yet */
	pid_t guest_tid, guest_pid;
	uint32_t uid;

	/* CPUs that the guest gave it, in the guest's numbers; NULL: all */
	cpu_set_t *wish;

	/* placement.c's */
	struct {
		struct task_group *group;
		struct task *next;		/* in the group */
		pid_t partner;			/* slept when we were woken, of late */
		unsigned score;			/* how often in a row, up to a limit */
		unsigned near;			/* the same, on one CPU */
		bool asleep, held;
		uint64_t run_ns;		/* when it got its CPU last; 0: not known */
		uint64_t mean_burst_ns;		/* of how long it keeps one, of late */
		uint64_t mark_ns, mark_run_ns;	/* when it met its partner, and its run time then */
		uint64_t sample_run_ns, sample_wait_ns, sample_slices;	/* the last sample; 0: none */
		uint64_t mean_wait_ns;		/* for a CPU, before it had it; 0: not known */
		uint64_t not_before_ns;		/* no new place until then */
		unsigned splits;
	} place;
};

#define TASK_BUCKETS 4096
#define TASK_MAX 65536			/* threads that are kept; others are only counted */

struct task_table {
	const struct vcpus *vcpus;
	struct task *bucket[TASK_BUCKETS];
	struct task **on_cpu;		/* by host CPU: who runs there, NULL */
	uint64_t *busy_ns;		/* by guest CPU */
	unsigned n, count[TASK_NUM_STATES];
	uint64_t forks, execs, exits, sleeps, wakes, preempts, lost, untracked;
	struct task *newest;		/* of those that live, the one forked last */

	uint64_t now_ns;		/* time of the newest record */
	uint64_t idle_since_ns;		/* every task sleeps since then; 0: not so */
	uint64_t idle_ns;		/* before that */
	struct loadavg load;

	/* May be NULL. @t is about to be freed. */
	void (*gone)(void *ctx, struct task *t);
	void *ctx;
};

int task_table_init(struct task_table *tt, const struct vcpus *v, uint64_t now_ns);
void task_table_destroy(struct task_table *tt);

struct task *task_find(struct task_table *tt, pid_t tid);

/* A thread found in /proc: state RUNNABLE, or what it is. NULL: no memory or no room. */
struct task *task_add(struct task_table *tt, pid_t pid, pid_t tid, uint64_t ns);
void task_remove(struct task_table *tt, struct task *t, uint64_t ns);

/* What /proc said of it: one of the states but RUNNING, or its life again. */
void task_set_state(struct task_table *tt, struct task *t, enum task_state to, uint64_t ns);

/**
 * task_record() - Take in one record
 *
 * Return: the thread it is about, or NULL if it is about none, or none any more.
 */
struct task *task_record(struct task_table *tt, const struct sleepwake_record *r);

/* /proc says that it runs or could run, on this CPU: it has a record when that ends. */
void task_found_running(struct task_table *tt, struct task *t, int cpu, uint64_t ns);

/* Count time up to now: load, idle time. */
void task_table_advance(struct task_table *tt, uint64_t now_ns);

/* Run or could run. */
static inline unsigned task_active(const struct task_table *tt)
{
	return tt->count[TASK_RUNNING] + tt->count[TASK_RUNNABLE];
}

/* Time in a state, the current one up to @now_ns included. */
uint64_t task_time(const struct task *t, enum task_state s, uint64_t now_ns);

static inline bool task_is_first(const struct task *t)
{
	return t->tid == t->pid;
}

/* Each task, in no order; the body must not remove any. */
#define TASK_FOR_EACH(tt, t)                                                                       \
	for (unsigned task_bucket = 0; task_bucket < TASK_BUCKETS; task_bucket++)                  \
		for (struct task *t = (tt)->bucket[task_bucket]; t; t = t->next)

#endif
