/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_model.c - what weir top knows of a guest: a sample of its stats, and rates
 */
#include "top_model.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/util.h"

const char *const top_counter_str[TOP_NUM_COUNTERS] = {
	[TOP_SLEEPS] = "sleeps",   [TOP_WAKES] = "wakes", [TOP_PREEMPTS] = "preempts",
	[TOP_FORKS] = "forks",	   [TOP_EXECS] = "execs", [TOP_EXITS] = "exits",
	[TOP_MIGRATIONS] = "migrations", [TOP_LOST] = "lost",
};

/* ---- reading ------------------------------------------------------------- */

static int64_t number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_integer(v) && json_integer_value(v) >= 0 ? json_integer_value(v) : TOP_ABSENT;
}

/* A copy that a terminal shows as it is: names come from the guest. */
static void text(const json_t *o, const char *key, char *buf, size_t size)
{
	const char *s = json_string_value(json_object_get(o, key));
	size_t n = 0;

	for (; s && *s && n + 1 < size; s++) {
		unsigned char c = *s, next = s[1];

		/* C0, DEL, and C1 as UTF-8 writes it */
		if (c < 0x20 || c == 0x7f)
			buf[n++] = '?';
		else if (c == 0xc2 && next >= 0x80 && next < 0xa0)
			buf[n++] = '?', s++;
		else
			buf[n++] = c;
	}
	/* Not half a character at the end. */
	if (s && *s)
		while (n && ((unsigned char)*s & 0xc0) == 0x80)
			s--, n--;
	buf[n] = '\0';
}

/* An array of JSON objects as an array of ours. */
static int read_array(const json_t *array, size_t size, void **ret, unsigned *ret_len,
		      void (*read_one)(const json_t *o, void *one))
{
	size_t n = json_array_size(array);
	char *all = calloc(MAX(n, 1), size);

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		read_one(json_array_get(array, i), all + i * size);
	*ret = all;
	*ret_len = n;
	return 0;
}

static void read_vcpu(const json_t *o, void *one)
{
	*(struct top_vcpu *)one = (struct top_vcpu){
		.id = number(o, "id"),
		.host_cpu = number(o, "host_cpu"),
		.busy_ns = number(o, "busy_ns"),
		.idle_ns = number(o, "idle_ns"),
	};
}

static void read_task(const json_t *o, void *one)
{
	struct top_task *t = one;

	*t = (struct top_task){
		.pid = number(o, "pid"),
		.ppid = number(o, "ppid"),
		.uid = number(o, "uid"),
		.host_pid = number(o, "host_pid"),
		.vcpu = number(o, "vcpu"),
		.run_ns = number(o, "run_ns"),
		.state_ns = number(o, "state_ns"),
		.sleeps = number(o, "sleeps"),
		.preempts = number(o, "preempts"),
	};
	text(o, "comm", t->comm, sizeof(t->comm));
	text(o, "state", t->state, sizeof(t->state));
}

static void read_trap(const json_t *o, void *one)
{
	struct top_trap *t = one;

	*t = (struct top_trap){
		.count = number(o, "count"),
		.errors = number(o, "errors"),
		.p50_ns = number(o, "p50_ns"),
		.p99_ns = number(o, "p99_ns"),
		.max_ns = number(o, "max_ns"),
	};
	text(o, "syscall", t->syscall, sizeof(t->syscall));
	text(o, "lane", t->lane, sizeof(t->lane));
	text(o, "rule", t->rule, sizeof(t->rule));
}

static void read_disk(const json_t *o, void *one)
{
	struct top_disk *d = one;

	*d = (struct top_disk){
		.reads = number(o, "reads"),
		.writes = number(o, "writes"),
		.read_bytes = number(o, "read_bytes"),
		.write_bytes = number(o, "write_bytes"),
		.inflight_max = number(o, "inflight_max"),
	};
	text(o, "name", d->name, sizeof(d->name));
}

