/* SPDX-License-Identifier: Apache-2.0 */
/*
 * observe_budget.h - what observing the guest may cost it: a token bucket
 *
 * Tokens are nanoseconds of the observed CPUs. They come at OBSERVE_SHARE of
 * the time for which the guest runs (or of one CPU's, if that is more), up to
 * OBSERVE_SAVED, and go with each record and fork. Over any ten seconds the
 * observer so costs at most OBSERVE_SAVED + 10 s * OBSERVE_SHARE, 1 % of a
 * busy CPU, and in the long run half a percent. With none left the guest is not
 * observed until there are OBSERVE_LOOK again; who has lived beyond its means
 * waits longer. Makes no system call and has no lock: observe.c has it.
 *
 * Prices, measured on Linux 6.18 by tools/bench (rows pipe and fork with
 * sched.source = perf and = traps, two CPUs): 1.9 to 2.2 us for the four records
 * of a ping-pong's round trip; 12 us for a fork whose child ends at once, seven
 * records and two inherited events that are made, and freed at its end. A call
 * that stops (row getppid, all-trap) is 3.5 us dearer, with two records: from an
 * observed task to one that is not, the host takes the events off the CPU, which
 * it need not between two that inherited the same.
 */
#ifndef WEIR_KERNEL_OBSERVE_BUDGET_H
#define WEIR_KERNEL_OBSERVE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define OBSERVE_PRICE_RECORD 500	/* ns */
#define OBSERVE_PRICE_CALL 2500		/* ns: that stops, besides its records */
#define OBSERVE_FORK_RECORDS 7
#define OBSERVE_SWITCH_RECORDS 2	/* a task comes, and goes */
#define OBSERVE_AFTER 10	/* of what records cost in a second, one part in so many */
#define OBSERVE_AFTER_MAX 50000000	/* ns; placement would learn of new pairs too late */
#define OBSERVE_PRICE_EVENT 4000	/* ns: one inherited, for each ring and fork */
#define OBSERVE_SHARE 200		/* one part in so many */
#define OBSERVE_SAVED 50000000		/* ns */
#define OBSERVE_FIRST 1000000		/* ns; a pair is found for a tenth of that */
#define OBSERVE_LOOK 3000000		/* ns */

/* What tokens go for. */
enum observe_cost {
	OBSERVE_COST_RECORDS, OBSERVE_COST_CALLS, OBSERVE_COST_FORKS, OBSERVE_COST_ATTACH, OBSERVE_NUM_COSTS,
};
extern const char *const observe_cost_str[OBSERVE_NUM_COSTS];

struct observe_budget {
	int64_t left_ns;
	uint64_t now_ns, busy_ns;	/* when it was last earned for, and the guest's run time then */
	uint64_t width;			/* run time of late, in thousandths of the time that passed */
	uint64_t passed_ns;		/* between the last two times that it was earned for */
	uint64_t records_per_s;		/* what records cost a second, in the dearest of these times; ns */
	uint64_t spent_ns[OBSERVE_NUM_COSTS];	/* since boot */
	uint64_t look_ns[OBSERVE_NUM_COSTS];	/* since the guest is observed */
};

void observe_budget_init(struct observe_budget *b, uint64_t now_ns);

/**
 * observe_budget_earn() - Time has passed
 * @busy_ns: run time of the guest, all its CPUs together; OBSERVE_UNKNOWN while
 *	     nobody observes: then it is taken to run as it did
 */
#define OBSERVE_UNKNOWN UINT64_MAX
void observe_budget_earn(struct observe_budget *b, uint64_t now_ns, uint64_t busy_ns);

void observe_budget_spend(struct observe_budget *b, enum observe_cost what, uint64_t ns);

/* Nobody observes from now on; what the host goes on doing for a second is paid for. */
void observe_budget_rest(struct observe_budget *b);

static inline bool observe_budget_is_spent(const struct observe_budget *b)
{
	return b->left_ns < 0;
}

/* How long until there is enough for a look, ns; 0: there is. */
uint64_t observe_budget_wait(const struct observe_budget *b);

/* The guest is observed (again) from now on. */
void observe_budget_look(struct observe_budget *b, uint64_t now_ns, uint64_t busy_ns);

/* Was this look dear because of what it cost to attach? So will the next be, whatever has
 * changed in the guest, and has to be earned. */
bool observe_budget_dear_to_attach(const struct observe_budget *b);

/* The next look need not wait until it is earned: it may cost what the first may. */
void observe_budget_grant(struct observe_budget *b);

/* For what most of the tokens of this look went. */
enum observe_cost observe_budget_most(const struct observe_budget *b);

#endif
