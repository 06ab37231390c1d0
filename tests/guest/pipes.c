/* SPDX-License-Identifier: Apache-2.0 */
/* pipes.c - pipes and what moves data without copying: splice, tee, vmsplice, vectors */
#include <sys/uio.h>

#include "t.h"

int main(void)
{
	struct iovec v[2] = { { "one ", 4 }, { "two", 3 } }, in[1];
	char buf[64] = "";
	int a[2], b[2];
	static char big[1 << 18];

	need("pipe2", pipe2(a, O_CLOEXEC | O_NONBLOCK));
	need("pipe", pipe(b));
	say_number("writev", writev(a[1], v, 2));
	say_number("tee", tee(a[0], b[1], 100, 0));
	say_number("splice", splice(a[0], NULL, b[1], NULL, 100, 0));
	say_number("read both", read(b[0], buf, sizeof(buf)));
	fact("they are", "%s", buf);
	say_number("size", fcntl(a[1], F_SETPIPE_SZ, 1 << 18));
	check("a big write", write(a[1], big, sizeof(big)) == sizeof(big));
	say("no room", write(a[1], "x", 1));
	close(b[0]);
	signal(SIGPIPE, SIG_IGN);
	say("nobody reads", write(b[1], "x", 1));
	in[0] = (struct iovec){ buf, 7 };
	say_number("preadv of a file",
		   preadv(open("/proc/self/exe", O_RDONLY), in, 1, 1));
	check("it is an ELF file", memcmp(buf, "ELF", 3) == 0);
	say_number("vmsplice", (pipe(b), vmsplice(b[1], v, 2, 0)));
	return t_failed;
}
