/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nets.c - the network devices of the guest, as its policy has them
 *
 * Guest root has no CAP_NET_ADMIN: what it would configure at boot is configured here,
 * from [net.N], by requests that are ours from the first byte to the last.
 */
#include "kernel/nets.h"

#include <errno.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/kernel.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/netdev.h"
#include "ns/rtnl.h"
#include "passthrough/hostcall.h"

struct net {
	char name[POLICY_IFNAME_SIZE];
	const struct policy_net *policy;	/* NULL: there is none of this number */
	int index;
};

struct nets {
	int sock;		/* in the guest's network namespace */
	int nowhere;		/* netdev_enter_nowhere()'s, -1 if no device needs it */
	struct net net[POLICY_MAX_NETS];
};

static struct netdev_config config(const struct net *n)
{
	const struct policy_net *p = n->policy;

	return (struct netdev_config){
		.name = n->name,
		.host_name = p->backend == NET_VETH ? p->ifname : NULL,
		.mac = p->has_mac ? p->mac : NULL,
		.address = p->address, .naddresses = p->naddresses,
		.gateway = p->gateway, .ngateways = ARRAY_SIZE(p->gateway),
		.route = p->route, .nroutes = p->nroutes,
	};
}

/* The devices of one backend, made from where their other ends shall be. */
static int join(const struct kernel *k, enum policy_net_backend backend, struct ns_error *err)
{
	int ret = 0;

	for (int i = 0; ret == 0 && i < POLICY_MAX_NETS; i++) {
		const struct net *n = &k->nets->net[i];
		struct netdev_config c;

		if (!n->policy || n->policy->backend != backend)
			continue;
		if (backend == NET_NONE && k->nets->nowhere < 0)
			ret = k->nets->nowhere = netdev_enter_nowhere(err);
		c = config(n);
		if (ret >= 0)
			ret = netdev_join(&c, k->agent.ns[AGENT_NET], err);
	}
	return ret;
}

static int set_up(struct nets *nets, struct ns_error *err)
{
	int ret = 0;

	for (int i = 0; ret == 0 && i < POLICY_MAX_NETS; i++) {
		struct net *n = &nets->net[i];
		struct netdev_config c;

		if (!n->policy)
			continue;
		c = config(n);
		ret = netdev_set_up(&c, nets->sock, &n->index, err);
		if (ret == 0)
			log_info("net: %s: %s%s%s, %u addresses, %u routes", n->name,
				 policy_net_backend_str[n->policy->backend], c.host_name ? " to the host's " : "",
				 c.host_name ?: "", c.naddresses,
				 c.nroutes + !!c.gateway[0].family + !!c.gateway[1].family);
	}
	return ret;
}

static bool has_nets(const struct policy *p)
{
	for (int i = 0; i < POLICY_MAX_NETS; i++)
		if (p->net[i].used)
			return true;
	return false;
}

static struct nets *nets_create(const struct policy *p)
{
	struct nets *nets = calloc(1, sizeof(*nets));

	if (!nets)
		return NULL;
	nets->sock = nets->nowhere = -1;
	for (int i = 0; i < POLICY_MAX_NETS; i++) {
		nets->net[i] = (struct net){ .policy = p->net[i].used ? &p->net[i] : NULL, .index = -1 };
		snprintf(nets->net[i].name, sizeof(nets->net[i].name), "eth%d", i);
	}
	return nets;
}

int nets_init(struct kernel *k, struct ns_error *err)
{
	int ret;

	if (!has_nets(k->cfg->policy))
		return 0;
	k->nets = nets_create(k->cfg->policy);
	if (!k->nets)
		return -ENOMEM;
	ret = join(k, NET_VETH, err);
	if (ret == 0)
		ret = join(k, NET_NONE, err);
	if (ret < 0)
		return ret;
	ret = host_call(SYS_setns, k->agent.ns[AGENT_NET], CLONE_NEWNET);
	if (ret == 0)
		ret = k->nets->sock = rtnl_open();
	if (ret < 0)
		return ns_fail(err, ret, "net: the guest's network: %s", strerror(-ret));
	return set_up(k->nets, err);
}

void nets_exit(struct kernel *k)
{
	if (!k->nets)
		return;
	cleanup_fd_p(&k->nets->sock);
	cleanup_fd_p(&k->nets->nowhere);
	free(k->nets);
	k->nets = NULL;
}

/* The guest's side: what it has received and sent. */
static json_t *net_json(const struct nets *nets, const struct net *n)
{
	struct rtnl_link_stats64 s = {};
	char backend[32];

	snprintf(backend, sizeof(backend), "%s%s%s", policy_net_backend_str[n->policy->backend],
		 n->policy->ifname[0] ? ":" : "", n->policy->ifname);
	if (rtnl_link_stats(nets->sock, n->index, &s) < 0)
		return NULL;
	return json_pack("{s:s, s:s, s:I, s:I, s:I}", "name", n->name, "backend", backend,
			 "rx_frames", (json_int_t)s.rx_packets, "tx_frames", (json_int_t)s.tx_packets,
			 "drops", (json_int_t)(s.rx_dropped + s.tx_dropped));
}

json_t *nets_json(const struct kernel *k)
{
	json_t *all = json_array();

	for (int i = 0; k->nets && i < POLICY_MAX_NETS; i++)
		if (k->nets->net[i].policy)
			json_array_append_new(all, net_json(k->nets, &k->nets->net[i]));
	return all;
}
