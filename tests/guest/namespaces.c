/* SPDX-License-Identifier: Apache-2.0 */
/* namespaces.c - which namespaces a program may make: by clone, unshare and clone3 */
#include <linux/sched.h>
#include <sched.h>

#include "t.h"

static const struct {
	const char *name;
	unsigned long flag;
} kinds[] = {
	{ "mnt", CLONE_NEWNS },	  { "uts", CLONE_NEWUTS }, { "ipc", CLONE_NEWIPC },
	{ "net", CLONE_NEWNET },  { "pid", CLONE_NEWPID }, { "cgroup", CLONE_NEWCGROUP },
	{ "time", CLONE_NEWTIME }, { "user", CLONE_NEWUSER },
};

static unsigned long flag;

static void do_unshare(void)
{
	say("unshare", unshare(flag));
}

int main(void)
{
	struct clone_args args;
	int status;
	pid_t pid;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		dprintf(1, "%s ", kinds[i].name);
		flag = kinds[i].flag;
		in_child(do_unshare);
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i].flag == CLONE_NEWTIME)	/* not for clone(2) */
			continue;
		pid = syscall(SYS_clone, kinds[i].flag | SIGCHLD, 0, 0, 0, 0);
		if (pid == 0)
			_exit(0);
		dprintf(1, "%s ", kinds[i].name);
		say("clone", pid);
		if (pid > 0)
			waitpid(pid, &status, 0);
	}
	memset(&args, 0, sizeof(args));
	args.exit_signal = SIGCHLD;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		_exit(0);
	say("clone3 without flags", pid);
	pid = fork();
	if (pid == 0)
		_exit(4);
	check("fork works", waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 4);
	say("setns to our own uts", setns(open("/proc/self/ns/uts", O_RDONLY), CLONE_NEWUTS));
	return t_failed;
}