static void read_sched(const json_t *sched, struct top_sample *s)
{
	const json_t *load = json_object_get(sched, "load");

	text(sched, "source", s->source, sizeof(s->source));
	s->tasks_n = number(sched, "tasks");
	s->runnable = number(sched, "runnable");
	s->blocked = number(sched, "blocked");
	s->idle_ns = number(sched, "idle_ns");
	for (int i = 0; i < TOP_NUM_COUNTERS; i++)
		s->counter[i] = number(sched, top_counter_str[i]);
	for (size_t i = 0; i < ARRAY_SIZE(s->load); i++) {
		const json_t *v = json_array_get(load, i);

		s->load[i] = json_is_number(v) ? json_number_value(v) : NAN;
	}
}

static void read_memory(const json_t *memory, struct top_sample *s)
{
	s->memory_limit = number(memory, "limit_bytes");
	s->memory_used = number(memory, "used_bytes");
	s->memory_unplugged = number(memory, "unplugged_bytes");
	s->memory_released = number(memory, "released_bytes");
	/* Without a group that counts it the guest kernel says 0. */
	if (s->memory_used == 0)
		s->memory_used = TOP_ABSENT;
}

int top_sample_read(json_t *stats, struct top_sample *ret)
{
	const json_t *guest = json_object_get(stats, "guest");
	const json_t *sched = json_object_get(stats, "sched");
	struct top_sample s = { .uptime_ns = number(guest, "uptime_ns") };
	int r;

	if (s.uptime_ns == TOP_ABSENT)
		return -EINVAL;
	text(guest, "name", s.guest, sizeof(s.guest));
	text(guest, "state", s.state, sizeof(s.state));
	text(guest, "policy", s.policy, sizeof(s.policy));
	s.nvcpus = number(guest, "vcpus");
	s.has_tasks = json_is_array(json_object_get(stats, "tasks"));
	read_sched(sched, &s);
	read_memory(json_object_get(stats, "memory"), &s);
	r = read_array(json_object_get(sched, "vcpus"), sizeof(*s.vcpu), (void **)&s.vcpu,
		       &s.vcpu_len, read_vcpu);
	if (r == 0)
		r = read_array(json_object_get(stats, "tasks"), sizeof(*s.task), (void **)&s.task,
			       &s.task_len, read_task);
	if (r == 0)
		r = read_array(json_object_get(stats, "traps"), sizeof(*s.trap), (void **)&s.trap,
			       &s.trap_len, read_trap);
	if (r == 0)
		r = read_array(json_object_get(stats, "disks"), sizeof(*s.disk), (void **)&s.disk,
			       &s.disk_len, read_disk);
	if (r < 0) {
		top_sample_free(&s);
		return r;
	}
	top_sample_rates(&s, NULL);
	*ret = s;
	return 0;
}

void top_sample_free(struct top_sample *s)
{
	free(s->vcpu);
	free(s->task);
	free(s->trap);
	free(s->disk);
	*s = (struct top_sample){};
}

/* ---- rates --------------------------------------------------------------- */

/* @scale times what a counter grew by, per nanosecond. */
static double grown(int64_t now, int64_t before, int64_t interval_ns, double scale)
{
	/* A counter that fell counts something else now. */
	if (now == TOP_ABSENT || before == TOP_ABSENT || now < before || interval_ns <= 0)
		return NAN;
	return scale * (double)(now - before) / (double)interval_ns;
}

static double per_second(int64_t now, int64_t before, int64_t interval_ns)
{
	return grown(now, before, interval_ns, 1e9);
}

static double percent(int64_t now, int64_t before, int64_t interval_ns)
{
	return grown(now, before, interval_ns, 100);
}

static double vcpu_busy(const struct top_vcpu *now, const struct top_vcpu *before)
{
	if (now->busy_ns == TOP_ABSENT || now->idle_ns == TOP_ABSENT)
		return NAN;
	return percent(now->busy_ns, before->busy_ns,
		       now->busy_ns + now->idle_ns - before->busy_ns - before->idle_ns);
}

