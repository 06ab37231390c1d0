/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quiet.h - does every task of the guest sleep?
 *
 * The host does not tell of wake-ups: a task may be woken and not have run yet,
 * which its records do not show, and looking at the tasks one after the other
 * shows no single moment. Two looks do: if a thread slept in both and was not
 * switched to in between, it slept all the while; if that holds for all threads,
 * and both looks met the same ones, then there was a moment, between the looks,
 * when all slept. Nothing but the outside world can have woken one since.
 * A thread that has said that it will sleep, and was preempted before it did, looks the
 * same: in the second look the host is asked whether it is off its CPU (hostproc_rests()).
 *
 * A thread sleeps when the host calls it interruptible (S), stopped (T, t) or
 * ended (Z); one that waits for a disk, or in vfork(2) for its child, does not
 * (D). Of one that waits for the guest kernel's answer the host says S: the
 * doors are asked, between the looks and behind the second.
 */
#ifndef WEIR_KERNEL_QUIET_H
#define WEIR_KERNEL_QUIET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct kernel;

struct quiet_task {
	pid_t tid;
	uint64_t switches;
	bool traced;
};

/* One look. Zeroed before the first use; quiet_free() at the end. */
struct quiet {
	struct quiet_task *task;
	unsigned n, room;
	pid_t active;		/* a thread that was met awake last time, 0 */
	unsigned shortcuts;	/* how often that was enough to know */
};

/* Look at all threads. Return: true if all were asleep, each when it was met. */
bool quiet_look(struct kernel *k, struct quiet *q);

/* Look again. Return: was there a moment since @before when all slept? */
bool quiet_since(struct kernel *k, const struct quiet *before, struct quiet *q);

/* Had this thread a tracer? */
bool quiet_traced(const struct quiet *q, pid_t tid);

void quiet_free(struct quiet *q);

#endif
