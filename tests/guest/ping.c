/* SPDX-License-Identifier: Apache-2.0 */
/* ping.c - ping without a raw socket: SOCK_DGRAM ICMP to 127.0.0.1 */
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>

#include "t.h"

int main(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct icmphdr echo = { .type = ICMP_ECHO, .un.echo.sequence = htons(7) };
	struct timeval tv = { .tv_sec = 5 };
	char buf[256];
	ssize_t n;

	say("ping socket", fd);
	if (fd == -1)
		return 0;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	say("send", sendto(fd, &echo, sizeof(echo), 0, (struct sockaddr *)&to, sizeof(to)));
	n = recv(fd, buf, sizeof(buf), 0);
	check("the answer is an echo reply",
	      n >= (ssize_t)sizeof(echo) && ((struct icmphdr *)buf)->type == ICMP_ECHOREPLY);
	return t_failed;
}
