/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c MARK - a load for the tests that kill weir: forks, execs, threads, trapped calls
 *
 * Every process has MARK among its arguments, so that what is left of a guest can
 * be found from outside. Prints "loaded" once it is under way; never ends.
 */
#include <pthread.h>
#include <sys/mount.h>

#include "t.h"

static void *traps(void *arg)
{
	(void)arg;
	for (;;) {
		sethostname("load", 4);
		mknod("/missing/x", S_IFIFO, 0);
	}
	return NULL;
}

static void forks(char *mark)
{
	for (;;) {
		pid_t pid = fork();

		if (pid == 0) {
			execl("/proc/self/exe", "load", mark, "once", NULL);
			_exit(1);
		}
		if (pid == -1 || waitpid(pid, NULL, 0) == -1)
			usleep(1000);
	}
}

int main(int argc, char **argv)
{
	pthread_t t;

	if (argc < 2)
		return 2;
	if (argc > 2)
		return 0;
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 3; i++)
		if (fork() == 0)
			forks(argv[1]);
	for (int i = 0; i < 2; i++)
		if (fork() == 0) {
			pthread_create(&t, NULL, traps, NULL);
			traps(NULL);
		}
	if (fork() == 0) {
		setsid();	/* one that left the session */
		if (fork() == 0)
			forks(argv[1]);
		_exit(0);
	}
	if (fork() == 0) {
		enter_dir();
		mkdir("m", 0755);
		for (;;) {
			if (mount("none", "m", "tmpfs", 0, NULL) == 0)
				umount2("m", MNT_DETACH);
			usleep(500);
		}
	}
	dprintf(1, "loaded\n");
	for (;;)
		pause();
}
