/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostproc.h - what the host's /proc says of a guest's threads
 *
 * Formats: proc_pid_stat(5), proc_pid_status(5), proc_pid_schedstat in the
 * kernel's Documentation/scheduler/sched-stats.rst.
 */
#ifndef WEIR_KERNEL_HOSTPROC_H
#define WEIR_KERNEL_HOSTPROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* /proc/TID/stat; all numbers are the host's. */
struct hostproc_stat {
	char comm[16];
	char state;		/* R S D T t Z X I */
	bool exiting;		/* on its way to Z, in whatever state */
	pid_t ppid;
	int cpu;		/* where it runs or ran last */
	uint64_t start;		/* clock ticks since the host's boot; with the tid an identity */
	uint64_t run_ns;	/* user and system time, in steps of a clock tick; the process's */
	uint64_t child_ns;	/* the same of children that were waited for, and theirs */
};

/* The text of that file, which is changed. Return: 0, or -ESRCH if it is none. */
int hostproc_parse_stat(char *text, struct hostproc_stat *ret);

/* Return: 0, -ENOENT or -ESRCH if there is no such thread. */
int hostproc_stat(pid_t tid, struct hostproc_stat *ret);

/* /proc/TID/schedstat */
struct hostproc_slices {
	uint64_t run_ns;	/* time that a thread has run */
	uint64_t wait_ns;	/* time that it could have, and no CPU was free for it */
	uint64_t n;		/* how often it was given a CPU for that */
};

/* Return: 0, or -ENOENT also on a host without CONFIG_SCHED_INFO. */
int hostproc_slices(pid_t tid, struct hostproc_slices *ret);

/* /proc/TID/status */
struct hostproc_status {
	pid_t pid;			/* host's, of the process */
	pid_t guest_tid, guest_pid;	/* in the thread's own pid namespace */
	uint32_t uid;			/* effective, as our user namespace sees it */
	uint64_t voluntary, involuntary;	/* context switches */
	char state;			/* as in hostproc_stat */
	pid_t tracer;			/* 0: none */
	unsigned fd_size;		/* room of its table of descriptors */
};

void hostproc_parse_status(const char *text, struct hostproc_status *ret);
int hostproc_status(pid_t tid, struct hostproc_status *ret);

/* The last pid that was given out, /proc/loadavg's last number; 0: not known. */
pid_t hostproc_last_pid(void);

/* /proc/TID/syscall: the call that a thread sleeps in. */
struct hostproc_call {
	int nr;
	uint64_t arg[6];
};

/* Return: 0; -EAGAIN if it runs or is in no call; -EPERM if we may not know;
 * -ENOENT or -ESRCH if there is no such thread. */
int hostproc_call(pid_t tid, struct hostproc_call *ret);

/**
 * hostproc_rests() - Is a thread off its CPU, and not about to be on one?
 *
 * A state of S is set before a thread has looked whether it has to sleep, and it may be
 * preempted there. By /proc/TID/syscall: the host waits until the thread has been switched
 * from, and says "running" if it is in another state then. Where we may not ask, yes.
 */
bool hostproc_rests(pid_t tid);

/**
 * hostproc_walk() - Visit every thread of some processes and their descendants
 * @visit: called for a thread before its children are looked for
 *
 * By children.h. Processes that come and go meanwhile may be missed; whoever
 * needs all of them walks until nothing is new.
 * Return: 0 or -ENOMEM.
 */
int hostproc_walk(const pid_t *root, unsigned nroots,
		  void (*visit)(void *ctx, pid_t pid, pid_t tid), void *ctx);

#endif
