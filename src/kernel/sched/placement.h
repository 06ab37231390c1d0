/* SPDX-License-Identifier: Apache-2.0 */
/*
 * placement.h - which of the guest's tasks belong on one CPU
 *
 * Two tasks that wait for each other in turn never need two CPUs, and waking
 * the other on an idle CPU costs ten times what changing to it on the same CPU
 * does. The host's scheduler does not see this; the records of sleeps and runs
 * show it. Modes (weir-policy(5)):
 *
 *   auto    such pairs, and groups of up to four, are held on one CPU while
 *           they wake each other and need less than it has
 *   spread  each task is held on a CPU of its own as far as there are any
 *   pack    all tasks are held on as few CPUs as their load needs
 *   off     the host's scheduler decides alone
 *
 * Decisions are made between drains of the records, seldom for one task, and
 * each is written down with its reason. What the guest asked for by
 * sched_setaffinity(2) is never widened. Makes no system call but through
 * apply(), and has no lock: sched.c has it.
 */
#ifndef WEIR_KERNEL_PLACEMENT_H
#define WEIR_KERNEL_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/hostproc.h"
#include "kernel/sched/vcpu.h"
#include "kernel/task.h"
#include "passthrough/policy.h"

#define PLACEMENT_GROUP_MAX 4
#define PLACEMENT_GROUPS 256
#define PLACEMENT_DECISIONS 64	/* that are remembered */
#define PLACEMENT_WAITING 64	/* tasks that wait for a decision */

struct task_group {
	struct task *member;		/* by place.next */
	unsigned n;
	unsigned vcpu;
	uint64_t since_ns;
	uint64_t window_ns;		/* begin of the current window */
	unsigned wakes, partners;	/* of members in it; by another member */
	unsigned long_bursts, hogged, crowded;
	uint64_t sampled_ns;		/* when all members were last asked for their slices */
	const char *over;		/* why it is to end, NULL */
	struct task_group *next;
};

struct placement_decision {
	uint64_t ns;			/* host's monotonic */
	const char *what, *reason;
	pid_t tid[2];			/* host's; 0: none */
	unsigned vcpu;
};

struct placement {
	enum policy_sched_placement mode;
	struct task_table *tasks;
	const struct vcpus *vcpus;
	int (*apply)(pid_t tid, const struct host_cpus *set);	/* host_cpus_set() but for tests */

	struct task_group *group;
	unsigned ngroups;
	struct task *slept;		/* the last that did */
	struct task *left;		/* the last to leave a CPU, by itself or not */
	pid_t waiting[PLACEMENT_WAITING];	/* auto: may be one of a pair */
	unsigned nwaiting;
	pid_t loose[PLACEMENT_WAITING];	/* new: inherited a place, or has none yet */
	unsigned nloose;
	bool loose_overflow;		/* more than have room: look at all */

	unsigned open;			/* pack: CPUs in use */
	uint64_t mark_ns, mark_busy_ns;	/* pack: begin of the window; spread: last move */

	uint64_t rate_ns;		/* the rate limit's window */
	unsigned rate;			/* decisions in it */

	uint64_t migrations;		/* tasks put onto another CPU by us */
	uint64_t ndecisions;
	struct placement_decision decision[PLACEMENT_DECISIONS];	/* ndecisions % size is next */
};

void placement_init(struct placement *p, enum policy_sched_placement mode,
		    struct task_table *tt, const struct vcpus *v);
void placement_destroy(struct placement *p);

/* A record that task_record() has taken in. */
void placement_record(struct placement *p, struct task *t, const struct sleepwake_record *r);

/* A task that was met in /proc, and had no FORK. */
void placement_found(struct placement *p, struct task *t);

/* Between drains: decide, and tell the host. */
void placement_decide(struct placement *p, uint64_t now_ns);

/* A task is about to be freed. */
void placement_gone(struct placement *p, struct task *t);

/* Records end now, and what they said of who runs is not true for long; groups
 * stay. And come again. */
void placement_rest(struct placement *p, uint64_t now_ns);
void placement_resume(struct placement *p, uint64_t now_ns);

/**
 * placement_sample() - What records do not tell: how a member of a group has run
 * @sl: since it began
 *
 * Of all its members, and then placement_sampled(). Not more often than each
 * PLACEMENT_SAMPLE_NS.
 */
#define PLACEMENT_SAMPLE_NS 100000000
void placement_sample(struct task *t, const struct hostproc_slices *sl);
void placement_sampled(struct task_group *g, uint64_t now_ns);

/* Is a task held on fewer CPUs than the guest gave it? */
bool placement_holds(const struct placement *p, const struct task *t);

/* The guest has given a task other CPUs (t->wish): it has none of our places
 * until the next decision. Return: what the host said. */
int placement_release(struct placement *p, struct task *t, uint64_t now_ns);

/* Tell the host the CPUs that the guest gave a task. */
int placement_free(struct placement *p, const struct task *t);

#endif
