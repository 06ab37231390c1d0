/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched.h - the guest's virtual CPUs: who runs where, and who idles
 *
 * The host runs the guest's tasks; the guest kernel hears of it (sleepwake.h),
 * and tells the host, by affinity, which of its CPUs are the guest's and which
 * tasks belong together. A guest's CPU has a number of its own, from 0; what
 * host CPU stands behind it is written in struct sched_vcpu.
 */
#ifndef WEIR_KERNEL_SCHED_H
#define WEIR_KERNEL_SCHED_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ns/error.h"

struct kernel;
struct json_t;

#define SCHED_MAX_VCPUS 1024	/* the policy's limit, too */

struct sched_vcpu {
	int host_cpu;
	uint64_t busy_ns, idle_ns;	/* since boot; busy: a guest task ran on it */
};

/* The guest's machine as far as its CPUs go; one moment's. */
struct sched_view {
	const char *source;		/* "perf", "traps" or "off" */
	unsigned nvcpus;
	const struct sched_vcpu *vcpu;	/* nvcpus of them, the caller's buffer */
	uint64_t now_ns, since_ns;	/* host's monotonic: now, and the guest's boot */
	unsigned tasks;			/* threads; also in /proc/loadavg */
	unsigned runnable;		/* run or could run now */
	unsigned blocked;		/* in uninterruptible sleep, as far as known */
	uint64_t forks, execs, exits, sleeps, wakes, preempts, lost, migrations;
	unsigned pairs;			/* groups that are placed together now */
	double load[3];			/* 1, 5, 15 minutes */
	pid_t last_pid;			/* guest's */
	bool idle;			/* every task sleeps */
	uint64_t idle_ns;		/* time for which that was so */
};

/* Boot's step and its undoing. */
int sched_init(struct kernel *k, struct ns_error *err);
void sched_exit(struct kernel *k);

/* Init runs: begin to observe, a moment later and on a thread of its own. */
void sched_start(struct kernel *k);

/* A process is put into the guest by the kernel itself, and waits for its
 * program to run: nothing that it does then shall be missed. Before that the
 * host may refuse to let an ordinary user observe it: then once it runs. */
void sched_adopt(struct kernel *k, pid_t host_pid);
void sched_adopted(struct kernel *k, pid_t host_pid);

/* In the process that is to be init or exec'ed, before its program runs. */
void sched_enter(struct kernel *k);

/**
 * sched_look() - The view up to this moment
 * @vcpu: room for SCHED_MAX_VCPUS, which @ret points to afterwards
 */
void sched_look(struct kernel *k, struct sched_view *ret, struct sched_vcpu *vcpu);

/* How many CPUs the guest sees; constant after boot. */
unsigned sched_nvcpus(const struct kernel *k);

/**
 * sched_get_affinity() - CPUs, in the guest's numbers, that a task may use
 * @host_tid: 0 is not "myself" here
 *
 * Return: 0 or -ESRCH.
 */
int sched_get_affinity(struct kernel *k, pid_t host_tid, cpu_set_t *ret, size_t size);

/* Return: 0, -ESRCH, -EINVAL if none of @set is a CPU of the guest, or what the
 * host said. Rights are the caller's to check. */
int sched_set_affinity(struct kernel *k, pid_t host_tid, const cpu_set_t *set, size_t size);

/* A set of guest CPUs as the host's sched_setaffinity(2) takes it, in @ret_size
 * bytes. Return: false if none of it is the guest's. */
bool sched_host_set(struct kernel *k, const cpu_set_t *set, size_t size, void *ret, size_t ret_size);

/* hostproc_walk() over all threads of the guest: those of the processes that the kernel
 * put into it, and of all that descend from these. */
int sched_walk(struct kernel *k, void (*visit)(void *ctx, pid_t pid, pid_t tid), void *ctx);

/* The host's id of a thread that the guest calls @guest_tid. Return: it or -ESRCH. */
pid_t sched_host_tid(struct kernel *k, pid_t guest_tid);

/* The guest's number of the CPU that a task runs on or ran on last. */
int sched_cpu_of(struct kernel *k, pid_t host_tid);

/* Called when the guest becomes idle (true) and when it is no longer; on the
 * observer's thread. At most 4; for the clock and for memory. */
typedef void (*sched_idle_hook)(struct kernel *k, bool idle, uint64_t since_ns);
int sched_on_idle(struct kernel *k, sched_idle_hook hook);

/* "sched" and "tasks" of weir stats. */
struct json_t *sched_json(struct kernel *k);
struct json_t *sched_tasks_json(struct kernel *k);

#endif
