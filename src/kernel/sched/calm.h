/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calm.h - when a guest is looked at for the first time
 *
 * A look costs most where it says least: tasks that stop for the guest kernel
 * or fork all the time. How often they do is known without observing them: from
 * the doors' count of calls, and from the last pid of the host. The latter are
 * forks of others, too, so that the guest's are so many at most. The first look
 * waits for a moment with few of both, but not for long: tasks that wake each
 * other are to be found within 100 ms. A program that has ended by then was not
 * observed, and was not slower for it.
 *
 * Later, in a rest from observing (rest.c), the same and the switches of the
 * guest's tasks, which /proc tells, say whether that goes on which it rests from.
 *
 * Makes no system call and has no lock: observe.c has it.
 */
#ifndef WEIR_KERNEL_CALM_H
#define WEIR_KERNEL_CALM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CALM_STEP_NS 10000000		/* between two samples */
#define CALM_LATEST_NS 70000000		/* and 10 ms until a host has its first event */
#define CALM_FORK_NS 40000	/* a fork takes its guest no less */
#define CALM_PART 50	/* a look may cost one part in so many of the time it takes */

/* What has been so far. */
struct calm_sample {
	uint64_t ns;		/* when */
	uint64_t calls;		/* that stopped, of all doors */
	pid_t last_pid;		/* of the host; 0: not known */
	uint64_t run_ns;	/* that the guest's tasks have run, those that ended too; 0: not known */
	uint64_t switches;	/* times that tasks were given a CPU, as far as they are known */
};

/**
 * calm_between() - Could the guest be looked at now?
 * @first: when it began to run
 * @a, @b: the last two samples
 * @cpus: how many events a fork would have to inherit
 */
bool calm_between(const struct calm_sample *first, const struct calm_sample *a,
		  const struct calm_sample *b, unsigned cpus);

/* Would observing the guest for good cost no more than it may? */
bool calm_for_good(const struct calm_sample *a, const struct calm_sample *b, unsigned cpus);

#endif
