/* SPDX-License-Identifier: Apache-2.0 */
/* thread_exec.c - threads, their ids, and an exec from one that is not the leader */
#include <pthread.h>

#include "t.h"

static pthread_barrier_t barrier;
static pid_t tids[16];

static void *record(void *arg)
{
	tids[(long)arg] = gettid();
	pthread_barrier_wait(&barrier);
	return (void *)(long)getpid();
}

static void *do_exec(void *arg)
{
	char want[32];

	(void)arg;
	snprintf(want, sizeof(want), "%d", (int)getpid());
	execl("/proc/self/exe", "thread_exec", want, NULL);
	failed("exec: %s", t_errno(errno));
	return NULL;
}

static void *sleep_on(void *arg)
{
	(void)arg;
	pause();
	return NULL;
}

static void execs(void)
{
	pthread_t t;

	pthread_create(&t, NULL, sleep_on, NULL);
	pthread_create(&t, NULL, do_exec, NULL);
	pthread_join(t, NULL);
	pause();
}

int main(int argc, char **argv)
{
	pthread_t t[16];
	void *ret;
	int different = 0, same = 0;

	if (argc > 1) {
		check("after the exec the pid is the same", atoi(argv[1]) == getpid());
		check("and the thread is the leader", gettid() == getpid());
		say("a trapped call after it", sethostname("execed", 6));
		return t_failed;
	}
	pthread_barrier_init(&barrier, NULL, 16);
	for (long i = 0; i < 16; i++)
		need("thread", pthread_create(&t[i], NULL, record, (void *)i) ? -1 : 0);
	for (int i = 0; i < 16; i++) {
		pthread_join(t[i], &ret);
		same += (long)ret == getpid();
		for (int j = 0; j < i; j++)
			different += tids[i] != tids[j];
	}
	check("sixteen threads in one process", same == 16);
	check("each with its own id", different == 16 * 15 / 2);
	say_status("exec from a thread", child_status(execs));
	return t_failed;
}
