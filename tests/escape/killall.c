/* SPDX-License-Identifier: Apache-2.0 */
/*
 * killall.c - signals to everything: what is killed is the guest's, and not its kernel
 *
 * kill(-1, ...) with each signal, then to each pid that can be seen and some
 * thousands that cannot.
 */
#include <sys/prctl.h>

#include "../guest/t.h"

int main(void)
{
	char text[4096];
	int status;
	pid_t child;

	signal(SIGCHLD, SIG_DFL);
	for (int sig = 1; sig < 65; sig++)
		if (sig != SIGKILL && sig != SIGSTOP && sig != 32 && sig != 33)
			signal(sig, sig == SIGCHLD ? SIG_DFL : SIG_IGN);
	child = need("fork", fork());
	if (child == 0) {
		signal(SIGTERM, SIG_DFL);
		for (;;)
			pause();
	}
	usleep(50000);
	for (int sig = 1; sig < 65; sig++)
		if (sig != SIGTERM && sig != SIGKILL)
			kill(-1, sig);
	kill(-1, SIGCONT);
	for (pid_t pid = 2; pid < 5000; pid++)
		if (pid != getpid() && pid != child && pid != getppid())
			kill(pid, SIGKILL);
	say("kill all", kill(-1, SIGKILL));
	check("a child died of it", waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	say("again, with nobody left", kill(-1, SIGKILL));
	for (int i = 0; i < 20; i++)
		kill(1, i);
	kill(1, SIGKILL);
	check("pid 1 is alive", read_file("/proc/1/stat", text, sizeof(text)) > 0);
	check("the guest kernel answers", answers());
	check("a new process can be made", WEXITSTATUS(system("exit 6")) == 6);
	return t_failed;
}
