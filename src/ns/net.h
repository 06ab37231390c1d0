/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.h - a network namespace of the guest's own, as it starts
 */
#ifndef WEIR_NS_NET_H
#define WEIR_NS_NET_H

#include "ns/error.h"

/* In the agent, while the host's /proc is still there: the loopback interface
 * up, and ping without raw sockets for every group of the guest. */
int net_up(struct ns_error *err);

#endif
