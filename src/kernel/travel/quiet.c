/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quiet.c - does every task of the guest sleep?
 */
#include "kernel/travel/quiet.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/hostproc.h"
#include "kernel/kernel.h"
#include "kernel/sched.h"
#include "kernel/time/timekeeper.h"
#include "kernel/util.h"

#define MAX_SHORTCUTS 16	/* in a row, without a look at all */

struct look {
	struct quiet *q;
	bool surely;	/* the second */
	bool asleep;
};

static bool is_asleep(const struct hostproc_status *st)
{
	return st->state && strchr("STtZ", st->state);
}

static bool add(struct quiet *q, pid_t tid, const struct hostproc_status *st)
{
	if (q->n == q->room) {
		unsigned room = q->room ? q->room * 2 : 64;
		struct quiet_task *task = realloc(q->task, room * sizeof(*task));

		if (!task)
			return false;
		q->task = task;
		q->room = room;
	}
	q->task[q->n++] = (struct quiet_task){
		tid, st->voluntary + st->involuntary, st->tracer != 0
	};
	return true;
}

static void visit(void *ctx, pid_t pid, pid_t tid)
{
	struct look *l = ctx;
	struct hostproc_status st;

	/* One is enough; what the others do does not matter then. */
	if (!l->asleep)
		return;
	/* In this order: with the count that it had in the first look, it has rested since. */
	l->asleep = (!l->surely || hostproc_rests(tid)) && hostproc_status(tid, &st) == 0 &&
		    is_asleep(&st) && add(l->q, tid, &st);
	if (!l->asleep)
		l->q->active = tid;
}

static bool look(struct kernel *k, struct quiet *q, bool surely)
{
	struct look l = { .q = q, .surely = surely, .asleep = true };
	struct hostproc_status st;

	q->n = 0;
	/* Who was awake last time most often still is; but its id may be another's
	 * by now, outside of the guest. */
	if (q->active && ++q->shortcuts % MAX_SHORTCUTS &&
	    hostproc_status(q->active, &st) == 0 && !is_asleep(&st))
		return false;
	q->active = 0;
	return sched_walk(k, visit, &l) == 0 && l.asleep && q->n > 0;
}

bool quiet_look(struct kernel *k, struct quiet *q)
{
	return look(k, q, false);
}

static int by_tid(const void *a, const void *b)
{
	const struct quiet_task *x = a, *y = b;

	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

/* For the host who waits for an answer sleeps, and so does who is held (redirect.h). */
static bool nobody_served(const struct kernel *k)
{
	return door_all_idle() && redirects_idle(k);
}

bool quiet_since(struct kernel *k, const struct quiet *before, struct quiet *q)
{
	/* At the end again: a task that is just falling asleep has not been switched
	 * from yet, and may have come to the door after the first question. */
	if (!nobody_served(k) || !look(k, q, true) || !nobody_served(k) || q->n != before->n)
		return false;
	qsort(before->task, before->n, sizeof(*q->task), by_tid);
	qsort(q->task, q->n, sizeof(*q->task), by_tid);
	for (unsigned i = 0; i < q->n; i++)
		if (before->task[i].tid != q->task[i].tid ||
		    before->task[i].switches != q->task[i].switches)
			return false;
	return true;
}

bool quiet_traced(const struct quiet *q, pid_t tid)
{
	for (unsigned i = 0; i < q->n; i++)
		if (q->task[i].tid == tid)
			return q->task[i].traced;
	return false;
}

void quiet_free(struct quiet *q)
{
	free(q->task);
	*q = (struct quiet){};
}
