/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_socket.c - sockets of the families that a guest may have
 *
 * Made by the door's thread, which is in the guest's network namespace
 * (confine.c), and handed over as a descriptor. Only families for which it does not matter who made the
 * socket: netlink asks for the maker's rights, so the caller makes it itself.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "kernel/syscall.h"
#include "passthrough/hostcall.h"

long sys_socket(struct kernel *k, struct call *c)
{
	int family = arg_int(c, 0), type = arg_int(c, 1), protocol = arg_int(c, 2);
	int kind = type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
	int fd;

	if (family == AF_NETLINK && protocol == NETLINK_ROUTE)
		return call_continue(c, "family and protocol are in registers; the socket is one of "
					"the guest's network namespace, and the host asks its "
					"maker's own capabilities before each change");
	if (family != AF_UNIX && family != AF_INET && family != AF_INET6)
		return -EAFNOSUPPORT;
	if (family != AF_UNIX && (kind == SOCK_RAW || kind == SOCK_PACKET))
		return -EPERM;
	fd = host_result(socket(family, type | SOCK_CLOEXEC, protocol));
	if (fd < 0)
		return fd;
	return call_fd(c, fd, type & SOCK_CLOEXEC);
}