static void vcpu_rates(struct top_sample *s, const struct top_sample *b)
{
	for (unsigned i = 0; i < s->vcpu_len; i++) {
		const struct top_vcpu *old = i < b->vcpu_len ? &b->vcpu[i] : NULL;

		s->vcpu[i].busy = old && old->id == s->vcpu[i].id ? vcpu_busy(&s->vcpu[i], old) :
								    NAN;
	}
}

/* A task's host pid is its name; after an exec by another thread, or when the
 * pid was used again, the run time is another's and fell. */
static const struct top_task *find_task(const struct top_sample *s, const struct top_task *t,
					unsigned *hint)
{
	/* Both lists are in about the same order. */
	for (unsigned n = 0; n < s->task_len; n++) {
		unsigned i = (*hint + n) % s->task_len;

		if (s->task[i].host_pid == t->host_pid && s->task[i].pid == t->pid) {
			*hint = i + 1;
			return &s->task[i];
		}
	}
	return NULL;
}

static void task_rates(struct top_sample *s, const struct top_sample *b, int64_t interval)
{
	unsigned hint = 0;

	for (unsigned i = 0; i < s->task_len; i++) {
		struct top_task *t = &s->task[i];
		const struct top_task *old = find_task(b, t, &hint);

		if (!old)
			continue;
		t->cpu = percent(t->run_ns, old->run_ns, interval);
		t->sleep_rate = per_second(t->sleeps, old->sleeps, interval);
		t->preempt_rate = per_second(t->preempts, old->preempts, interval);
	}
}

static void trap_rates(struct top_sample *s, const struct top_sample *b, int64_t interval)
{
	for (unsigned i = 0; i < s->trap_len; i++) {
		struct top_trap *t = &s->trap[i];
		int64_t before = 0;	/* a rule is listed from its first call on */

		for (unsigned j = 0; j < b->trap_len; j++)
			if (streq(b->trap[j].rule, t->rule) && streq(b->trap[j].syscall, t->syscall))
				before = b->trap[j].count;
		t->rate = per_second(t->count, before, interval);
	}
}

static void disk_rates(struct top_sample *s, const struct top_sample *b, int64_t interval)
{
	for (unsigned i = 0; i < s->disk_len; i++) {
		struct top_disk *d = &s->disk[i];
		const struct top_disk *old = i < b->disk_len ? &b->disk[i] : NULL;

		if (!old || !streq(old->name, d->name))
			continue;
		d->read_rate = per_second(d->reads, old->reads, interval);
		d->write_rate = per_second(d->writes, old->writes, interval);
		d->read_bytes_rate = per_second(d->read_bytes, old->read_bytes, interval);
		d->write_bytes_rate = per_second(d->write_bytes, old->write_bytes, interval);
	}
}

static void no_rates(struct top_sample *s)
{
	s->interval_ns = TOP_ABSENT;
	s->idle = NAN;
	for (int i = 0; i < TOP_NUM_COUNTERS; i++)
		s->rate[i] = NAN;
	for (unsigned i = 0; i < s->vcpu_len; i++)
		s->vcpu[i].busy = NAN;
	for (unsigned i = 0; i < s->task_len; i++)
		s->task[i].cpu = s->task[i].sleep_rate = s->task[i].preempt_rate = NAN;
	for (unsigned i = 0; i < s->trap_len; i++)
		s->trap[i].rate = NAN;
	for (unsigned i = 0; i < s->disk_len; i++)
		s->disk[i].read_rate = s->disk[i].write_rate = s->disk[i].read_bytes_rate =
			s->disk[i].write_bytes_rate = NAN;
}

void top_sample_rates(struct top_sample *s, const struct top_sample *b)
{
	int64_t interval = b ? s->uptime_ns - b->uptime_ns : 0;

	no_rates(s);
	if (interval <= 0)	/* after a reboot the clock begins again */
		return;
	s->interval_ns = interval;
	s->idle = percent(s->idle_ns, b->idle_ns, interval);
	for (int i = 0; i < TOP_NUM_COUNTERS; i++)
		s->rate[i] = per_second(s->counter[i], b->counter[i], interval);
	vcpu_rates(s, b);
	task_rates(s, b, interval);
	trap_rates(s, b, interval);
	disk_rates(s, b, interval);
}
