/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_view.c - a sample of weir top as lines of text
 */
#include "top_view.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/util.h"

#define BAR_WIDTH 20
#define VCPU_WIDTH (sizeof("vcpu 1023 [] 100.0%  ") - 1 + BAR_WIDTH)

struct cell {
	char text[24];
};

void top_lines_free(struct top_lines *l)
{
	for (unsigned i = 0; i < l->n; i++)
		free(l->v[i].text);
	free(l->v);
	*l = (struct top_lines){};
}

void top_lines_add(struct top_lines *l, enum top_line_kind kind, const char *fmt, ...)
{
	char *text;
	va_list ap;

	if (l->n == l->size) {
		unsigned size = l->size ? 2 * l->size : 64;
		struct top_line *more = realloc(l->v, size * sizeof(*more));

		if (!more)
			return;
		l->v = more;
		l->size = size;
	}
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) >= 0)
		l->v[l->n++] = (struct top_line){ kind, text };
	va_end(ap);
}

/* ---- cells --------------------------------------------------------------- */

static const struct cell absent = { "-" };

static struct cell number(int64_t n)
{
	struct cell c;

	snprintf(c.text, sizeof(c.text), "%lld", (long long)n);
	return n == TOP_ABSENT ? absent : c;
}

/* A process id; 0 is a task that ended before it could be asked for. */
static struct cell pid(int64_t n)
{
	return n == 0 ? absent : number(n);
}

static struct cell rate(double v)
{
	struct cell c;

	snprintf(c.text, sizeof(c.text), "%.1f", v);
	return isnan(v) ? absent : c;
}

static struct cell load(double v)
{
	struct cell c;

	snprintf(c.text, sizeof(c.text), "%.2f", v);
	return isnan(v) ? absent : c;
}

static struct cell bytes(double v)
{
	static const char units[] = "BKMGT";
	unsigned i = 0;
	struct cell c;

	for (; v >= 1024 && units[i + 1]; i++)
		v /= 1024;
	snprintf(c.text, sizeof(c.text), i ? "%.1f%c" : "%.0f%c", v, units[i]);
	return isnan(v) ? absent : c;
}

static struct cell byte_count(int64_t n)
{
	return n == TOP_ABSENT ? absent : bytes((double)n);
}

static struct cell micros(int64_t ns)
{
	return ns == TOP_ABSENT ? absent : rate((double)ns / 1e3);
}

/* "812us", "3.4ms", "12.3s", "5m03s", "2h15m", "3d04h" */
static struct cell span(int64_t ns)
{
	long long s = ns / (int64_t)NSEC_PER_SEC;
	struct cell c;

	if (ns == TOP_ABSENT)
		return absent;
	if (ns < 1000000)
		snprintf(c.text, sizeof(c.text), "%lldus", (long long)ns / 1000);
	else if (s == 0)
		snprintf(c.text, sizeof(c.text), "%.1fms", (double)ns / 1e6);
	else if (s < 60)
		snprintf(c.text, sizeof(c.text), "%.1fs", (double)ns / 1e9);
	else if (s < 3600)
		snprintf(c.text, sizeof(c.text), "%lldm%02llds", s / 60, s % 60);
	else if (s < 86400)
		snprintf(c.text, sizeof(c.text), "%lldh%02lldm", s / 3600, s / 60 % 60);
	else
		snprintf(c.text, sizeof(c.text), "%lldd%02lldh", s / 86400, s / 3600 % 24);
	return c;
}

static const char *word(const char *s)
{
	return s[0] ? s : "-";
}

/* ---- parts --------------------------------------------------------------- */

void top_view_head(const struct top_sample *s, struct top_lines *l)
{
	top_lines_add(l, TOP_LINE_HEAD, "%s  %s  up %s  policy %s  vcpus %s  load %s %s %s", s->guest,
	    word(s->state), span(s->uptime_ns).text, word(s->policy), number(s->nvcpus).text,
	    load(s->load[0]).text, load(s->load[1]).text, load(s->load[2]).text);
	top_lines_add(l, TOP_LINE_PLAIN,
	    "tasks %s  runnable %s  blocked %s  idle %s%%  per second: sleeps %s  preempts %s  "
	    "forks %s  execs %s  exits %s  migrations %s  (source %s, lost %s)",
	    number(s->tasks_n).text, number(s->runnable).text, number(s->blocked).text,
	    rate(s->idle).text, rate(s->rate[TOP_SLEEPS]).text, rate(s->rate[TOP_PREEMPTS]).text,
	    rate(s->rate[TOP_FORKS]).text, rate(s->rate[TOP_EXECS]).text,
	    rate(s->rate[TOP_EXITS]).text, rate(s->rate[TOP_MIGRATIONS]).text, word(s->source),
	    number(s->counter[TOP_LOST]).text);
}

