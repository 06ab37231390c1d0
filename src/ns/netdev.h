/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netdev.h - the network devices of a guest: made, and given addresses and routes
 *
 * For whoever has CAP_NET_ADMIN over the guest's network namespace; its root does not.
 */
#ifndef WEIR_NS_NETDEV_H
#define WEIR_NS_NETDEV_H

#include "ns/error.h"
#include "passthrough/inet.h"

struct netdev_config {
	const char *name;		/* in the guest: "eth0" */
	const char *host_name;		/* of the veth pair's end that stays; NULL: joined to nothing */
	const uint8_t *mac;		/* six bytes; NULL: the host chooses */
	const struct inet_prefix *address;
	unsigned naddresses;
	const struct inet_prefix *gateway;	/* family 0: none */
	unsigned ngateways;
	const struct inet_route *route;
	unsigned nroutes;
};

/**
 * netdev_join() - Make a device: a pair, whose other end is here
 * @netns: the guest's network namespace
 *
 * In the host's network namespace, or, for a device that is joined to nothing, in that
 * of netdev_enter_nowhere(). The host's end is down and has no address. The pair is gone
 * when the guest's namespace is, which the host may see to some time after the guest's
 * end: a pair of that name is waited for.
 */
int netdev_join(const struct netdev_config *c, int netns, struct ns_error *err);

/* Enter a network namespace in which nothing ever is but ends of pairs. It is there as
 * long as the descriptor that is returned. */
int netdev_enter_nowhere(struct ns_error *err);

/* Configure a device that was made: up, with its addresses and routes. @sock is
 * rtnl_open()'s; it and the caller are in the guest's network namespace. */
int netdev_set_up(const struct netdev_config *c, int sock, int *ret_index, struct ns_error *err);

#endif
