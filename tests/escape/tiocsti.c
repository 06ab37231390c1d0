/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tiocsti.c - nothing typed from inside (CVE-2017-5226, CVE-2023-28100)
 *
 * On the guest's own terminal, if it has one, and on a pty made here: TIOCSTI,
 * TIOCLINUX, TIOCCONS and TIOCSETD are refused by every door, and afterwards there is
 * nothing to be read.
 */
#include <sys/ioctl.h>
#include <termios.h>

#include "../guest/t.h"
#include "raw.h"

static void on(const char *name, int fd)
{
	int disc = 0, waiting = 0;
	struct termios old, raw;
	char c = '#';
	struct {
		const char *name;
		unsigned long cmd;
		void *arg;
	} cmds[] = {
		{ "TIOCSTI", 0x5412, &c },
		{ "TIOCLINUX", 0x541c, &c },
		{ "TIOCSETD", TIOCSETD, &disc },
		{ "TIOCCONS", TIOCCONS, NULL },
	};

	/* Every byte counts at once, not only whole lines. */
	tcgetattr(fd, &old);
	raw = old;
	cfmakeraw(&raw);
	tcsetattr(fd, TCSANOW, &raw);
	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
		char what[100];
		long ret = raw64(SYS_ioctl, fd, cmds[i].cmd, (long)cmds[i].arg, 0, 0, 0);

		snprintf(what, sizeof(what), "%s on %s", cmds[i].name, name);
		check(what, refused(ret));
		ret = raw64(SYS_ioctl, fd, cmds[i].cmd | 0xdeadbeef00000000, (long)cmds[i].arg, 0, 0, 0);
		snprintf(what, sizeof(what), "%s with a high half on %s", cmds[i].name, name);
		check(what, refused(ret));
		ret = raw64(16 | X32_BIT, fd, cmds[i].cmd, (long)cmds[i].arg, 0, 0, 0);
		check("the same by x32", refused(ret));
	}
	ioctl(fd, FIONREAD, &waiting);
	tcsetattr(fd, TCSANOW, &old);
	check("nothing was typed", waiting == 0);
}

static int pty;

static void i386(void)
{
	char *c = low_page();

	*c = '#';
	check("TIOCSTI by i386", refused(raw32(54, pty, 0x5412, (long)c, 0, 0)));
	check("TIOCLINUX by i386", refused(raw32(54, pty, 0x541c, (long)c, 0, 0)));
	check("TIOCSETD by i386", refused(raw32(54, pty, TIOCSETD, (long)c, 0, 0)));
}

int main(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), tty = open("/dev/tty", O_RDWR);
	char name[64];

	if (tty >= 0)
		on("the terminal", tty);
	unlockpt(master);
	ptsname_r(master, name, sizeof(name));
	if (fork() == 0) {
		setsid();
		pty = open(name, O_RDWR);
		on("a pty", pty);
		fact("i386 door", "%s", WIFSIGNALED(child_status(i386)) ? "killed" : "refused");
		_exit(t_failed);
	}
	int status;
	wait(&status);
	return t_failed || status;
}
