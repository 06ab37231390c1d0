/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - wait in all its ways, sessions, subreaper, parent-death signal, rusage, prctl */
#include <sys/prctl.h>
#include <sys/resource.h>

#include "t.h"

int main(void)
{
	struct rusage ru;
	siginfo_t info;
	int status, p[2];
	pid_t pid;
	char c;

	pid = fork();
	if (pid == 0)
		_exit(12);
	memset(&info, 0, sizeof(info));
	say("waitid, leaving it", waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	fact("its status", "%d %d", info.si_code, info.si_status);
	check("wait4", wait4(pid, &status, 0, &ru) == pid && WEXITSTATUS(status) == 12);
	say("wait for nobody", wait(&status));
	say("getsid of self", getsid(0));
	say("getpgid of nobody", getpgid(99999999));
	check("getpriority", getpriority(PRIO_PROCESS, 0) == 0 || errno == 0);
	say("getrusage", getrusage(RUSAGE_SELF, &ru));
	say("dumpable", prctl(PR_SET_DUMPABLE, 0));
	say("dumpable", prctl(PR_SET_DUMPABLE, 1));
	say("subreaper", prctl(PR_SET_CHILD_SUBREAPER, 1));
	need("pipe", pipe(p));
	if (fork() == 0) {
		if (fork() == 0) {
			usleep(50000);
			_exit(33);
		}
		_exit(22);
	}
	int sum = 0;
	while (wait(&status) > 0)
		sum += WEXITSTATUS(status);
	fact("a child and a grandchild came home", "%d", sum);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	if (fork() == 0) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(p[0]);
			pause();
		}
		usleep(100000);
		_exit(0);
	}
	close(p[1]);
	wait(&status);
	say_number("the parent's death ends the child", read(p[0], &c, 1));
	say("set the name", prctl(PR_SET_NAME, "name"));
	say("a bad prctl", prctl(9999));
	say("personality", syscall(SYS_personality, 0xffffffffu));
	say("nice up", setpriority(PRIO_PROCESS, 0, 3));
	return t_failed;
}
