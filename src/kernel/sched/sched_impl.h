/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched_impl.h - what the files of the scheduler share
 *
 *   sched.c      boot's step, the view, affinity
 *   observe.c    the host's records into the task table; when to look at /proc
 *   rest.c       when not to be told, because it costs the guest too much
 *   walk.c       the host's /proc into the task table
 *   sched_json.c the same for weir stats
 *   placement.c  who is put where; vcpu.c, task.c, loadavg.c, hostproc.c
 */
#ifndef WEIR_KERNEL_SCHED_IMPL_H
#define WEIR_KERNEL_SCHED_IMPL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel/kernel.h"
#include "kernel/sched.h"
#include "kernel/sched/calm.h"
#include "kernel/sched/observe_budget.h"
#include "kernel/sched/placement.h"
#include "kernel/sched/vcpu.h"
#include "kernel/task.h"
#include "passthrough/sleepwake.h"

#define SCHED_MAX_HOOKS 4
#define SCHED_MAX_ROOTS 256	/* init, and of weir exec those that run at once */
#define SCHED_STALE_NS 50000000	/* no record for so long: ask /proc whether it is true */
#define SCHED_MAX_ENDED 256	/* zombies that are looked after; others when somebody asks */

struct sched_ended {
	pid_t tid;
	bool fresh;		/* not looked at since its EXIT */
};

struct sched {
	struct kernel *kernel;
	struct vcpus vcpus;		/* constant after boot */
	enum policy_sched_source want;

	/*
	 * lock: the table, placement and what follows. Whoever drains holds it
	 * from the first record of a drain to the last; sleepwake's functions
	 * are never called with it held.
	 */
	pthread_mutex_t lock;
	bool draining;			/* only who drains asks */
	struct task_table tasks;
	struct placement placement;
	pid_t root[SCHED_MAX_ROOTS];	/* processes the kernel put into the guest */
	unsigned nroots;
	struct sched_ended ended[SCHED_MAX_ENDED];
	unsigned nended;
	pid_t revived[SCHED_MAX_ENDED];	/* dropped by a set-id exec: to be attached to again */
	unsigned nrevived;
	pid_t anchor_pid;		/* a guest pid, and how many forks there were up to it */
	uint64_t anchor_fork;
	sched_idle_hook hook[SCHED_MAX_HOOKS];
	unsigned nhooks;
	bool told_idle;

	/* lock too; the worker waits on cond */
	pthread_cond_t cond;
	pthread_t worker;
	bool worker_runs, worker_waits, ending;
	bool walk_blind;		/* there may be threads that nobody observes */
	bool walk_all;			/* records were lost */
	bool walk_again;		/* some may have been missed while we attached */
	uint64_t checked_ns;		/* when tasks were last looked at for a missed end */

	/* lock too: what observing costs, and the rests from it (rest.c) */
	struct observe_budget budget;
	unsigned forked;		/* in the drain that goes on */
	uint64_t calls;			/* that had stopped up to the last */
	bool rest_wanted;
	struct sleepwake *rested;	/* observes nobody until rest_until_ns; sw is NULL meanwhile */
	uint64_t rest_until_ns, rest_since_ns;
	unsigned rests;
	enum observe_cost rest_reason;	/* of the last */
	struct calm_sample judged;	/* at the last rest_judge(); .ns 0: none in this rest */
	bool rest_refused;		/* the host did not let us end it */
	const char *rest_over;		/* why it ended early; NULL: it did not */
	uint64_t early_ns, early_wait_ns;	/* when the last did, and how long none may from then */
	unsigned early;

	/* lock too: since the observer began or went on, a blind walk has met all tasks. Who is
	 * not known from then on, the record of its fork was lost. */
	bool told;

	/* lock too: run time of tasks that ended unobserved, see walk.c. Of the guest's
	 * processes and the children they have waited for; and busy time, at the time when
	 * both told the same. */
	bool unseen;			/* there may be such */
	bool unseen_based;
	uint64_t unseen_tree_ns, unseen_busy_ns;

	/* set by the worker; what it once pointed to stays */
	struct sleepwake *_Atomic sw;	/* NULL: not yet, resting, or source = traps */
	_Atomic bool traps;		/* there will be none */

	pthread_mutex_t walk_lock;	/* one walk at a time; taken before lock */
	uint64_t walked_ns, walk_took_ns;	/* when the last one was; CPU time of the last of all */
	uint64_t tree_ns;		/* run time of the guest's processes and those they waited for, then */
	unsigned walk;			/* number of the last one */
};

/* observe.c */
int observe_probe(void);		/* does the host let us? 0 or a negative errno */
void observe_start(struct sched *s);
void observe_stop(struct sched *s);
struct calm_sample observe_sample_calm(void);
void observe_wake(struct sched *s);	/* lock held: the worker has something to do */
void observe_now(struct sched *s);	/* the table up to this moment */
void observe_walk(struct sched *s);	/* all of /proc below init, whatever the source */
uint64_t observe_wakeups(struct sched *s);

/* rest.c; lock held by the callers of all */
void rest_account(struct sched *s, uint64_t now_ns, unsigned records);
void rest_begin(struct sched *s);		/* gives the lock back meanwhile */
void rest_end(struct sched *s);
void rest_judge(struct sched *s);		/* behind a walk of all: need it go on? */
bool rest_is_over(const struct sched *s);
uint64_t rest_next_look(const struct sched *s);	/* ns until the worker has something to do */
void rest_look(struct sched *s);
void rest_look_at_group(struct sched *s, uint64_t now_ns);	/* in /proc: at one that is due */
uint64_t sched_busy_ns(const struct sched *s, uint64_t now_ns);	/* of all CPUs */

/* walk.c */

/**
 * walk_from_roots() - Look at every thread of the guest
 * @blind: attach to those that nobody observes
 * @lost:  records were, or there are none: who is not met is dead
 */
void walk_from_roots(struct sched *s, bool blind, bool lost);

/* The same from one process on, blind. */
void walk_from(struct sched *s, pid_t pid);

/* Look at those that records say little about: sleepers and zombies. For
 * whoever shows all tasks. */
void walk_asleep(struct sched *s);

#endif
