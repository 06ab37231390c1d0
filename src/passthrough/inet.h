/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inet.h - addresses of IPv4 and IPv6 and what is written behind them
 */
#ifndef WEIR_PASSTHROUGH_INET_H
#define WEIR_PASSTHROUGH_INET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INET_TEXT_SIZE 64	/* the longest text of one, with its NUL */

struct inet_prefix {
	uint8_t family;		/* AF_INET or AF_INET6; 0: none */
	uint8_t bits;		/* of the network; all of the address's where none was written */
	uint8_t ip[16];		/* network byte order; of IPv4 the first four */
};

/* To @dest through @via. */
struct inet_route {
	struct inet_prefix dest, via;
};

/* Bits of an address of a family; 0 if it is none of the two. */
unsigned inet_bits(uint8_t family);

/* "10.0.0.2", "fd00::2", and with a prefix "10.0.0.2/24"; inet_pton(3)'s forms.
 * Return: 0 or -EINVAL. */
int inet_parse(const char *s, struct inet_prefix *ret);

/* As it is parsed again. @bits: with its prefix. */
const char *inet_text(const struct inet_prefix *a, bool bits, char buf[INET_TEXT_SIZE]);

/* Does the network that @net lies in hold @a? */
bool inet_holds(const struct inet_prefix *net, const struct inet_prefix *a);

/* fe80::/10: is on every link. */
bool inet_link_local(const struct inet_prefix *a);

/* Can a host have it: is it neither multicast, nor unspecified, nor IPv4's broadcast? */
bool inet_of_host(const struct inet_prefix *a);

#endif
