/* SPDX-License-Identifier: Apache-2.0 */
/* bigargs.c - a large environment gets through; too large an argument list is refused */
#include <sys/resource.h>

#include "t.h"

static char *big_string(size_t size)
{
	char *s = malloc(size + 1);

	memset(s, 'x', size);
	s[size] = '\0';
	return s;
}

static int run(char **argv, char **envp)
{
	pid_t pid = need("fork", fork());
	int status;

	if (pid == 0) {
		execve("/proc/self/exe", argv, envp);
		_exit(errno == E2BIG ? 100 : 101);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

int main(int argc, char **argv, char **envp)
{
	static char *many[1001], *huge[112], *one_long[4];
	char *none[] = { NULL };
	int n = 0;

	if (argc > 1 && strcmp(argv[1], "count-env") == 0) {
		while (envp[n])
			n++;
		return n == 1000 && strlen(envp[999]) == 1000 ? 42 : 43;
	}
	if (argc > 1)
		return 44;
	setrlimit(RLIMIT_STACK, &(struct rlimit){ 8 << 20, RLIM_INFINITY });
	for (int i = 0; i < 1000; i++)
		many[i] = big_string(1000);
	say_number("a megabyte of environment",
		   run((char *[]){ "bigargs", "count-env", NULL }, many));
	huge[0] = "bigargs";
	for (int i = 1; i < 110; i++)
		huge[i] = big_string(100000);
	say_number("ten megabytes of arguments", run(huge, none));
	one_long[0] = "bigargs";
	one_long[1] = big_string(200000);
	say_number("one argument over 128 KiB", run(one_long, none));
	return t_failed;
}
