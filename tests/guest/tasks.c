/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tasks.c - tasks in a known state, for the tests of weir stats
 *
 *   tasks WHAT [N]
 *
 * Each prints "ready" when things are as its name says, and stays so until it
 * is killed; "done" when there is nothing to stay for. Tasks that a test looks
 * for have a name of their own (PR_SET_NAME).
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "t.h"

static int count = 1;
static int hold[2];	/* never written to */

static void name(const char *s)
{
	prctl(PR_SET_NAME, s);
}

static void ready(void)
{
	dprintf(1, "ready\n");
}

static pid_t child(const char *comm, void (*fn)(void))
{
	pid_t pid = need("fork", fork());

	if (pid == 0) {
		name(comm);
		fn();
		_exit(0);
	}
	return pid;
}

static void on_pipe(void)
{
	char c;

	if (read(hold[0], &c, 1) != 1)
		pause();
}

static void on_futex(void)
{
	static int word;

	syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void in_nanosleep(void)
{
	nanosleep(&(struct timespec){ .tv_sec = 1000 }, NULL);
}

static void on_flock(void)
{
	flock(open("/tmp/tasks-lock", O_RDWR | O_CREAT, 0600), LOCK_EX);
}

static void spin(void)
{
	for (;;)
		__asm__ volatile("");
}

static void stopped(void)
{
	raise(SIGSTOP);
}

/* One task in each of the ways to wait. */
static void sleepers(void)
{
	int fd = open("/tmp/tasks-lock", O_RDWR | O_CREAT, 0600);

	need("flock", flock(fd, LOCK_EX));
	child("t-pipe", on_pipe);
	child("t-futex", on_futex);
	child("t-nanosleep", in_nanosleep);
	child("t-flock", on_flock);
	child("t-stopped", stopped);
	ready();
	pause();
}

static void spinners(void)
{
	for (int i = 0; i < count; i++)
		child("t-spin", spin);
	ready();
	pause();
}

static void nothing(void)
{
}

static void zombies(void)
{
	for (int i = 0; i < count; i++)
		child("t-zombie", nothing);
	ready();
	pause();
}

/* A parent that ends: who takes the child? */
static void short_parent(void)
{
	child("t-orphan", on_pipe);
}

static void orphan(void)
{
	waitpid(child("t-parent", short_parent), NULL, 0);
	ready();
	pause();
}

static void *sleeping_thread(void *arg)
{
	name("t-thread");
	on_pipe();
	return arg;
}

static void threads(void)
{
	pthread_t t;

	for (int i = 0; i < count; i++)
		need("pthread_create", pthread_create(&t, NULL, sleeping_thread, NULL) ? -1 : 0);
	ready();
	pause();
}

static void *exec_thread(void *arg)
{
	char *const argv[] = { arg, (char *)"after-exec", NULL };

	execv(arg, argv);
	return NULL;
}

/* A thread that is not the first executes a program, which sleeps. */
static void exec_by_thread(void)
{
	pthread_t t;

	for (int i = 0; i < 3; i++)
		pthread_create(&t, NULL, sleeping_thread, NULL);
	usleep(100000);
	pthread_create(&t, NULL, exec_thread, (void *)"/proc/self/exe");
	pause();
}

static void after_exec(void)
{
	name("t-execed");
	ready();
	for (;;)
		usleep(20000);
}

/* Lives of far under a millisecond. */
static void short_lives(void)
{
	for (int i = 0; i < count; i++)
		waitpid(child("t-short", nothing), NULL, 0);
	ready();
	pause();
}

static void many(void)
{
	for (int i = 0; i < count; i++)
		child("t-many", on_pipe);
	ready();
	pause();
}

/* Wakes and sleeps @count times, then waits. */
static void naps(void)
{
	name("t-naps");
	for (int i = 0; i < count; i++)
		usleep(1000);
	ready();
	pause();
}

static void ping_pong_forever(void)
{
	int s[2];
	char c = 0;
	pid_t pid;

	need("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	pid = need("fork", fork());
	name(pid ? "t-ping" : "t-pong");
	if (pid == 0)
		while (read(s[1], &c, 1) == 1 && write(s[1], &c, 1) == 1)
			;
	if (pid == 0)
		_exit(0);
	for (int i = 0;; i++) {
		if (write(s[0], &c, 1) != 1 || read(s[0], &c, 1) != 1)
			_exit(1);
		if (i == 20000)
			ready();
	}
}

/* Nobody sleeps, and nobody wakes anybody: only the switches are many. */
static void yielders(void)
{
	for (int i = 0; i < 6; i++)
		if (fork() == 0) {
			name("t-yield");
			for (;;)
				sched_yield();
		}
	ready();
	pause();
}

/* Workers that live for a moment, one after the other. */
static void work_a_little(void)
{
	for (int i = 0; i < 100000; i++)
		__asm__ volatile("");
}

static void workers(void)
{
	name("t-boss");
	ready();
	for (;;)
		waitpid(child("t-worker", work_a_little), NULL, 0);
}

/* Touches a file whose pages are not in memory, and tells how many it waited for. */
static void faults(void)
{
	int fd = need("open", open("/proc/self/exe", O_RDONLY));
	struct stat st;
	struct rusage before, after;
	volatile char *p;
	long sum = 0;

	need("fstat", fstat(fd, &st));
	p = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	need("mmap", p == MAP_FAILED ? -1 : 0);
	need("madvise", madvise((void *)p, st.st_size, MADV_RANDOM));
	name("t-faults");
	getrusage(RUSAGE_SELF, &before);
	for (int round = 0; round < count; round++) {
		madvise((void *)p, st.st_size, MADV_DONTNEED);
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		for (long i = 0; i < st.st_size; i += 4096)
			sum += p[i];
	}
	getrusage(RUSAGE_SELF, &after);
	ready();
	dprintf(1, "%ld %ld %ld\n", after.ru_majflt - before.ru_majflt, after.ru_nvcsw, sum);
	pause();
}

static void affinity(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(count, &set);
	need("sched_setaffinity", sched_setaffinity(0, sizeof(set), &set));
	child("t-child", spin);
	child("t-child", in_nanosleep);
	ready();
	pause();
}

static void burn(void)
{
	struct timespec now;

	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	while (now.tv_sec == 0 && now.tv_nsec < 200000000);
	dprintf(1, "burnt\n");
	pause();
}

static bool told(void)
{
	char c;

	return read(0, &c, 1) == 1;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	need("waitpid", waitpid(pid, NULL, 0));
}

/* The next child has @pid, if that is free: pid_namespaces(7). */
static bool next_pid(pid_t pid)
{
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);
	bool ok = fd >= 0 && dprintf(fd, "%d", (int)pid - 1) > 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* A child, and when it is gone another one with its pid; at each step it waits for a byte. */
static void reuse(void)
{
	while (told()) {
		pid_t first = child("t-first", burn), second;

		if (!told())
			return;
		end_child(first);
		dprintf(1, "gone\n");
		if (!told())
			return;
		if (!next_pid(first)) {
			dprintf(1, "%s\n", t_errno(errno));
			return;
		}
		second = child("t-second", in_nanosleep);
		dprintf(1, "%d %d\n", (int)first, (int)second);
		if (!told())
			return;
		end_child(second);
	}
}

static const struct {
	const char *what;
	void (*fn)(void);
} modes[] = {
	{ "sleepers", sleepers },	{ "spinners", spinners },
	{ "zombies", zombies },		{ "orphan", orphan },
	{ "threads", threads },		{ "exec-by-thread", exec_by_thread },
	{ "after-exec", after_exec },	{ "short-lives", short_lives },
	{ "many", many },		{ "naps", naps },
	{ "yielders", yielders },	{ "workers", workers },
	{ "faults", faults },
	{ "ping-pong", ping_pong_forever }, { "affinity", affinity },
	{ "reuse", reuse },
};

int main(int argc, char **argv)
{
	if (argc > 2)
		count = atoi(argv[2]);
	need("pipe", pipe(hold));
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(modes); i++)
		if (!strcmp(modes[i].what, argv[1]))
			modes[i].fn();
	return 2;
}
