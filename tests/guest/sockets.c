/* SPDX-License-Identifier: Apache-2.0 */
/* sockets.c - which socket families and types a guest has */
#include <linux/netlink.h>
#include <sys/socket.h>

#include "t.h"

static void try(const char *what, int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);

	say(what, fd);
	if (fd < 0)
		return;
	if (!(fcntl(fd, F_GETFD) & FD_CLOEXEC))
		failed("%s: close-on-exec was lost", what);
	close(fd);
}

int main(void)
{
	int pair[2];

	try("unix stream", AF_UNIX, SOCK_STREAM, 0);
	try("unix dgram", AF_UNIX, SOCK_DGRAM, 0);
	try("unix seqpacket", AF_UNIX, SOCK_SEQPACKET, 0);
	try("inet stream", AF_INET, SOCK_STREAM, 0);
	try("inet dgram", AF_INET, SOCK_DGRAM, 0);
	try("inet6 stream", AF_INET6, SOCK_STREAM, 0);
	try("inet6 dgram", AF_INET6, SOCK_DGRAM, 0);
	try("inet stream nonblocking", AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	try("inet raw", AF_INET, SOCK_RAW, 1);
	try("packet", AF_PACKET, SOCK_RAW, 0);
	try("netlink route", AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	try("netlink audit", AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
	try("netlink netfilter", AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
	try("netlink xfrm", AF_NETLINK, SOCK_RAW, NETLINK_XFRM);
	try("netlink sock_diag", AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
	try("netlink generic", AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
	try("alg", AF_ALG, SOCK_SEQPACKET, 0);
	try("vsock", AF_VSOCK, SOCK_STREAM, 0);
	try("bluetooth", AF_BLUETOOTH, SOCK_RAW, 0);
	try("can", AF_CAN, SOCK_RAW, 0);
	try("tipc", AF_TIPC, SOCK_SEQPACKET, 0);
	try("rds", AF_RDS, SOCK_SEQPACKET, 0);
	try("key", AF_KEY, SOCK_RAW, 2);
	try("xdp", AF_XDP, SOCK_RAW, 0);
	try("kcm", AF_KCM, SOCK_DGRAM, 0);
	try("smc", 43, SOCK_STREAM, 0);
	try("family 0", 0, SOCK_STREAM, 0);
	try("family 200", 200, SOCK_STREAM, 0);
	try("family -1", -1, SOCK_STREAM, 0);
	try("inet, bad type", AF_INET, 11, 0);
	try("inet, bad protocol", AF_INET, SOCK_STREAM, 9999);
	say("socketpair unix", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	say("socketpair inet", socketpair(AF_INET, SOCK_STREAM, 0, pair));
	say("socketpair to a bad pointer", syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 1L));
	return t_failed;
}
