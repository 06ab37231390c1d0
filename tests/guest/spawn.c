/* SPDX-License-Identifier: Apache-2.0 */
/* spawn.c - posix_spawn, vfork, popen, system, and what a child inherits */
#include <spawn.h>

#include "t.h"

extern char **environ;

int main(int argc, char **argv)
{
	char *child[] = { "sh", "-c", "echo spawned; exit 5", NULL };
	posix_spawn_file_actions_t actions;
	char line[64] = "";
	int status, ret;
	pid_t pid;
	FILE *f;

	if (argc > 1)
		return atoi(argv[1]);
	ret = posix_spawnp(&pid, "sh", NULL, NULL, child, environ);
	waitpid(pid, &status, 0);	/* first: it prints a line of its own */
	check("posix_spawn", ret == 0);
	say_status("its status", status);
	check("posix_spawn of nothing", posix_spawn(&pid, "/nowhere", NULL, NULL, child, environ) ==
						ENOENT);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	check("with file actions", posix_spawnp(&pid, "sh", &actions, NULL, child, environ) == 0);
	waitpid(pid, &status, 0);
	say_status("its status", status);
	pid = vfork();
	if (pid == 0) {
		execl("/proc/self/exe", "spawn", "9", NULL);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	say_status("vfork and exec", status);
	say_number("system", WEXITSTATUS(system("exit 4")));
	f = popen("echo through a pipe", "r");
	check("popen", f && fgets(line, sizeof(line), f) && !strcmp(line, "through a pipe\n"));
	if (f)
		say_number("pclose", pclose(f));
	for (int i = 0; i < 200; i++) {
		pid = fork();
		if (pid == 0)
			_exit(i);
		if (waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != i) {
			failed("child %d", i);
			break;
		}
	}
	check("two hundred children, one after the other", !t_failed);
	return t_failed;
}
