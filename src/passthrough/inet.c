/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inet.c - addresses of IPv4 and IPv6 and what is written behind them
 */
#include "passthrough/inet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

unsigned inet_bits(uint8_t family)
{
	return family == AF_INET ? 32 : family == AF_INET6 ? 128 : 0;
}

/* Up to three digits, no sign, no leading zero. Return: -1 if it is no such number. */
static int parse_bits(const char *s)
{
	size_t len = strspn(s, "0123456789");
	int n = 0;

	if (len == 0 || len > 3 || s[len] || (len > 1 && s[0] == '0'))
		return -1;
	for (size_t i = 0; i < len; i++)
		n = 10 * n + (s[i] - '0');
	return n;
}

int inet_parse(const char *s, struct inet_prefix *ret)
{
	size_t len = strcspn(s, "/");
	struct inet_prefix a = {};
	char ip[INET6_ADDRSTRLEN];
	int bits;

	if (len >= sizeof(ip))
		return -EINVAL;
	memcpy(ip, s, len);
	ip[len] = '\0';
	if (inet_pton(AF_INET, ip, a.ip) == 1)
		a.family = AF_INET;
	else if (inet_pton(AF_INET6, ip, a.ip) == 1)
		a.family = AF_INET6;
	else
		return -EINVAL;
	bits = s[len] ? parse_bits(s + len + 1) : (int)inet_bits(a.family);
	if (bits < 0 || bits > (int)inet_bits(a.family))
		return -EINVAL;
	a.bits = bits;
	*ret = a;
	return 0;
}

const char *inet_text(const struct inet_prefix *a, bool bits, char buf[INET_TEXT_SIZE])
{
	if (!inet_ntop(a->family, a->ip, buf, INET_TEXT_SIZE))
		return "no address";
	if (bits)
		sprintf(buf + strlen(buf), "/%u", a->bits);
	return buf;
}

bool inet_holds(const struct inet_prefix *net, const struct inet_prefix *a)
{
	unsigned whole = net->bits / 8, rest = net->bits % 8;

	if (net->family != a->family || memcmp(net->ip, a->ip, whole) != 0)
		return false;
	return rest == 0 || (net->ip[whole] ^ a->ip[whole]) >> (8 - rest) == 0;
}

bool inet_link_local(const struct inet_prefix *a)
{
	return a->family == AF_INET6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

bool inet_of_host(const struct inet_prefix *a)
{
	static const uint8_t none[16], all[4] = { 255, 255, 255, 255 };

	if (a->family == AF_INET)
		return memcmp(a->ip, none, 4) != 0 && memcmp(a->ip, all, 4) != 0 && a->ip[0] >> 4 != 14;
	return memcmp(a->ip, none, 16) != 0 && a->ip[0] != 0xff;
}
