/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budget.h - memory that is promised, where no cgroup counts what is used
 *
 * As Linux does with vm.overcommit_memory = 2: who maps private writable memory
 * is charged for all of it, at the time of the call, and gets ENOMEM beyond the
 * limit. The host's own numbers are the truth (usage.h), asked for when the
 * upper bound that is kept meanwhile (the last count, and all that was granted
 * since) does not let a call through: what is given back is not trapped.
 *
 * A grant is not in the host's numbers before the host has done the call. Until
 * its caller is seen beyond it, it is counted beside them.
 */
#ifndef WEIR_MMU_BUDGET_H
#define WEIR_MMU_BUDGET_H

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>

#define BUDGET_GRANTS 256	/* callers on their way back into the host at a time */

/* Count all that the guest has mapped. Return: 0 or a negative errno. */
typedef int (*budget_count)(void *ctx, uint64_t *ret_bytes);

struct budget {
	pthread_mutex_t lock;
	budget_count count;
	void *ctx;
	uint64_t limit;		/* bytes */

	uint64_t counted, counted_ns;	/* when count() was last asked */
	uint64_t granted;	/* since then */
	struct budget_grant {
		pid_t tid;
		int nr;
		uint64_t bytes;
		uint64_t run_ns;	/* of its CPU time when it was first looked for */
	} grant[BUDGET_GRANTS];
	unsigned ngrants;
	uint64_t refused;	/* calls */
};

void budget_init(struct budget *b, uint64_t limit, budget_count count, void *ctx);
void budget_exit(struct budget *b);

/**
 * budget_try() - As budget_charge(), at once
 *
 * Return: 0, or -EAGAIN if that needs a count.
 */
int budget_try(struct budget *b, pid_t tid, int nr, uint64_t bytes);

/**
 * budget_charge() - May a call have so much more?
 * @tid:   who makes it
 * @nr:    of the call, which the host does when this says 0
 * @bytes: what it may add at most
 * @covered: of that, what the caller says is charged already, by mappings that it
 *         replaces. Until the call is over it counts as new all the same: another
 *         thread may take those away before.
 *
 * Any thread; may take milliseconds near the limit. Return: 0 or -ENOMEM.
 */
int budget_charge(struct budget *b, pid_t tid, int nr, uint64_t bytes, uint64_t covered);

/* What is promised now; counted anew if the last count is older than a tick. */
uint64_t budget_used(struct budget *b);

/* Calls that were refused. */
uint64_t budget_refused(struct budget *b);

/* Change the limit. Return: 0, -EBUSY if more than that is promised. */
int budget_resize(struct budget *b, uint64_t limit);

#endif
