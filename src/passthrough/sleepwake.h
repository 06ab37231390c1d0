/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sleepwake.h - the host tells of every fork, exec, exit, sleep and run
 *
 * perf_event_open(2) records of context switches, tasks and names of all guest
 * tasks, one ring for each host CPU. Nothing is trapped and the guest cannot
 * tell. The observer is a thread of its own, SCHED_BATCH, so that it preempts
 * no guest task; it is woken by a ring that fills up, by a drain timer while
 * records come in, and by whoever wants to know now. An idle guest costs no
 * wake-up. The other side of that: what a guest does that was idle for a quarter
 * of a second, and does no more than a thousand sleeps since, is not known until
 * somebody drains.
 *
 * It knows nothing of the guest kernel: the handler is given to it.
 */
#ifndef WEIR_PASSTHROUGH_SLEEPWAKE_H
#define WEIR_PASSTHROUGH_SLEEPWAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sleepwake;

enum sleepwake_kind {
	SLEEPWAKE_FORK,		/* tid of process pid begins; ppid, ptid: who made it */
	SLEEPWAKE_EXEC,		/* pid has a new image, called comm */
	SLEEPWAKE_COMM,		/* tid is now called comm */
	SLEEPWAKE_EXIT,		/* tid ends, or (a set-id exec) is no longer reported */
	SLEEPWAKE_RUN,		/* tid runs on cpu from now on */
	SLEEPWAKE_SLEEP,	/* tid left cpu by itself: waits for something */
	SLEEPWAKE_PREEMPT,	/* tid was taken off cpu and could still run */
	SLEEPWAKE_LOST,		/* @lost records of cpu were lost: look again at all.
				 * 0: perhaps some; a later one may tell the number */
};

/* Pids are the host's. */
struct sleepwake_record {
	enum sleepwake_kind kind;
	uint32_t cpu;		/* host's number */
	uint64_t ns;		/* CLOCK_MONOTONIC of the host; never goes back */
	pid_t pid, tid;
	pid_t ppid, ptid;	/* SLEEPWAKE_FORK */
	uint64_t lost;		/* SLEEPWAKE_LOST */
	char comm[16];		/* SLEEPWAKE_EXEC, SLEEPWAKE_COMM */
};

/*
 * Both run on the observer's thread (or on that of sleepwake_drain()), never
 * at the same time. They may attach; they may not drain nor close.
 */
struct sleepwake_config {
	/* One record; in order of time, over all CPUs of one drain. */
	void (*record)(void *ctx, const struct sleepwake_record *r);
	/* After each drain. @n: how many records it had. */
	void (*drained)(void *ctx, uint64_t now_ns, unsigned n);
	void *ctx;
	size_t ring_bytes;	/* of each ring; 0: as many as are useful and allowed */
	/* Host CPUs that the observed may use, for sleepwake_open() alone; 0 of them:
	 * all that the host has, online or not. */
	const int *cpu;
	unsigned ncpus;
};

/**
 * sleepwake_open() - Start an observer of nobody yet
 *
 * The first event of a host takes it a grace period of RCU, around 10 ms, in
 * which the calling thread cannot be killed either.
 *
 * Return: 0; -EACCES, -EPERM (perf_event_paranoid, or no ring fits into
 * perf_event_mlock_kb and RLIMIT_MEMLOCK), -ENOSYS, -ENOENT (a host without
 * perf) if the host does not let us: states are then to be had from /proc only.
 */
int sleepwake_open(const struct sleepwake_config *cfg, struct sleepwake **ret);
void sleepwake_close(struct sleepwake *sw);

/**
 * sleepwake_attach() - Observe a task and all that it will make from now on
 * @tid: host's; a thread that runs already has to be attached by itself
 *
 * Takes a descriptor for each CPU, until the task and all that it made have
 * ended. A task that is attached twice is told of twice.
 *
 * Return: 0, -ESRCH if it is gone, or why the host refused.
 */
int sleepwake_attach(struct sleepwake *sw, pid_t tid);

/* Observe nobody any more: closes all events. What was written before is still
 * told. For whoever attaches on another thread meanwhile, either may come first. */
void sleepwake_detach(struct sleepwake *sw);

/**
 * sleepwake_rest() - Let go of all events, those of the rings too
 *
 * After sleepwake_detach(). As long as there is one event that belongs to a task,
 * the host looks for more at each switch of any task, and for a second after the
 * last is closed. Nobody may attach until sleepwake_resume() has returned 0; that
 * makes the rings anew, or says why not (as sleepwake_open()) and may be tried
 * again. Each waits for the observer, which waits for the lock of whoever drains.
 */
void sleepwake_rest(struct sleepwake *sw);
int sleepwake_resume(struct sleepwake *sw);

/* Handle all records up to now, on the calling thread. */
void sleepwake_drain(struct sleepwake *sw);

/* How many CPUs are observed: as many events has each task. */
unsigned sleepwake_cpus(const struct sleepwake *sw);

/* How often the observer has woken up, for stats. */
uint64_t sleepwake_wakeups(const struct sleepwake *sw);

#endif
