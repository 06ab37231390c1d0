/* SPDX-License-Identifier: Apache-2.0 */
/* jobcontrol.c - sessions, groups and a terminal: what a shell does */
#include <sys/ioctl.h>
#include <termios.h>

#include "t.h"

static int slave;

static void wait_for(const char *what, pid_t pid, int options)
{
	int status;

	need("waitpid", waitpid(pid, &status, options));
	if (WIFSTOPPED(status))
		fact(what, "stopped by %d", WSTOPSIG(status));
	else if (WIFCONTINUED(status))
		fact(what, "continued");
	else
		say_status(what, status);
}

static pid_t job(void (*fn)(void))
{
	pid_t pid = need("fork", fork());

	if (pid == 0) {
		setpgid(0, 0);
		fn();
		_exit(0);
	}
	setpgid(pid, pid);
	return pid;
}

static void sleeper(void)
{
	for (;;)
		pause();
}

static void reader(void)
{
	char c;

	if (read(slave, &c, 1) == -1)
		_exit(3);
	_exit(c);
}

static void session(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	char name[100];
	pid_t pid;

	need("setsid", setsid());
	need("master", master);
	need("unlockpt", unlockpt(master));
	need("ptsname", ptsname_r(master, name, sizeof(name)) ? -1 : 0);
	slave = need("slave", open(name, O_RDWR));
	check("the first terminal opened is the session's", open("/dev/tty", O_RDWR) >= 0);
	check("we are in front", tcgetpgrp(slave) == getpgrp());
	check("its session is ours", tcgetsid(slave) == getsid(0));
	signal(SIGTTOU, SIG_IGN);

	pid = job(sleeper);
	say("put a job in front", tcsetpgrp(slave, pid));
	check("it is", tcgetpgrp(slave) == pid);
	check("^Z is typed", write(master, "\x1a", 1) == 1);
	wait_for("the job", pid, WUNTRACED);
	say("take the terminal back", tcsetpgrp(slave, getpgrp()));
	say("continue it behind", kill(-pid, SIGCONT));
	wait_for("the job", pid, WCONTINUED);
	say("in front again", tcsetpgrp(slave, pid));
	check("^C is typed", write(master, "\x03", 1) == 1);
	wait_for("the job", pid, 0);
	tcsetpgrp(slave, getpgrp());

	pid = job(reader);
	wait_for("a job behind reads the terminal", pid, WUNTRACED);
	tcsetpgrp(slave, pid);
	kill(-pid, SIGCONT);
	check("a line is typed", write(master, "Q\n", 2) == 2);
	wait_for("the reader", pid, 0);
	tcsetpgrp(slave, getpgrp());

	say("setpgid into another session", setpgid(0, 1));
	say("setsid by a group leader", setsid());
	signal(SIGHUP, SIG_DFL);
	close(master);
	pause();
}

int main(void)
{
	/* The hang-up at the end ends the session's leader. */
	say_status("the session", child_status(session));
	return t_failed;
}
