/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnl.h - network devices, addresses and routes, by rtnetlink(7)
 *
 * A request is sent and its answer awaited. All return 0 or a negative errno, the
 * host's; they act in the network namespace that the socket was opened in.
 */
#ifndef WEIR_NS_RTNL_H
#define WEIR_NS_RTNL_H

#include <linux/if_link.h>

#include "passthrough/inet.h"

/* Return: a socket, to be closed by the caller. */
int rtnl_open(void);

/* A pair of devices: @name here, @peer in the network namespace @peer_ns. */
int rtnl_veth_add(int sock, const char *name, int peer_ns, const char *peer);

/* Up, with the address @mac, six bytes, NULL for the one it has. */
int rtnl_link_up(int sock, int index, const uint8_t *mac);

/* Usable at once: nobody else is asked for it (no duplicate address detection). */
int rtnl_address_add(int sock, int index, const struct inet_prefix *a);

/* A route of bits 0 is the default one. */
int rtnl_route_add(int sock, int index, const struct inet_route *r);

/* Return: -ENODATA if the host counts nothing for it. */
int rtnl_link_stats(int sock, int index, struct rtnl_link_stats64 *ret);

#endif
