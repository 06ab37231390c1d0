/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_net.c - the sections [net.0], [net.1] ...
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel/util.h"
#include "passthrough/policy/policy_impl.h"

#define FAIL(ld, e, ...) policy_fail((ld)->err, &(e)->pos, __VA_ARGS__)
#define TEXT(a) inet_text((a), false, (char[INET_TEXT_SIZE]){ 0 })
#define NET_TEXT(a) inet_text((a), true, (char[INET_TEXT_SIZE]){ 0 })

const char *const policy_net_backend_str[NUM_NET_BACKENDS] = {
	[NET_NONE] = "none", [NET_VETH] = "veth",
};

static const struct numbered nets = {
	.section = "net", .noun = "network device", .example = "address", .max = POLICY_MAX_NETS,
};

int policy_net_section(struct loader *ld, const struct policy_pos *pos, const char *name)
{
	return policy_numbered_section(ld, &nets, pos, name);
}

/* The host takes more; these need no quoting anywhere, and no pattern is among them. */
static bool is_ifname(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len < POLICY_IFNAME_SIZE && !streq(s, ".") && !streq(s, "..") &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == len;
}

static int set_veth(struct loader *ld, const struct policy_entry *e, struct policy_net *n, const char *name)
{
	if (!is_ifname(name))
		return FAIL(ld, e, "backend = %s; write veth:NAME with the name that the host's end shall have, 1 to %d letters, digits and -_.",
			    e->value, POLICY_IFNAME_SIZE - 1);
	n->backend = NET_VETH;
	strcpy(n->ifname, name);
	return 0;
}

static int set_backend(struct loader *ld, const struct policy_entry *e, struct policy_net *n)
{
	static const char *const later[] = { "tap:", "vde:", "switch:", "user" };

	n->ifname[0] = '\0';
	n->backend_pos = e->pos;
	if (str_starts(e->value, "veth:"))
		return set_veth(ld, e, n, e->value + strlen("veth:"));
	for (size_t i = 0; i < ARRAY_SIZE(later); i++)
		if (str_starts(e->value, later[i]))
			return FAIL(ld, e, "backend = %s is not in this version of weir; write none, or veth:NAME as root",
				    e->value);
	if (!streq(e->value, "none"))
		return FAIL(ld, e, "backend = %s; write none, or veth:NAME as root", e->value);
	n->backend = NET_NONE;
	return 0;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef";

	return isxdigit((unsigned char)c) ? strchr(digits, tolower((unsigned char)c)) - digits : -1;
}

/* Return: false if it is not six bytes in hexadecimal digits with colons between. */
static bool parse_mac(const char *s, uint8_t mac[6])
{
	for (int i = 0; i < 6; i++, s += 3) {
		int high = hex_digit(s[0]), low = high < 0 ? -1 : hex_digit(s[1]);

		if (low < 0 || s[2] != (i < 5 ? ':' : '\0'))
			return false;
		mac[i] = high << 4 | low;
	}
	return true;
}

static int set_mac(struct loader *ld, const struct policy_entry *e, struct policy_net *n)
{
	static const uint8_t none[6];

	/* A first byte that is odd is a group's. */
	if (!parse_mac(e->value, n->mac) || n->mac[0] & 1 || memcmp(n->mac, none, 6) == 0)
		return FAIL(ld, e, "mac = %s; write the address of one device such as 02:00:00:00:00:01", e->value);
	n->has_mac = true;
	return 0;
}

