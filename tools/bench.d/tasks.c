// SPDX-License-Identifier: Apache-2.0
/*
 * tasks.c - micro-benchmarks that make tasks or switch between them
 */
#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "micro.h"

static int ping[2], pong[2];

static int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return status == 0 ? 0 : -ECHILD;
}

static int fork_once(void)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(0);
	return wait_for(pid);
}

int64_t run_fork(long n)
{
	return TIMED(n, int ret = fork_once(); if (ret < 0) return ret);
}

static int exec_once(const char *program, char *const *envp)
{
	char *const argv[] = { (char *)program, "noop", NULL };
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		execve(program, argv, envp);
		_exit(127);
	}
	return wait_for(pid);
}

int64_t run_exec(long n)
{
	char *const envp[] = { NULL };

	return TIMED(n, int ret = exec_once(options.self, envp); if (ret < 0) return ret);
}

/* A program of the system's, with its loader and the environment: what is preloaded counts. */
int64_t run_exec_true(long n)
{
	return TIMED(n, int ret = exec_once("/bin/true", environ); if (ret < 0) return ret);
}

/* The other process answers every byte, and ends with the pipe it reads from. */
int setup_pipe(void)
{
	char c;
	pid_t pid;

	if (pipe(ping) < 0 || pipe(pong) < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		close(ping[1]);
		while (read(ping[0], &c, 1) == 1 && write(pong[1], &c, 1) == 1)
			;
		_exit(0);
	}
	close(ping[0]);
	close(pong[1]);
	return 0;
}

int64_t run_pipe(long n)
{
	char c = 0;

	return TIMED(n, if (write(ping[1], &c, 1) != 1 || read(pong[0], &c, 1) != 1) return -EPIPE);
}

static void *thread_main(void *arg)
{
	return arg;
}

int64_t run_thread(long n)
{
	return TIMED(n, {
		pthread_t thread;
		int ret = pthread_create(&thread, NULL, thread_main, NULL);

		if (ret)
			return -ret;
		pthread_join(thread, NULL);
	});
}
