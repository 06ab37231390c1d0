/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clocks.c - what the guest's clocks read, by one way, in one kind of process
 *
 *	clocks WAY PROCESS RATE
 *
 * WAY: libc (which goes by the vDSO where it can), raw, vsyscall, byhand (the
 * vDSO, looked up here). PROCESS: fresh, fork, vfork, thread, threadexec, await
 * (says "ready", and waits until REALTIME has been set a day ahead).
 * RATE: how fast the clocks run, 0 for not at all; "any": not compared, for a
 * process that is stopped at each call.
 *
 * Each reading is made between two by the system call, which the guest kernel
 * answers: it may not be earlier than the first nor later than the second.
 * Then the rate is compared with the CPU clock's, which no guest clock moves.
 * Prints "WAY PROCESS SECONDS", REALTIME's, and what was wrong in lines that
 * begin with FAILED. No test helpers and no glibc extensions: it is built for
 * musl as well.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define VSYSCALL_GETTIMEOFDAY 0xffffffffff600000
#define VSYSCALL_TIME 0xffffffffff600400
#define SPIN_NS 20000000

static const char *way, *process;
static char **args;
static int failures;

static int (*gettime)(clockid_t, struct timespec *);
static int (*getday)(struct timeval *, void *);
static time_t (*gettime_s)(time_t *);

static uint64_t ns_of(const struct timespec *ts)
{
	return ts->tv_sec * UINT64_C(1000000000) + ts->tv_nsec;
}

static int raw_gettime(clockid_t id, struct timespec *ts)
{
	return syscall(SYS_clock_gettime, id, ts);
}

static int raw_getday(struct timeval *tv, void *tz)
{
	return syscall(SYS_gettimeofday, tv, tz);
}

static time_t raw_time(time_t *t)
{
	return syscall(SYS_time, t);
}

/* libc's, through a type that all of them have. */
static int libc_getday(struct timeval *tv, void *tz)
{
	return gettimeofday(tv, tz);
}

static void *lookup(const char *name)
{
	const char *base = (const char *)getauxval(AT_SYSINFO_EHDR), *strings = NULL;
	const Elf64_Ehdr *eh = (const void *)base;
	const Elf64_Phdr *ph = (const void *)(base + eh->e_phoff);
	const Elf64_Sym *sym = NULL;
	const Elf64_Dyn *d = NULL;

	for (int i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_DYNAMIC)
			d = (const void *)(base + ph[i].p_offset);
	for (; d && d->d_tag; d++) {
		if (d->d_tag == DT_SYMTAB)
			sym = (const void *)(base + d->d_un.d_ptr);
		if (d->d_tag == DT_STRTAB)
			strings = base + d->d_un.d_ptr;
	}
	for (; sym && (const char *)sym < strings; sym++)
		if (!strcmp(strings + sym->st_name, name))
			return (void *)(base + sym->st_value);
	return NULL;
}

static void choose(void)
{
	if (!strcmp(way, "raw")) {
		gettime = raw_gettime;
		getday = raw_getday;
		gettime_s = raw_time;
	} else if (!strcmp(way, "vsyscall")) {
		gettime = raw_gettime;
		getday = (void *)VSYSCALL_GETTIMEOFDAY;
		gettime_s = (void *)VSYSCALL_TIME;
	} else if (!strcmp(way, "byhand")) {
		gettime = lookup("__vdso_clock_gettime");
		getday = lookup("__vdso_gettimeofday");
		gettime_s = lookup("__vdso_time");
	} else {
		gettime = clock_gettime;
		getday = libc_getday;
		gettime_s = time;
	}
}

static void fail(const char *what, uint64_t before, uint64_t got, uint64_t after)
{
	printf("FAILED %s %s: %s reads %llu, between %llu and %llu\n", way, process, what,
	       (unsigned long long)got, (unsigned long long)before, (unsigned long long)after);
	failures++;
}

static uint64_t raw_ns(clockid_t id)
{
	struct timespec ts = { 0 };

	raw_gettime(id, &ts);
	return ns_of(&ts);
}

static void compare(const char *what, clockid_t id)
{
	struct timespec ts = { 0 };
	uint64_t before, after, got;

	/* The alarm clocks are there only on a machine with a clock that can wake it. */
	if (raw_gettime(id, &ts))
		return;
	before = ns_of(&ts);
	if (gettime(id, &ts))
		printf("FAILED %s %s: %s: no reading\n", way, process, what), failures++;
	after = raw_ns(id);
	got = ns_of(&ts);
	if (got < before || got > after)
		fail(what, before, got, after);
}

