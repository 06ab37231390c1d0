/* SPDX-License-Identifier: Apache-2.0 */
/*
 * afalg.c - AF_ALG is not to be had by any door (CVE-2026-31431)
 *
 * socket, socketpair, i386 socket and socketcall, x32, io_uring's own socket
 * operation (no ring can be made).
 */
#include <sys/socket.h>

#include "../guest/t.h"
#include "raw.h"

static void foreign(void)
{
	unsigned *args = low_page();
	long ret;

	if (!args)
		return;
	args[0] = AF_ALG;
	args[1] = SOCK_SEQPACKET;
	args[2] = 0;
	ret = raw32(102, 1, (long)args, 0, 0, 0);
	check("i386 socketcall", refused(ret));
	ret = raw32(359, AF_ALG, SOCK_SEQPACKET, 0, 0, 0);
	check("i386 socket", refused(ret));
	ret = raw32(360, AF_ALG, SOCK_SEQPACKET, 0, (long)args, 0);
	check("i386 socketpair", refused(ret));
	args[0] = AF_INET;
	args[1] = SOCK_STREAM;
	ret = raw32(102, 1, (long)args, 0, 0, 0);
	check("i386 socketcall for an allowed family", refused(ret));
}

int main(void)
{
	static char params[256];
	int pair[2];

	check("socket", refused(raw64(SYS_socket, AF_ALG, SOCK_SEQPACKET, 0, 0, 0, 0)));
	check("socket, close-on-exec",
	      refused(raw64(SYS_socket, AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, 0, 0, 0)));
	check("socket, high half", refused(raw64(SYS_socket, 0xffffffff00000026, 5, 0, 0, 0, 0)));
	check("socketpair", refused(raw64(SYS_socketpair, AF_ALG, SOCK_SEQPACKET, 0, (long)pair, 0, 0)));
	check("x32 socket", refused(raw64(41 | X32_BIT, AF_ALG, SOCK_SEQPACKET, 0, 0, 0, 0)));
	check("x32 socketpair",
	      refused(raw64(53 | X32_BIT, AF_ALG, SOCK_SEQPACKET, 0, (long)pair, 0, 0)));
	check("io_uring_setup", refused(raw64(425, 8, (long)params, 0, 0, 0, 0)));
	/* A policy may answer the i386 door by killing. */
	fact("i386 door", "%s", WIFSIGNALED(child_status(foreign)) ? "killed" : "refused");
	return t_failed;
}