static int set_address(struct loader *ld, const struct policy_entry *e, struct policy_net *n)
{
	const char *s = e->value;
	char word[INET_TEXT_SIZE];

	n->naddresses = 0;
	for (size_t len; (len = policy_next_word(&s, word, sizeof(word)));) {
		struct inet_prefix a;

		if (len >= sizeof(word) || !strchr(word, '/') || inet_parse(word, &a) < 0 || !a.bits ||
		    !inet_of_host(&a))
			return FAIL(ld, e, "'%s' is no address with its network; write address = 10.0.0.2/24 fd00::2/64",
				    word);
		if (n->naddresses == POLICY_MAX_ADDRESSES)
			return FAIL(ld, e, "more than %d addresses of one device; write fewer", POLICY_MAX_ADDRESSES);
		for (unsigned i = 0; i < n->naddresses; i++)
			if (memcmp(&n->address[i], &a, sizeof(a)) == 0)
				return FAIL(ld, e, "address %s is there twice; leave one out", word);
		n->address[n->naddresses++] = a;
	}
	return 0;
}

/* The host's answer to anything else is that it does not know the way. */
static bool reaches(const struct policy_net *n, const struct inet_prefix *via)
{
	if (inet_link_local(via))
		return true;
	for (unsigned i = 0; i < n->naddresses; i++)
		if (inet_holds(&n->address[i], via))
			return true;
	return false;
}

static int set_gateway(struct loader *ld, const struct policy_entry *e, struct policy_net *n)
{
	const char *s = e->value;
	char word[INET_TEXT_SIZE];

	memset(n->gateway, 0, sizeof(n->gateway));
	n->gateway_pos = e->pos;
	for (size_t len; (len = policy_next_word(&s, word, sizeof(word)));) {
		struct inet_prefix a, *g = n->gateway;

		if (len >= sizeof(word) || strchr(word, '/') || inet_parse(word, &a) < 0 || !inet_of_host(&a))
			return FAIL(ld, e, "'%s' is no address; write gateway = 10.0.0.1, for both families 10.0.0.1 fd00::1",
				    word);
		g += g[0].family && g[0].family != a.family;
		if (g->family)
			return FAIL(ld, e, "a second gateway of one family, %s; write one, and the others' networks under routes",
				    word);
		*g = a;
	}
	return 0;
}

static int set_routes(struct loader *ld, const struct policy_entry *e, struct policy_net *n)
{
	const char *s = e->value;
	char dest[INET_TEXT_SIZE], via[INET_TEXT_SIZE];

	n->nroutes = 0;
	n->routes_pos = e->pos;
	for (size_t len; (len = policy_next_word(&s, dest, sizeof(dest)));) {
		size_t more = policy_next_word(&s, via, sizeof(via));
		struct inet_route r;

		if (len >= sizeof(dest) || more >= sizeof(via) || !strchr(dest, '/') || strchr(via, '/') ||
		    inet_parse(dest, &r.dest) < 0 || inet_parse(via, &r.via) < 0 ||
		    r.dest.family != r.via.family || !inet_of_host(&r.via))
			return FAIL(ld, e, "'%s %s' is no network and the gateway to it; write routes = 10.1.0.0/16 10.0.0.9, with commas between several",
				    dest, via);
		if (!r.dest.bits)
			return FAIL(ld, e, "a route to %s is the default one; write gateway = %s", dest, via);
		if (n->nroutes == POLICY_MAX_ROUTES)
			return FAIL(ld, e, "more than %d routes of one device; write fewer", POLICY_MAX_ROUTES);
		n->route[n->nroutes++] = r;
	}
	return 0;
}

static const struct {
	const char *key;
	int (*set)(struct loader *ld, const struct policy_entry *e, struct policy_net *n);
} keys[] = {
	{ "backend", set_backend }, { "mac", set_mac }, { "address", set_address },
	{ "gateway", set_gateway }, { "routes", set_routes },
};

int policy_net_apply(struct loader *ld, const struct policy_entry *e)
{
	const char *key;
	int i = policy_numbered_key(ld, &nets, e, &key);
	struct near_word near;
	struct policy_net *n;
	char hint[64];

	if (i < 0)
		return i;
	n = &ld->p->net[i];
	n->used = true;
	n->pos = e->pos;
	near_init(&near, key);
	for (size_t j = 0; j < ARRAY_SIZE(keys); j++) {
		if (streq(keys[j].key, key))
			return keys[j].set(ld, e, n);
		near_offer(&near, keys[j].key);
	}
	return FAIL(ld, e, "unknown key %s of a network device%s; known are backend, mac, address, gateway, routes",
		    key, near_hint(&near, hint, sizeof(hint)));
}

