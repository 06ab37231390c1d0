// SPDX-License-Identifier: Apache-2.0
/*
 * together.c - micro-benchmarks of tasks that work together, where placing them counts
 *
 * Ping-pong is between two processes that answer each other byte for byte; before it is measured
 * they do so for a while, so that a scheduler that looks at what they do has seen it. Groups are
 * those of hackbench, small. Two busy processes and contending threads are what a scheduler that
 * puts tasks together must leave alone.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "micro.h"

#define SETTLE_NS 150000000 /* of ping-pong before it is measured */
#define GROUPS 2
#define SENDERS 4 /* and receivers, in each group */
#define MESSAGE 100
#define THREADS 4
#define SPIN 20000

static int ask[2], answer[2]; /* [0] is ours, [1] the other's */

static int answer_all(int in, int out)
{
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(in, &c, 1) == 1 && write(out, &c, 1) == 1)
		;
	return 0;
}

static int64_t ping_pong(long n)
{
	char c = 0;

	return TIMED(n, if (write(ask[0], &c, 1) != 1 || read(answer[0], &c, 1) != 1) return -EPIPE);
}

static int settle(void)
{
	int64_t end = now_ns() + SETTLE_NS;

	while (now_ns() < end) {
		int64_t took = ping_pong(100);

		if (took < 0)
			return (int)took;
	}
	return 0;
}

static int begin_ping_pong(void)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(answer_all(ask[1], answer[1]));
	close(ask[1]);
	if (answer[1] != ask[1])
		close(answer[1]);
	return settle();
}

int setup_pair_pipe(void)
{
	int a[2], b[2];

	if (pipe(a) < 0 || pipe(b) < 0)
		return -errno;
	ask[0] = a[1];
	ask[1] = a[0];
	answer[0] = b[0];
	answer[1] = b[1];
	return begin_ping_pong();
}

int setup_pair_socket(void)
{
	int s[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) < 0)
		return -errno;
	ask[0] = answer[0] = s[0];
	ask[1] = answer[1] = s[1];
	return begin_ping_pong();
}

int64_t run_pair(long n)
{
	return ping_pong(n);
}

/* ---- groups ---- */

static int receive(int fd, long messages)
{
	char buf[MESSAGE];

	for (long i = 0; i < messages; i++) {
		size_t got = 0;

		while (got < sizeof(buf)) {
			ssize_t n = read(fd, buf + got, sizeof(buf) - got);

			if (n <= 0)
				return 1;
			got += n;
		}
	}
	return 0;
}

static int send_all(int fd[SENDERS][2], long loops)
{
	char buf[MESSAGE] = "";

	for (long i = 0; i < loops; i++)
		for (int r = 0; r < SENDERS; r++)
			if (write(fd[r][1], buf, sizeof(buf)) != sizeof(buf))
				return 1;
	return 0;
}

static int begin_group(long loops)
{
	int fd[SENDERS][2];

	for (int r = 0; r < SENDERS; r++)
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd[r]) < 0)
			return -errno;
	for (int i = 0; i < 2 * SENDERS; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return -errno;
		if (pid == 0)
			_exit(i < SENDERS ? receive(fd[i][0], loops * SENDERS)
					  : send_all(fd, loops));
	}
	for (int r = 0; r < SENDERS; r++) {
		close(fd[r][0]);
		close(fd[r][1]);
	}
	return 0;
}

static int wait_all(void)
{
	int status, bad = 0;

	while (wait(&status) > 0)
		bad |= status;
	return bad ? -EPIPE : 0;
}

/* One operation is a message of every sender to every receiver. */
int64_t run_groups(long n)
{
	int64_t start = now_ns();
	int ret = 0;

	for (int g = 0; g < GROUPS && ret == 0; g++)
		ret = begin_group(n);
	if (ret == 0)
		ret = wait_all();
	return ret < 0 ? ret : now_ns() - start;
}

/* ---- busy ---- */

static void spin(void)
{
	for (int i = 0; i < SPIN; i++)
		__asm__ volatile("");
}

int64_t run_busy(long n)
{
	int64_t start = now_ns();
	int ret;

	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return -errno;
		if (pid > 0)
			continue;
		for (long k = 0; k < n; k++)
			spin();
		_exit(0);
	}
	ret = wait_all();
	return ret < 0 ? ret : now_ns() - start;
}

/* ---- threads: as sysbench threads, a lock, a yield, the lock back ---- */

static pthread_mutex_t lock[2] = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER };

static void *contend(void *arg)
{
	long n = (long)arg;

	for (long i = 0; i < n; i++) {
		pthread_mutex_t *m = &lock[i & 1];

		pthread_mutex_lock(m);
		sched_yield();
		pthread_mutex_unlock(m);
	}
	return NULL;
}

int64_t run_contend(long n)
{
	pthread_t thread[THREADS];
	int64_t start = now_ns();

	for (int i = 0; i < THREADS; i++) {
		int ret = pthread_create(&thread[i], NULL, contend, (void *)n);

		if (ret)
			return -ret;
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	return now_ns() - start;
}
