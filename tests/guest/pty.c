/* SPDX-License-Identifier: Apache-2.0 */
/* pty.c - a new pty: allocation, name, size, raw mode, hang-up */
#include <sys/ioctl.h>
#include <termios.h>

#include "t.h"

int main(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	struct winsize size = { .ws_row = 33, .ws_col = 77 }, got;
	struct termios tio;
	struct stat st;
	char name[100] = "", buf[64];
	int slave;

	say("posix_openpt", master);
	if (master == -1)
		return 1;
	say("grantpt", grantpt(master));
	say("unlockpt", unlockpt(master));
	check("ptsname is below /dev/pts",
	      ptsname_r(master, name, sizeof(name)) == 0 && strncmp(name, "/dev/pts/", 9) == 0);
	slave = open(name, O_RDWR | O_NOCTTY);
	say("open the other side", slave);
	if (slave == -1)
		return 1;
	check("isatty", isatty(slave));
	check("ttyname", ttyname_r(slave, buf, sizeof(buf)) == 0 && strcmp(buf, name) == 0);
	check("it is the caller's", fstat(slave, &st) == 0 && st.st_uid == getuid());
	say("set the size", ioctl(master, TIOCSWINSZ, &size));
	check("the other side sees it", ioctl(slave, TIOCGWINSZ, &got) == 0 && got.ws_row == 33 &&
						got.ws_col == 77);
	say("tcgetattr", tcgetattr(slave, &tio));
	cfmakeraw(&tio);
	say("raw mode", tcsetattr(slave, TCSANOW, &tio));
	check("bytes go through", write(master, "hello", 5) == 5 && read(slave, buf, 64) == 5);
	check("and back", write(slave, "world", 5) == 5 && read(master, buf, 64) == 5);
	say("TIOCGPTPEER", ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY));
	say("TIOCPKT", ioctl(master, TIOCPKT, &(int){ 1 }));
	say("flush", tcflush(slave, TCIOFLUSH));
	close(slave);
	return t_failed;
}