static int check_ways(struct loader *ld, const struct policy_net *n, int i)
{
	for (int g = 0; g < 2; g++)
		if (n->gateway[g].family && !reaches(n, &n->gateway[g]))
			return policy_fail(ld->err, &n->gateway_pos,
					   "gateway %s is in no network of net.%d; write an address = of its network",
					   TEXT(&n->gateway[g]), i);
	for (unsigned r = 0; r < n->nroutes; r++)
		if (!reaches(n, &n->route[r].via))
			return policy_fail(ld->err, &n->routes_pos,
					   "the gateway %s to %s is in no network of net.%d; write an address = of its network",
					   TEXT(&n->route[r].via), NET_TEXT(&n->route[r].dest), i);
	return 0;
}

/* What two devices cannot both have. */
static int check_pair(struct loader *ld, const struct policy_net *a, const struct policy_net *b, int i)
{
	if (a->backend == NET_VETH && b->backend == NET_VETH && streq(a->ifname, b->ifname))
		return policy_fail(ld->err, &b->backend_pos, "veth:%s is net.%d's already; write another name", b->ifname, i);
	for (int x = 0; x < 2; x++)
		for (int y = 0; y < 2; y++)
			if (a->gateway[x].family && a->gateway[x].family == b->gateway[y].family)
				return policy_fail(ld->err, &b->gateway_pos,
						   "net.%d has a gateway %s already; write one of a family, and the others' networks under routes",
						   i, TEXT(&a->gateway[x]));
	return 0;
}

int policy_net_finish(struct loader *ld)
{
	const struct policy *p = ld->p;
	int ret = 0;

	for (int i = 0; ret == 0 && i < POLICY_MAX_NETS; i++) {
		const struct policy_net *n = &p->net[i];

		if (!n->used)
			continue;
		if (p->ns[POLICY_NS_NET].mode != NS_MODE_NEW)
			return policy_fail(ld->err, &n->pos,
					   "net.%d needs a network of the guest's own; write net = new under [namespaces]", i);
		ret = check_ways(ld, n, i);
		for (int j = 0; ret == 0 && j < i; j++)
			if (p->net[j].used)
				ret = check_pair(ld, &p->net[j], n, j);
	}
	return ret;
}

static void show_one(const struct policy_net *n, FILE *f)
{
	fprintf(f, "backend = %s%s%s\n", policy_net_backend_str[n->backend], n->ifname[0] ? ":" : "", n->ifname);
	if (n->has_mac)
		fprintf(f, "mac = %02x:%02x:%02x:%02x:%02x:%02x\n", n->mac[0], n->mac[1], n->mac[2], n->mac[3],
			n->mac[4], n->mac[5]);
	for (unsigned i = 0; i < n->naddresses; i++)
		fprintf(f, "%s %s", i ? "" : "address =", NET_TEXT(&n->address[i]));
	fputs(n->naddresses ? "\n" : "", f);
	if (n->gateway[0].family)
		fprintf(f, "gateway = %s%s%s\n", TEXT(&n->gateway[0]), n->gateway[1].family ? " " : "",
			n->gateway[1].family ? TEXT(&n->gateway[1]) : "");
	for (unsigned i = 0; i < n->nroutes; i++)
		fprintf(f, "%s %s %s", i ? ",\n" : "routes =", NET_TEXT(&n->route[i].dest), TEXT(&n->route[i].via));
	fputs(n->nroutes ? "\n" : "", f);
}

void policy_show_nets(const struct policy *p, FILE *f)
{
	for (int i = 0; i < POLICY_MAX_NETS; i++) {
		if (!p->net[i].used)
			continue;
		fprintf(f, "\n[net.%d]\n", i);
		show_one(&p->net[i], f);
	}
}