static void bar(double percent, char buf[BAR_WIDTH + 1])
{
	int full = isnan(percent) ? 0 : (int)lround(percent * BAR_WIDTH / 100);

	full = MIN(MAX(full, 0), BAR_WIDTH);
	memset(buf, '|', full);
	memset(buf + full, isnan(percent) ? '-' : ' ', BAR_WIDTH - full);
	buf[BAR_WIDTH] = '\0';
}

void top_view_vcpus(const struct top_sample *s, unsigned width, struct top_lines *l)
{
	unsigned across = MAX(width / VCPU_WIDTH, 1);
	char line[1024];
	int len = 0;

	across = MIN(across, (sizeof(line) - 1) / (2 * VCPU_WIDTH));
	for (unsigned i = 0; i < s->vcpu_len; i++) {
		const struct top_vcpu *v = &s->vcpu[i];
		char b[BAR_WIDTH + 1];

		bar(v->busy, b);
		len += snprintf(line + len, sizeof(line) - len, "vcpu %-4s[%s] %5s%%  ",
				number(v->id).text, b, rate(v->busy).text);
		if ((i + 1) % across == 0 || i + 1 == s->vcpu_len) {
			top_lines_add(l, TOP_LINE_PLAIN, "%s", line);
			len = 0;
		}
	}
}

void top_view_memory(const struct top_sample *s, struct top_lines *l)
{
	top_lines_add(l, TOP_LINE_PLAIN, "memory used %s  limit %s  unplugged %s  released %s",
	    byte_count(s->memory_used).text,
	    s->memory_limit == 0 ? "none" : byte_count(s->memory_limit).text,
	    byte_count(s->memory_unplugged).text, byte_count(s->memory_released).text);
}

void top_view_disks(const struct top_sample *s, struct top_lines *l)
{
	if (s->disk_len)
		top_lines_add(l, TOP_LINE_TITLE, "%-12s %9s %9s %9s %9s %9s %9s", "DISK", "READ/s", "WRITE/s",
		    "RBYTES/s", "WBYTES/s", "READ", "WRITTEN");
	for (unsigned i = 0; i < s->disk_len; i++) {
		const struct top_disk *d = &s->disk[i];

		top_lines_add(l, TOP_LINE_ROW, "%-12s %9s %9s %9s %9s %9s %9s", word(d->name),
		    rate(d->read_rate).text, rate(d->write_rate).text,
		    bytes(d->read_bytes_rate).text, bytes(d->write_bytes_rate).text,
		    byte_count(d->read_bytes).text, byte_count(d->write_bytes).text);
	}
}

void top_view_traps(const struct top_sample *s, const char *filter, struct top_lines *l)
{
	if (s->trap_len)
		top_lines_add(l, TOP_LINE_TITLE, "%9s %9s %7s %9s %9s  %-6s %-18s %s", "TRAPS/s", "COUNT",
		    "ERRORS", "P50us", "P99us", "LANE", "CALL", "RULE");
	for (unsigned i = 0; i < s->trap_len; i++) {
		const struct top_trap *t = &s->trap[i];

		if (top_trap_matches(t, filter))
			top_lines_add(l, TOP_LINE_ROW, "%9s %9s %7s %9s %9s  %-6s %-18s %s",
			    rate(t->rate).text, number(t->count).text, number(t->errors).text,
			    micros(t->p50_ns).text, micros(t->p99_ns).text, word(t->lane),
			    word(t->syscall), word(t->rule));
	}
}

void top_view_tasks(const struct top_sample *s, const char *filter, struct top_lines *l)
{
	top_lines_add(l, TOP_LINE_TITLE, "%7s %7s %6s %4s %-9s %7s %8s %6s %9s %9s  %s", "PID", "PPID", "UID",
	    "VCPU", "STATE", "SINCE", "TIME", "%CPU", "SLEEPS/s", "PREEMPT/s", "COMMAND");
	if (!s->has_tasks)
		top_lines_add(l, TOP_LINE_ROW, "%7s  (this guest's kernel lists no tasks)", "-");
	for (unsigned i = 0; i < s->task_len; i++) {
		const struct top_task *t = &s->task[i];

		if (top_task_matches(t, filter))
			top_lines_add(l, TOP_LINE_ROW, "%7s %7s %6s %4s %-9s %7s %8s %6s %9s %9s  %s",
			    pid(t->pid).text, number(t->ppid).text, number(t->uid).text,
			    number(t->vcpu).text, word(t->state), span(t->state_ns).text,
			    span(t->run_ns).text, rate(t->cpu).text, rate(t->sleep_rate).text,
			    rate(t->preempt_rate).text, word(t->comm));
	}
}
