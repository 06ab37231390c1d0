/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats_text.c - what weir stats prints for people
 */
#include "stats_text.h"

#include <stdbool.h>
#include <stdio.h>

#include "kernel/util.h"

#define DECISIONS_SHOWN 5

void stats_uptime(long long ns, char *buf, size_t size)
{
	long long s = ns / (long long)NSEC_PER_SEC;

	if (s < 60)
		snprintf(buf, size, "%llds", s);
	else if (s < 3600)
		snprintf(buf, size, "%lldm%02llds", s / 60, s % 60);
	else
		snprintf(buf, size, "%lldh%02lldm", s / 3600, s / 60 % 60);
}

static json_int_t number(json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const char *string(json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "-";
}

static void print_guest(json_t *stats)
{
	json_t *g = json_object_get(stats, "guest"), *b = json_object_get(stats, "boot");
	json_t *mem = json_object_get(stats, "memory"), *entry;
	char uptime[32];
	size_t i;

	stats_uptime(number(g, "uptime_ns"), uptime, sizeof(uptime));
	printf("guest   %s, %s, up %s, policy %s, %lld vcpus\n", string(g, "name"),
	       string(g, "state"), uptime, string(g, "policy"), number(g, "vcpus"));
	printf("boot    %lld us:", number(b, "total_ns") / 1000);
	json_array_foreach(json_object_get(b, "steps"), i, entry)
		printf(" %s %lld", string(entry, "name"), number(entry, "ns") / 1000);
	printf("\n");
	if (number(mem, "limit_bytes"))
		printf("memory  %lld of %lld bytes\n", number(mem, "used_bytes"),
		       number(mem, "limit_bytes"));
}

static void print_time(json_t *t)
{
	json_t *images = json_object_get(t, "images");

	if (!json_is_true(json_object_get(t, "own")))
		return;
	printf("time    host %+.6f s, rate %g; vdso %s: images %lld changed, %lld with stubs, "
	       "%lld left; %lld readings by a call\n", number(t, "realtime_offset_ns") / 1e9,
	       json_real_value(json_object_get(t, "rate")), string(t, "vdso"),
	       number(images, "changed"), number(images, "stubs"), number(images, "left"),
	       number(t, "trapped_reads"));
}

static double real(json_t *array, size_t i)
{
	return json_number_value(json_array_get(array, i));
}

static void print_observer(json_t *observer, bool observing)
{
	const char *reason = json_string_value(json_object_get(observer, "reason"));
	long long ns = number(observer, "records_cost_ns") + number(observer, "calls_cost_ns") +
		       number(observer, "forks_cost_ns") + number(observer, "attach_cost_ns");

	printf("        %s, at a cost of %.1f ms; %lld rests%s%s\n",
	       observing ? "observed" : "not observed now", ns / 1e6, number(observer, "rests"),
	       reason ? ", as " : "", reason ? reason : "");
}

static void print_sched(json_t *sched)
{
	json_t *load = json_object_get(sched, "load"), *entry;
	size_t i;

	printf("sched   %s, %lld tasks, %lld runnable, load %.2f %.2f %.2f, idle for %.1f s\n",
	       string(sched, "source"), number(sched, "tasks"), number(sched, "runnable"),
	       real(load, 0), real(load, 1), real(load, 2), number(sched, "idle_ns") / 1e9);
	printf("        %lld forks, %lld execs, %lld exits, %lld sleeps, %lld preempts, %lld lost\n",
	       number(sched, "forks"), number(sched, "execs"), number(sched, "exits"),
	       number(sched, "sleeps"), number(sched, "preempts"), number(sched, "lost"));
	printf("        placement %s: %lld groups now, %lld migrations\n",
	       string(sched, "placement"), number(sched, "pairs"), number(sched, "migrations"));
	print_observer(json_object_get(sched, "observer"),
		       json_is_true(json_object_get(sched, "observing")));
	json_array_foreach(json_object_get(sched, "vcpus"), i, entry)
		printf("vcpu %-3lld on host CPU %-4lld busy %.1f s, idle %.1f s\n",
		       number(entry, "id"), number(entry, "host_cpu"),
		       number(entry, "busy_ns") / 1e9, number(entry, "idle_ns") / 1e9);
	json_array_foreach(json_object_get(sched, "decisions"), i, entry)
		if (i < DECISIONS_SHOWN)
			printf("        %.3f s: %s on vcpu %lld: %s\n", number(entry, "ns") / 1e9,
			       string(entry, "what"), number(entry, "vcpu"),
			       string(entry, "reason"));
}

static void print_traps(json_t *traps)
{
	json_t *entry;
	size_t i;

	printf("\n%-18s %-6s %9s %7s %9s %9s %9s  %s\n", "TRAPPED CALL", "LANE", "COUNT", "ERRORS",
	       "p50 us", "p99 us", "max us", "RULE");
	json_array_foreach(traps, i, entry)
		printf("%-18s %-6s %9lld %7lld %9.1f %9.1f %9.1f  %s\n", string(entry, "syscall"),
		       string(entry, "lane"), number(entry, "count"), number(entry, "errors"),
		       number(entry, "p50_ns") / 1e3, number(entry, "p99_ns") / 1e3,
		       number(entry, "max_ns") / 1e3, string(entry, "rule"));
}

/* A guest chose the name: nothing of it reaches the terminal but what is text. */
static void print_comm(const char *s)
{
	for (; *s; s++)
		putchar((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
	putchar('\n');
}

static void print_tasks(json_t *tasks)
{
	json_t *entry;
	size_t i;

	printf("\n%8s %8s %8s %6s %-9s %4s %10s %9s %9s  %s\n", "PID", "PPID", "HOST", "UID", "STATE",
	       "VCPU", "RUN s", "SLEEPS", "PREEMPTS", "NAME");
	json_array_foreach(tasks, i, entry) {
		printf("%8lld %8lld %8lld %6lld %-9s %4lld %10.3f %9lld %9lld  ",
		       number(entry, "pid"), number(entry, "ppid"), number(entry, "host_pid"),
		       number(entry, "uid"), string(entry, "state"), number(entry, "vcpu"),
		       number(entry, "run_ns") / 1e9, number(entry, "sleeps"),
		       number(entry, "preempts"));
		print_comm(string(entry, "comm"));
	}
}

void stats_print(json_t *stats)
{
	print_guest(stats);
	print_time(json_object_get(stats, "time"));
	print_sched(json_object_get(stats, "sched"));
	print_traps(json_object_get(stats, "traps"));
	print_tasks(json_object_get(stats, "tasks"));
}
