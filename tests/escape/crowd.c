/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crowd.c - many threads trap at once and go on trapping
 *
 *   crowd THREADS ROUNDS [killed]
 *
 * With "killed", whole processes of threads are killed in the middle of their
 * calls; the guest kernel answers afterwards, and as fast as before.
 */
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "../guest/t.h"

static long rounds, bad, done;
static pthread_barrier_t barrier;

static void *traps(void *arg)
{
	struct sysinfo si;
	struct utsname u;
	cpu_set_t set;
	long errors = 0;

	if (!arg)
		pthread_barrier_wait(&barrier);
	for (long i = 0; i < rounds || arg; i++) {
		errors += sethostname("crowd", 5) != 0;
		errors += uname(&u) != 0;
		errors += sysinfo(&si) != 0;
		errors += sched_getaffinity(0, sizeof(set), &set) != 0;
		errors += mknod("/missing/x", S_IFIFO, 0) != -1 || errno != ENOENT;
	}
	__atomic_add_fetch(&bad, errors, __ATOMIC_RELAXED);
	__atomic_add_fetch(&done, 1, __ATOMIC_RELAXED);
	return NULL;
}

static long start_threads(long n, void *arg)
{
	pthread_attr_t attr;
	pthread_t t;
	long i;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN + 16384);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (i = 0; i < n; i++)
		if (pthread_create(&t, &attr, traps, arg))
			break;
	return i;
}

static void killed(long threads)
{
	for (int i = 0; i < 50; i++) {
		pid_t pid = need("fork", fork());

		if (pid == 0) {
			start_threads(threads, (void *)1);
			pause();
		}
		usleep(1000 + i * 500);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	long threads = argc > 1 ? atol(argv[1]) : 64;
	uint64_t begin;

	rounds = argc > 2 ? atol(argv[2]) : 100;
	if (argc > 3) {
		killed(threads);
	} else {
		/* The barrier is waited on by those that were made. */
		pthread_barrier_init(&barrier, NULL, threads);
		long made = start_threads(threads, NULL);

		if (made < threads)
			skip("only %ld threads can be made here", made);
		while (__atomic_load_n(&done, __ATOMIC_RELAXED) < threads)
			usleep(1000);
		check("every thread finished", done == threads);
		check("every call was answered as it should be", bad == 0);
	}
	begin = now_ns(CLOCK_MONOTONIC);
	check("the guest kernel answers", answers());
	check("within a second", now_ns(CLOCK_MONOTONIC) - begin < 1000000000);
	return t_failed;
}
