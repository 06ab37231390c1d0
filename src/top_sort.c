/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_sort.c - which tasks and traps weir top shows, and in which order
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/util.h"
#include "top_model.h"

/* What is not known comes first going up, and so last going down. */
static int compare_rate(double a, double b)
{
	if (isnan(a) || isnan(b))
		return !isnan(a) - !isnan(b);
	return (a > b) - (a < b);
}

static int compare_number(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int by_cpu(const struct top_task *a, const struct top_task *b)
{
	return compare_rate(a->cpu, b->cpu);
}

static int by_time(const struct top_task *a, const struct top_task *b)
{
	return compare_number(a->run_ns, b->run_ns);
}

static int by_sleeps(const struct top_task *a, const struct top_task *b)
{
	return compare_rate(a->sleep_rate, b->sleep_rate);
}

static int by_preempts(const struct top_task *a, const struct top_task *b)
{
	return compare_rate(a->preempt_rate, b->preempt_rate);
}

static int by_pid(const struct top_task *a, const struct top_task *b)
{
	return compare_number(a->pid, b->pid);
}

static int by_name(const struct top_task *a, const struct top_task *b)
{
	return strcmp(a->comm, b->comm);
}

static int by_state(const struct top_task *a, const struct top_task *b)
{
	return strcmp(a->state, b->state);
}

static int by_vcpu(const struct top_task *a, const struct top_task *b)
{
	return compare_number(a->vcpu, b->vcpu);
}

const struct top_sort top_sorts[] = {
	{ 'c', "cpu", true, by_cpu },	    { 't', "time", true, by_time },
	{ 's', "sleeps", true, by_sleeps }, { 'e', "preempts", true, by_preempts },
	{ 'p', "pid", false, by_pid },	    { 'n', "name", false, by_name },
	{ 'a', "state", false, by_state },  { 'v', "vcpu", false, by_vcpu },
};
const unsigned top_sorts_len = ARRAY_SIZE(top_sorts);

const struct top_sort *top_sort_by_name(const char *name)
{
	for (unsigned i = 0; i < top_sorts_len; i++)
		if (streq(top_sorts[i].name, name))
			return &top_sorts[i];
	return NULL;
}

const struct top_sort *top_sort_by_key(int key)
{
	for (unsigned i = 0; i < top_sorts_len; i++)
		if (top_sorts[i].key == key)
			return &top_sorts[i];
	return NULL;
}

struct order {
	const struct top_sort *by;
	int sign;
};

static int compare_tasks(const void *va, const void *vb, void *arg)
{
	const struct top_task *a = va, *b = vb;
	const struct order *o = arg;
	int ret = o->sign * o->by->compare(a, b);

	if (ret == 0)
		ret = compare_number(a->pid, b->pid);
	return ret ? ret : compare_number(a->host_pid, b->host_pid);
}

static int compare_traps(const void *va, const void *vb)
{
	const struct top_trap *a = va, *b = vb;
	int ret = compare_rate(b->rate, a->rate);

	return ret ? ret : compare_number(b->count, a->count);
}

void top_sample_sort(struct top_sample *s, const struct top_sort *by, bool reverse)
{
	struct order o = { by, by->descending != reverse ? -1 : 1 };

	qsort_r(s->task, s->task_len, sizeof(*s->task), compare_tasks, &o);
	qsort(s->trap, s->trap_len, sizeof(*s->trap), compare_traps);
}

static bool has(const char *s, const char *filter)
{
	return strcasestr(s, filter) != NULL;
}

bool top_task_matches(const struct top_task *t, const char *filter)
{
	char pid[24];

	snprintf(pid, sizeof(pid), "%lld", (long long)t->pid);
	return !filter[0] || has(t->comm, filter) || has(t->state, filter) || streq(pid, filter);
}

bool top_trap_matches(const struct top_trap *t, const char *filter)
{
	return !filter[0] || has(t->syscall, filter) || has(t->rule, filter);
}
