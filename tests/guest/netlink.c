/* SPDX-License-Identifier: Apache-2.0 */
/* netlink.c - what "ip addr" does: dump links and addresses over NETLINK_ROUTE */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "t.h"

static int dump(int fd, int type, bool (*each)(struct nlmsghdr *))
{
	struct {
		struct nlmsghdr h;
		struct rtgenmsg g;
	} req = {
		.h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtgenmsg)), .nlmsg_type = type,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = type },
		.g = { .rtgen_family = AF_UNSPEC },
	};
	static char buf[65536] __attribute__((aligned(8)));
	int n, found = 0;

	if (send(fd, &req, req.h.nlmsg_len, 0) == -1)
		return -1;
	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
		struct nlmsghdr *h = (struct nlmsghdr *)buf;

		for (; NLMSG_OK(h, (unsigned)n); h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return found;
			if (h->nlmsg_type == NLMSG_ERROR) {
				errno = -((struct nlmsgerr *)NLMSG_DATA(h))->error;
				return -1;
			}
			found += each(h);
		}
	}
	return -1;
}

static bool is_lo(struct nlmsghdr *h)
{
	struct ifinfomsg *i = NLMSG_DATA(h);
	int len = IFLA_PAYLOAD(h);

	for (struct rtattr *a = IFLA_RTA(i); RTA_OK(a, len); a = RTA_NEXT(a, len))
		if (a->rta_type == IFLA_IFNAME)
			return strcmp(RTA_DATA(a), "lo") == 0 && (i->ifi_flags & IFF_UP);
	return false;
}

static bool is_loopback_address(struct nlmsghdr *h)
{
	struct ifaddrmsg *i = NLMSG_DATA(h);
	int len = IFA_PAYLOAD(h);

	if (i->ifa_family != AF_INET)
		return false;
	for (struct rtattr *a = IFA_RTA(i); RTA_OK(a, len); a = RTA_NEXT(a, len))
		if (a->rta_type == IFA_LOCAL)
			return *(unsigned char *)RTA_DATA(a) == 127;
	return false;
}

static bool any(struct nlmsghdr *h)
{
	(void)h;
	return true;
}

static int lo_down(int fd)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
	} req = {
		.h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
		       .nlmsg_type = RTM_NEWLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.i = { .ifi_index = 1, .ifi_change = IFF_UP },
	};
	char buf[4096] __attribute__((aligned(8)));
	struct nlmsghdr *h = (struct nlmsghdr *)buf;

	if (send(fd, &req, req.h.nlmsg_len, 0) == -1 || recv(fd, buf, sizeof(buf), 0) <= 0)
		return -1;
	errno = -((struct nlmsgerr *)NLMSG_DATA(h))->error;
	return errno ? -1 : 0;
}

int main(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK };

	say("socket", fd);
	if (fd == -1)
		return 1;
	say("bind", bind(fd, (struct sockaddr *)&nl, sizeof(nl)));
	say_number("links named lo and up", dump(fd, RTM_GETLINK, is_lo));
	say_number("addresses in 127/8", dump(fd, RTM_GETADDR, is_loopback_address));
	say("dump routes", dump(fd, RTM_GETROUTE, any));
	check("if_nametoindex(lo)", if_nametoindex("lo") == 1);
	say("take lo down", lo_down(fd));
	return t_failed;
}
