/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budget.c - memory that is promised, where no cgroup counts what is used
 */
#include "mmu/budget.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define COUNT_AGE_NS 10000000	/* of a count that is only shown */
#define LANDING_NS 20000000	/* of its own CPU time: after that a call is over */
#define PATIENCE 20		/* counts, a millisecond apart, before a refusal that
				 * hangs on calls under way */

void budget_init(struct budget *b, uint64_t limit, budget_count count, void *ctx)
{
	*b = (struct budget){ .limit = limit, .count = count, .ctx = ctx };
	pthread_mutex_init(&b->lock, NULL);
}

void budget_exit(struct budget *b)
{
	pthread_mutex_destroy(&b->lock);
}

/* ---- calls under way ---------------------------------------------------- */

/* First number of /proc/TID/schedstat; 0 where the host does not tell. */
static uint64_t run_ns(pid_t tid)
{
	char path[48], text[96];

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)tid);
	return host_read_file(AT_FDCWD, path, text, sizeof(text)) > 0 ? strtoull(text, NULL, 10) : 0;
}

/* Is the caller beyond its call? /proc/TID/syscall has the number of the call
 * that a thread sleeps in, "running", or -1 for a sleep outside of any. */
static bool has_landed(struct budget_grant *g)
{
	char path[48], text[256];

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)g->tid);
	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return true;
	if (str_starts(text, "running")) {
		uint64_t now = run_ns(g->tid);

		if (!g->run_ns)
			g->run_ns = now;
		return now > g->run_ns + LANDING_NS;
	}
	return strtol(text, NULL, 10) != g->nr;
}

static void forget_grant(struct budget *b, unsigned i)
{
	b->grant[i] = b->grant[--b->ngrants];
}

/* A caller that calls again is through with what it called before. */
static void forget_caller(struct budget *b, pid_t tid)
{
	for (unsigned i = b->ngrants; i-- > 0;)
		if (b->grant[i].tid == tid)
			forget_grant(b, i);
}

static uint64_t under_way(struct budget *b)
{
	uint64_t sum = 0;

	for (unsigned i = b->ngrants; i-- > 0;) {
		if (has_landed(&b->grant[i]))
			forget_grant(b, i);
		else
			sum += b->grant[i].bytes;
	}
	return sum;
}

/* ---- counting ----------------------------------------------------------- */

/* What is under way is asked for first: what lands in between is counted twice,
 * never not at all. Return: what was added for that. */
static uint64_t recount(struct budget *b)
{
	uint64_t flying = under_way(b), bytes;

	if (b->count(b->ctx, &bytes) < 0)
		return flying;
	b->counted = bytes + flying;
	b->counted_ns = host_now();
	b->granted = 0;
	return flying;
}

static bool fits(const struct budget *b, uint64_t bytes)
{
	uint64_t used = b->counted + b->granted;

	return used <= b->limit && bytes <= b->limit - used && b->ngrants < BUDGET_GRANTS;
}

static bool make_fit(struct budget *b, uint64_t bytes)
{
	for (int i = 0; i < PATIENCE && !fits(b, bytes); i++) {
		if (i)
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		/* The truth, and no call under way that it could hang on. */
		if (recount(b) == 0)
			break;
	}
	return fits(b, bytes);
}

/* Lock held. */
static void grant(struct budget *b, pid_t tid, int nr, uint64_t bytes)
{
	if (bytes)
		b->grant[b->ngrants++] = (struct budget_grant){ tid, nr, bytes, 0 };
	b->granted += bytes;
}

int budget_try(struct budget *b, pid_t tid, int nr, uint64_t bytes)
{
	int ret = -EAGAIN;

	/* Somebody may be counting. */
	if (pthread_mutex_trylock(&b->lock) != 0)
		return ret;
	forget_caller(b, tid);
	if (fits(b, bytes)) {
		grant(b, tid, nr, bytes);
		ret = 0;
	}
	pthread_mutex_unlock(&b->lock);
	return ret;
}

int budget_charge(struct budget *b, pid_t tid, int nr, uint64_t bytes, uint64_t covered)
{
	uint64_t added = bytes - MIN(covered, bytes);
	int ret = 0;

	pthread_mutex_lock(&b->lock);
	forget_caller(b, tid);
	if (bytes > b->limit || (!fits(b, added) && !make_fit(b, added))) {
		b->refused++;
		ret = -ENOMEM;
	} else {
		grant(b, tid, nr, bytes);
	}
	pthread_mutex_unlock(&b->lock);
	return ret;
}

uint64_t budget_used(struct budget *b)
{
	uint64_t used;

	pthread_mutex_lock(&b->lock);
	if (!b->counted_ns || host_now() - b->counted_ns > COUNT_AGE_NS)
		recount(b);
	used = b->counted + b->granted;
	pthread_mutex_unlock(&b->lock);
	return used;
}

uint64_t budget_refused(struct budget *b)
{
	uint64_t n;

	pthread_mutex_lock(&b->lock);
	n = b->refused;
	pthread_mutex_unlock(&b->lock);
	return n;
}

int budget_resize(struct budget *b, uint64_t limit)
{
	int ret = 0;

	pthread_mutex_lock(&b->lock);
	if (limit < b->limit)
		recount(b);
	if (b->counted + b->granted > limit)
		ret = -EBUSY;
	else
		b->limit = limit;
	pthread_mutex_unlock(&b->lock);
	return ret;
}
