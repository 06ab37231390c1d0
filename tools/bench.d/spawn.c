// SPDX-License-Identifier: Apache-2.0
/*
 * spawn.c - how long a command takes from start to exit
 *
 * The first runs are thrown away if asked, the rest are timed one by one from just before
 * posix_spawn() until waitpid() returns. Input and output are the caller's, who skips what is not
 * JSON: a /dev/null opened here would be the host's, and some runners change its owner. A command
 * that fails ends it.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "micro.h"

extern char **environ;

/* Nanoseconds, or -errno, or a message printed and -ECHILD. */
static int64_t spawn_once(char **argv)
{
	int64_t start = now_ns(), took;
	int status, ret;
	pid_t pid;

	ret = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (ret)
		return -ret;
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	took = now_ns() - start;
	if (status == 0)
		return took;
	if (WIFEXITED(status))
		printf("{\"name\": \"start\", \"error\": \"exit status %d\"}\n",
		       WEXITSTATUS(status));
	else
		printf("{\"name\": \"start\", \"error\": \"killed by signal %d\"}\n",
		       WTERMSIG(status));
	return -ECHILD;
}

int spawn_main(int argc, char **argv)
{
	long skip = 0, count;
	const char *sep = "";

	if (argc > 3 && !strcmp(argv[1], "-s")) {
		skip = atol(argv[2]);
		argc -= 2;
		argv += 2;
	}
	if (argc < 3 || (count = atol(argv[1])) < 1) {
		fprintf(stderr, "usage: micro spawn [-s SKIP] COUNT CMD [ARG…]\n");
		return 2;
	}

	double *ns = calloc((size_t)count, sizeof(*ns));

	for (long i = -skip; ns && i < count; i++) {
		int64_t took = spawn_once(argv + 2);

		if (took < 0) {
			if (took != -ECHILD)
				printf("{\"name\": \"start\", \"error\": \"%s\"}\n",
				       strerror((int)-took));
			return 1;
		}
		if (i >= 0)
			ns[i] = (double)took;
	}
	printf("{\"name\": \"start\", \"n\": 1, \"ns\": [");
	for (long i = 0; ns && i < count; i++) {
		printf("%s%.0f", sep, ns[i]);
		sep = ", ";
	}
	printf("]}\n");
	free(ns);
	return 0;
}
