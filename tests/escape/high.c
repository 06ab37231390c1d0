/* SPDX-License-Identifier: Apache-2.0 */
/*
 * high.c - the upper half of a register does not hide what the host looks at
 *
 * The host uses 32 bits (16 for a mode) of many arguments; a test that compares
 * 64 bits is passed by 0xdeadbeef above the value (CVE-2019-7303, CVE-2019-9893).
 */
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <termios.h>

#include "../guest/t.h"
#include "raw.h"

#define HIGH 0xdeadbeef00000000ul

static const unsigned long highs[] = { 0, HIGH, 0x1ul << 32, 0x1ul << 63, 0xfffffffful << 32 };

static long call3(long nr, long a, long b, long c)
{
	return raw64(nr, a, b, c, 0, 0, 0);
}

/* All high halves get what the low one gets, and that is a refusal. */
static void same(const char *what, const long *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(highs); i++) {
		if (!refused(ret[i]))
			failed("%s with %#lx above: %ld", what, highs[i], ret[i]);
		if (ret[i] >= 0 && ret[i] > 2)
			close(ret[i]);
	}
	check(what, true);
}

static void sockets(void)
{
	static const int families[] = { AF_ALG, AF_PACKET, AF_VSOCK, AF_KEY, AF_XDP, AF_RDS, AF_TIPC };
	long ret[ARRAY_SIZE(highs)];

	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		char name[32];

		snprintf(name, sizeof(name), "socket family %d", families[f]);
		for (size_t i = 0; i < ARRAY_SIZE(highs); i++)
			ret[i] = call3(SYS_socket, highs[i] | families[f], SOCK_DGRAM, 0);
		same(name, ret);
	}
	for (size_t i = 0; i < ARRAY_SIZE(highs); i++)
		ret[i] = call3(SYS_socket, highs[i] | AF_NETLINK, SOCK_RAW, highs[i] | 6);
	same("netlink xfrm", ret);
	for (size_t i = 0; i < ARRAY_SIZE(highs); i++)
		ret[i] = call3(SYS_socket, AF_NETLINK, highs[i] | SOCK_RAW, highs[i] | 12);
	same("netlink netfilter", ret);
}

static void ioctls(void)
{
	long ret[ARRAY_SIZE(highs)];
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	char name[64], c = 'x';

	unlockpt(master);
	ptsname_r(master, name, sizeof(name));
	setsid();
	slave = open(name, O_RDWR);
	for (size_t i = 0; i < ARRAY_SIZE(highs); i++)
		ret[i] = call3(SYS_ioctl, slave, highs[i] | 0x5412, (long)&c);
	same("TIOCSTI", ret);
	for (size_t i = 0; i < ARRAY_SIZE(highs); i++)
		ret[i] = call3(SYS_ioctl, highs[i] | slave, highs[i] | 0x541c, (long)&c);
	same("TIOCLINUX", ret);
}

static void flags(void)
{
	long ret[ARRAY_SIZE(highs)];

	for (size_t i = 0; i < ARRAY_SIZE(highs); i++) {
		ret[i] = raw64(SYS_clone, highs[i] | CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0, 0);
		if (ret[i] == 0)
			raw64(SYS_exit, 0, 0, 0, 0, 0, 0);
	}
	same("clone NEWUSER", ret);
	for (size_t i = 0; i < ARRAY_SIZE(highs); i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			long r = call3(SYS_unshare, highs[i] | CLONE_NEWUSER, 0, 0);

			_exit(r < 0 ? -r : 0);
		}
		waitpid(pid, &status, 0);
		ret[i] = -WEXITSTATUS(status);
		if (highs[i] && ret[i] == -EINVAL)	/* unshare looks at all 64 bits */
			ret[i] = -EPERM;
	}
	same("unshare NEWUSER", ret);
	for (size_t i = 0; i < ARRAY_SIZE(highs); i++)
		ret[i] = raw64(SYS_futex, (long)&ret, highs[i] | FUTEX_CMP_REQUEUE_PI, 1, 0,
			       (long)&ret[1], 0);
	same("futex CMP_REQUEUE_PI", ret);
	for (size_t i = 0; i < ARRAY_SIZE(highs); i++)
		ret[i] = raw64(SYS_futex, (long)&ret, highs[i] | FUTEX_WAIT_REQUEUE_PI, 1, 0,
			       (long)&ret[1], 0);
	same("futex WAIT_REQUEUE_PI", ret);
}

static void nodes(void)
{
	long ret[ARRAY_SIZE(highs)];

	for (size_t i = 0; i < ARRAY_SIZE(highs); i++)
		ret[i] = call3(SYS_mknod, (long)"high-node", highs[i] | 0xffff0000 | S_IFBLK | 0600,
			       highs[i] | makedev(7, 0));
	same("mknod of a disk", ret);
	for (size_t i = 0; i < ARRAY_SIZE(highs); i++)
		ret[i] = raw64(SYS_mknodat, AT_FDCWD, (long)"high-node", highs[i] | S_IFCHR | 0600,
			       highs[i] | makedev(1, 1), 0, 0);
	same("mknodat of /dev/mem", ret);
}

static void listeners(void)
{
	struct { unsigned short len; void *filter; } prog = { 0, NULL };
	long ret[ARRAY_SIZE(highs)];

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(highs); i++) {
		ret[i] = call3(SYS_seccomp, highs[i] | SECCOMP_SET_MODE_FILTER,
			       highs[i] | SECCOMP_FILTER_FLAG_NEW_LISTENER, (long)&prog);
		if (ret[i] == -EINVAL || ret[i] == -EBUSY)	/* the filter is empty on purpose */
			ret[i] = -EPERM;
	}
	same("seccomp NEW_LISTENER", ret);
}

int main(void)
{
	enter_dir();
	in_child(sockets);
	in_child(ioctls);
	in_child(flags);
	in_child(nodes);
	in_child(listeners);
	check("a trapped call still works", answers());
	return t_failed;
}