static void compare_all(void)
{
	struct timeval tv = { 0 };
	uint64_t before, after, got;
	time_t t = 0, same;

	compare("REALTIME", CLOCK_REALTIME);
	compare("MONOTONIC", CLOCK_MONOTONIC);
	compare("MONOTONIC_RAW", CLOCK_MONOTONIC_RAW);
	compare("BOOTTIME", CLOCK_BOOTTIME);
	compare("TAI", CLOCK_TAI);
	compare("REALTIME_COARSE", CLOCK_REALTIME_COARSE);
	compare("MONOTONIC_COARSE", CLOCK_MONOTONIC_COARSE);
	compare("REALTIME_ALARM", 8);
	compare("BOOTTIME_ALARM", 9);
	before = raw_ns(CLOCK_REALTIME) / 1000;
	getday(&tv, NULL);
	after = raw_ns(CLOCK_REALTIME) / 1000;
	got = tv.tv_sec * UINT64_C(1000000) + tv.tv_usec;
	if (got < before || got > after)
		fail("gettimeofday", before, got, after);
	before = raw_ns(CLOCK_REALTIME_COARSE) / 1000000000;
	same = gettime_s(&t);
	/* musl takes the fine clock. */
	after = raw_ns(CLOCK_REALTIME) / 1000000000;
	if ((uint64_t)t < before || (uint64_t)t > after || t != same)
		fail("time", before, t, after);
}

static uint64_t read_ns(clockid_t id)
{
	struct timespec ts = { 0 };

	gettime(id, &ts);
	return ns_of(&ts);
}

/* The CPU clock runs at most as fast as the host's: that is the least. The most is
 * what tells the rate from the next one; it is tried again, as somebody else may
 * have had the CPU. */
static void compare_rate(clockid_t id, const char *what, double rate)
{
	uint64_t best = UINT64_MAX, least = rate * SPIN_NS * 0.99;
	uint64_t most = rate == 0 ? 0 : rate < 1 ? SPIN_NS * 0.98 : rate * SPIN_NS * 9;

	for (int i = 0; i < 20 && best > most; i++) {
		uint64_t cpu = raw_ns(CLOCK_THREAD_CPUTIME_ID), begin = read_ns(id), took;

		while (raw_ns(CLOCK_THREAD_CPUTIME_ID) - cpu < SPIN_NS)
			;
		took = read_ns(id) - begin;
		if (took < best)
			best = took;
	}
	if (best < least || best > most)
		fail(what, least, best, most);
}

static void *run(void *rate)
{
	bool any = !strcmp(args[3], "any");

	for (int i = 0; i < (any ? 5 : 50); i++)
		compare_all();
	if (!any) {
		compare_rate(CLOCK_REALTIME, "a span of REALTIME", *(double *)rate);
		compare_rate(CLOCK_MONOTONIC, "a span of MONOTONIC", *(double *)rate);
	}
	printf("%s %s %lld\n", way, process, (long long)read_ns(CLOCK_REALTIME) / 1000000000);
	fflush(stdout);
	return NULL;
}

static int finish(pid_t pid)
{
	int status = 1;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static void *exec_fresh(void *unused)
{
	(void)unused;
	execl("/proc/self/exe", args[0], args[1], "fresh", args[3], (char *)NULL);
	return NULL;
}

int main(int argc, char **argv)
{
	double rate = argc > 3 ? atof(argv[3]) : 1;
	pthread_t thread;
	pid_t pid;

	if (argc < 4)
		return 2;
	way = argv[1];
	process = argv[2];
	args = argv;
	choose();
	if (!gettime || !getday || !gettime_s) {
		printf("FAILED %s %s: the vDSO lacks a function\n", way, process);
		return 1;
	}
	if (!strcmp(process, "fork")) {
		/* The parent has read a clock, and mapped what it takes; then it has not. */
		read_ns(CLOCK_REALTIME);
		pid = fork();
		if (pid)
			return finish(pid);
	} else if (!strcmp(process, "vfork")) {
		pid = vfork();
		if (pid == 0) {
			struct timespec ts;

			_exit(gettime(CLOCK_REALTIME, &ts) != 0);
		}
		failures += finish(pid);
	} else if (!strcmp(process, "await")) {
		uint64_t begin = read_ns(CLOCK_REALTIME);

		printf("ready\n");
		fflush(stdout);
		while (read_ns(CLOCK_REALTIME) - begin < UINT64_C(86400000000000))
			;
	} else if (!strcmp(process, "thread")) {
		pthread_create(&thread, NULL, run, &rate);
		pthread_join(thread, NULL);
		return failures != 0;
	} else if (!strcmp(process, "threadexec")) {
		pthread_create(&thread, NULL, exec_fresh, NULL);
		pthread_join(thread, NULL);
		return 3;
	}
	run(&rate);
	return failures != 0;
}
