/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnl.c - network devices, addresses and routes, by rtnetlink(7)
 */
#include "ns/rtnl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

/* A request while it is written. All that is put into it is ours and short. */
struct request {
	union {
		struct nlmsghdr head;
		char bytes[512];
	};
};

/* The whole answer to a question about one device; the host's are some 2 KiB. */
#define ANSWER_SIZE 16384

int rtnl_open(void)
{
	static const struct sockaddr_nl host = { .nl_family = AF_NETLINK };
	cleanup_fd int fd = host_result(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
	int ret = fd < 0 ? fd : host_result(connect(fd, (const struct sockaddr *)&host, sizeof(host)));

	/* What is connected takes no message of another socket for an answer. */
	return ret < 0 ? ret : take_fd(&fd);
}

static void *request_begin(struct request *rq, int type, int flags, size_t size)
{
	memset(rq, 0, sizeof(*rq));
	rq->head.nlmsg_len = NLMSG_LENGTH(size);
	rq->head.nlmsg_type = type;
	rq->head.nlmsg_flags = NLM_F_REQUEST | flags;
	return NLMSG_DATA(&rq->head);
}

static struct rtattr *put(struct request *rq, int type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)(rq->bytes + NLMSG_ALIGN(rq->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(a), data, len);
	rq->head.nlmsg_len = (char *)a - rq->bytes + RTA_ALIGN(a->rta_len);
	return a;
}

/* What was put since @nest is inside of it. */
static void end_nest(struct request *rq, struct rtattr *nest)
{
	nest->rta_len = rq->bytes + rq->head.nlmsg_len - (char *)nest;
}

/* Send, and receive one message: the answer, or an acknowledgement. */
static ssize_t ask(int sock, const struct request *rq, void *answer, size_t size)
{
	ssize_t n = host_result(send(sock, rq, rq->head.nlmsg_len, 0));
	const struct nlmsghdr *h = answer;

	if (n < 0)
		return n;
	n = host_result(recv(sock, answer, size, MSG_TRUNC));
	if (n < 0)
		return n;
	if (n > (ssize_t)size || n < (ssize_t)sizeof(*h) || h->nlmsg_len > n)
		return -EBADMSG;
	if (h->nlmsg_type != NLMSG_ERROR)
		return n;
	return h->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)) ?
		       -EBADMSG : ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
}

static int perform(int sock, struct request *rq)
{
	/* With the request itself, where it was refused. */
	char answer[sizeof(*rq) + 256] __attribute__((aligned(4)));
	ssize_t n;

	rq->head.nlmsg_flags |= NLM_F_ACK;
	n = ask(sock, rq, answer, sizeof(answer));
	return MIN(n, 0);
}

int rtnl_veth_add(int sock, const char *name, int peer_ns, const char *peer)
{
	static const struct ifinfomsg any;
	struct request rq;
	struct rtattr *info, *data, *other;

	request_begin(&rq, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	put(&rq, IFLA_IFNAME, name, strlen(name) + 1);
	info = put(&rq, IFLA_LINKINFO, NULL, 0);
	put(&rq, IFLA_INFO_KIND, "veth", strlen("veth"));
	data = put(&rq, IFLA_INFO_DATA, NULL, 0);
	other = put(&rq, VETH_INFO_PEER, &any, sizeof(any));
	put(&rq, IFLA_IFNAME, peer, strlen(peer) + 1);
	put(&rq, IFLA_NET_NS_FD, &(uint32_t){ peer_ns }, sizeof(uint32_t));
	end_nest(&rq, other);
	end_nest(&rq, data);
	end_nest(&rq, info);
	return perform(sock, &rq);
}

int rtnl_link_up(int sock, int index, const uint8_t *mac)
{
	struct request rq;
	struct ifinfomsg *link = request_begin(&rq, RTM_NEWLINK, 0, sizeof(*link));

	link->ifi_index = index;
	link->ifi_flags = link->ifi_change = IFF_UP;
	if (mac)
		put(&rq, IFLA_ADDRESS, mac, 6);
	return perform(sock, &rq);
}

int rtnl_address_add(int sock, int index, const struct inet_prefix *a)
{
	struct request rq;
	struct ifaddrmsg *m = request_begin(&rq, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*m));

	m->ifa_family = a->family;
	m->ifa_prefixlen = a->bits;
	m->ifa_index = index;
	m->ifa_flags = a->family == AF_INET6 ? IFA_F_NODAD : 0;
	put(&rq, IFA_LOCAL, a->ip, inet_bits(a->family) / 8);
	put(&rq, IFA_ADDRESS, a->ip, inet_bits(a->family) / 8);
	if (a->family == AF_INET && a->bits < 31) {
		uint32_t broadcast;

		memcpy(&broadcast, a->ip, 4);
		broadcast |= htonl(UINT32_MAX >> a->bits);
		put(&rq, IFA_BROADCAST, &broadcast, 4);
	}
	return perform(sock, &rq);
}

int rtnl_route_add(int sock, int index, const struct inet_route *r)
{
	struct request rq;
	struct rtmsg *m = request_begin(&rq, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(*m));

	m->rtm_family = r->via.family;
	m->rtm_dst_len = r->dest.bits;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_protocol = RTPROT_BOOT;
	m->rtm_scope = RT_SCOPE_UNIVERSE;
	m->rtm_type = RTN_UNICAST;
	if (r->dest.bits)
		put(&rq, RTA_DST, r->dest.ip, inet_bits(r->via.family) / 8);
	put(&rq, RTA_GATEWAY, r->via.ip, inet_bits(r->via.family) / 8);
	put(&rq, RTA_OIF, &index, sizeof(index));
	return perform(sock, &rq);
}

int rtnl_link_stats(int sock, int index, struct rtnl_link_stats64 *ret)
{
	char answer[ANSWER_SIZE] __attribute__((aligned(4)));
	struct nlmsghdr *h = (struct nlmsghdr *)answer;
	struct request rq;
	struct ifinfomsg *link = request_begin(&rq, RTM_GETLINK, 0, sizeof(*link));
	ssize_t n;
	int left;

	link->ifi_index = index;
	n = ask(sock, &rq, answer, sizeof(answer));
	if (n < 0)
		return n;
	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*link)))
		return -EBADMSG;
	left = IFLA_PAYLOAD(h);
	for (struct rtattr *a = IFLA_RTA(NLMSG_DATA(h)); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type != IFLA_STATS64)
			continue;
		/* Newer hosts have more behind it. */
		memset(ret, 0, sizeof(*ret));
		memcpy(ret, RTA_DATA(a), MIN(RTA_PAYLOAD(a), sizeof(*ret)));
		return 0;
	}
	return -ENODATA;
}
