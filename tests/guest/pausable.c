/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pausable.c - loads that show whether they run
 *
 * Each task appends a letter to standard output, a file of the host's, at each
 * of its steps: while a guest is paused the file does not grow.
 *
 *   count      one task
 *   tasks N    N processes of two threads each
 *   forks      processes that fork and end; orphans among them
 *   traps      tasks that are in calls of the guest kernel's most of the time
 *   vforks     parents that wait in vfork(2) for a child
 *   waits      a parent that waits for stopped children, too: 'S' if it sees one
 *   stopped    a child that has stopped itself: 'X' if it runs again
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void step(char c)
{
	if (write(1, &c, 1) != 1)
		_exit(1);
	poll(NULL, 0, 2);
}

static void *thread(void *arg)
{
	for (;;)
		step('t');
	return NULL;
}

static void count(int n)
{
	for (;;)
		step('c');
}

static void tasks(int n)
{
	pthread_t t;

	for (int i = 0; i < n; i++) {
		if (fork() == 0) {
			pthread_create(&t, NULL, thread, NULL);
			count(0);
		}
	}
	count(0);
}

/* Each link of the chain is the child of one that has ended, or is about to. No
 * faster than init can reap them. */
static void chain(void)
{
	for (;;) {
		if (fork() != 0)
			_exit(0);
		if (write(1, "o", 1) != 1)
			_exit(1);
		usleep(300);
	}
}

static void forks(int n)
{
	for (int i = 0; i < 3; i++)
		if (fork() == 0)
			chain();
	for (int i = 0; i < 3; i++) {
		if (fork() == 0) {
			for (;;) {
				if (fork() == 0) {
					step('f');
					_exit(0);
				}
				wait(NULL);
			}
		}
	}
	count(0);
}

static void traps(int n)
{
	for (int i = 0; i < 4; i++) {
		if (fork() == 0) {
			for (;;) {
				for (int j = 0; j < 50; j++)
					if (sethostname("pausable", 8) < 0)
						_exit(1);
				if (write(1, "h", 1) != 1)
					_exit(1);
			}
		}
	}
	count(0);
}

static void vforks(int n)
{
	for (int i = 0; i < 4; i++) {
		if (fork() == 0) {
			for (;;) {
				pid_t pid = vfork();

				if (pid == 0) {
					poll(NULL, 0, 20);
					_exit(0);
				}
				waitpid(pid, NULL, 0);
				step('v');
			}
		}
	}
	count(0);
}

static void waits(int n)
{
	pid_t pid = fork();

	if (pid == 0)
		count(0);
	for (;;) {
		int status;

		if (waitpid(-1, &status, WUNTRACED) == pid && WIFSTOPPED(status))
			step('S');
	}
}

static void stopped(int n)
{
	pid_t pid = fork();

	if (pid == 0) {
		raise(SIGSTOP);
		for (;;)
			step('X');
	}
	waitpid(pid, NULL, WUNTRACED);
	count(0);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(int n);
	} loads[] = {
		{ "count", count },   { "tasks", tasks }, { "forks", forks },	  { "traps", traps },
		{ "vforks", vforks }, { "waits", waits }, { "stopped", stopped },
	};

	for (size_t i = 0; argc > 1 && i < sizeof(loads) / sizeof(*loads); i++)
		if (strcmp(argv[1], loads[i].name) == 0)
			loads[i].run(argc > 2 ? atoi(argv[2]) : 0);
	return 2;
}
