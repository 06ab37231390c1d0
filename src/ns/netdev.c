/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netdev.c - the network devices of a guest: made, and given addresses and routes
 *
 * Each is an end of a veth pair. What it is joined to is where the other end is: in the
 * host's network namespace, or in one where nobody listens, so that a device that is
 * joined to nothing has a carrier all the same, and addresses and routes that are good.
 */
#include "ns/netdev.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/feature.h"
#include "ns/rtnl.h"
#include "passthrough/hostcall.h"

#define NAME_PATIENCE_NS UINT64_C(2000000000)

/* A socket that hears when a device of this namespace goes. */
static int open_link_events(void)
{
	cleanup_fd int fd = rtnl_open();
	int ret = fd < 0 ? fd : host_result(setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP,
						       &(int){ RTNLGRP_LINK }, sizeof(int)));

	return ret < 0 ? ret : take_fd(&fd);
}

/* Until something changes, or @end. */
static void await_change(int events, uint64_t end)
{
	struct pollfd p = { .fd = events, .events = POLLIN };
	uint64_t now = host_now();
	char buf[4096];

	if (now < end)
		poll(&p, 1, (end - now) / 1000000 + 1);
	while (recv(events, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

static int add_pair(const struct netdev_config *c, const char *here, int netns)
{
	cleanup_fd int sock = rtnl_open(), events = open_link_events();
	uint64_t end = host_now() + NAME_PATIENCE_NS;
	int ret = sock < 0 ? sock : MIN(events, 0);

	if (ret == 0 && host_feature_masked("veth"))
		ret = -EOPNOTSUPP;
	if (ret == 0)
		while ((ret = rtnl_veth_add(sock, here, netns, c->name)) == -EEXIST && host_now() < end)
			await_change(events, end);
	/* The host's end is the host's to use. */
	if (ret == 0 && !c->host_name)
		ret = rtnl_link_up(sock, if_nametoindex(here), NULL);
	return ret;
}

int netdev_join(const struct netdev_config *c, int netns, struct ns_error *err)
{
	const char *here = c->host_name ?: c->name;
	int ret = add_pair(c, here, netns);

	if (ret == -EEXIST)
		return ns_fail(err, ret, "net: %s: the host has a device of this name; write another one behind veth:",
			       here);
	if (ret == -EPERM && c->host_name)
		return ns_fail(err, ret, "net: %s: only root may add a device to the host's network; write backend = none, or run weir as root",
			       here);
	if (ret == -EOPNOTSUPP)
		return ns_fail(err, ret, "net: %s: the host has no veth devices; load its module veth, or leave [net.N] out",
			       here);
	return ret < 0 ? ns_fail(err, ret, "net: %s: %s", here, strerror(-ret)) : 0;
}

/* Else that end speaks of its own accord, which nobody hears. A host without IPv6 has no
 * such file, and where /proc/sys is read-only it cannot be written. */
static void be_silent(void)
{
	int ret = host_write_file(AT_FDCWD, "/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");

	if (ret < 0 && ret != -ENOENT)
		log_info("net: what is joined to nothing keeps IPv6: %s", strerror(-ret));
}

int netdev_enter_nowhere(struct ns_error *err)
{
	int ret = host_result(unshare(CLONE_NEWNET));

	if (ret == 0) {
		be_silent();
		ret = host_open("/proc/self/ns/net", O_RDONLY, 0);
	}
	return ret < 0 ? ns_fail(err, ret, "net: a network namespace for what is joined to nothing: %s", strerror(-ret)) : ret;
}

static int fail_at(struct ns_error *err, int ret, const char *name, const char *what,
		   const struct inet_prefix *a, bool bits)
{
	char text[INET_TEXT_SIZE];
	bool absent = ret == -EOPNOTSUPP || ret == -EAFNOSUPPORT;

	return ns_fail(err, ret, "net: %s: %s %s: %s", name, what, inet_text(a, bits, text),
		       absent ? "the host has no such protocol; leave its addresses out" : strerror(-ret));
}

static int add_routes(const struct netdev_config *c, int sock, int index, struct ns_error *err)
{
	int ret;

	for (unsigned i = 0; i < c->nroutes; i++) {
		ret = rtnl_route_add(sock, index, &c->route[i]);
		if (ret < 0)
			return fail_at(err, ret, c->name, "the route to", &c->route[i].dest, true);
	}
	for (unsigned i = 0; i < c->ngateways; i++) {
		struct inet_route r = { .via = c->gateway[i] };

		ret = r.via.family ? rtnl_route_add(sock, index, &r) : 0;
		if (ret < 0)
			return fail_at(err, ret, c->name, "the gateway", &r.via, false);
	}
	return 0;
}

int netdev_set_up(const struct netdev_config *c, int sock, int *ret_index, struct ns_error *err)
{
	int index = if_nametoindex(c->name), ret = index ? rtnl_link_up(sock, index, c->mac) : -ENODEV;

	if (ret < 0)
		return ns_fail(err, ret, "net: %s: %s", c->name, strerror(-ret));
	for (unsigned i = 0; i < c->naddresses; i++) {
		ret = rtnl_address_add(sock, index, &c->address[i]);
		if (ret < 0)
			return fail_at(err, ret, c->name, "address", &c->address[i], true);
	}
	ret = add_routes(c, sock, index, err);
	if (ret == 0)
		*ret_index = index;
	return ret;
}
