/* SPDX-License-Identifier: Apache-2.0 */
/* loopback.c - TCP and UDP over 127.0.0.1 and ::1 within the guest */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "t.h"

static void stream(const char *what, struct sockaddr *sa, socklen_t len)
{
	int server = socket(sa->sa_family, SOCK_STREAM, 0);
	int client = socket(sa->sa_family, SOCK_STREAM, 0);
	struct sockaddr_storage bound;
	socklen_t size = sizeof(bound);
	char buf[100000], got[100000];
	size_t have = 0;
	ssize_t n;
	int peer, one = 1;

	need("bind", bind(server, sa, len));
	need("listen", listen(server, 5));
	need("getsockname", getsockname(server, (struct sockaddr *)&bound, &size));
	say("reuseaddr", setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	need("connect", connect(client, (struct sockaddr *)&bound, size));
	say("nodelay", setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	peer = need("accept", accept4(server, NULL, NULL, SOCK_CLOEXEC));
	memset(buf, 'w', sizeof(buf));
	if (fork() == 0) {
		_exit(write(client, buf, sizeof(buf)) != sizeof(buf));
	}
	while (have < sizeof(got) && (n = read(peer, got + have, sizeof(got) - have)) > 0)
		have += n;
	wait(NULL);
	check(what, have == sizeof(buf) && memcmp(buf, got, have) == 0);
	shutdown(client, SHUT_WR);
	check("end of stream", read(peer, got, 1) == 0);
	close(client);
	close(peer);
	close(server);
}

static void dgram(const char *what, struct sockaddr *sa, socklen_t len)
{
	int a = socket(sa->sa_family, SOCK_DGRAM, 0), b = socket(sa->sa_family, SOCK_DGRAM, 0);
	struct sockaddr_storage bound;
	socklen_t size = sizeof(bound);
	struct mmsghdr mm[2];
	struct iovec iov[2] = { { "one", 3 }, { "two", 3 } };
	char buf[16];

	need("bind", bind(a, sa, len));
	need("getsockname", getsockname(a, (struct sockaddr *)&bound, &size));
	memset(mm, 0, sizeof(mm));
	for (int i = 0; i < 2; i++) {
		mm[i].msg_hdr.msg_iov = &iov[i];
		mm[i].msg_hdr.msg_iovlen = 1;
		mm[i].msg_hdr.msg_name = &bound;
		mm[i].msg_hdr.msg_namelen = size;
	}
	say_number("sendmmsg", sendmmsg(b, mm, 2, 0));
	check(what, recv(a, buf, sizeof(buf), 0) == 3 && recv(a, buf, sizeof(buf), 0) == 3);
	close(a);
	close(b);
}

int main(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in far = { .sin_family = AF_INET, .sin_port = htons(53) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	stream("100000 bytes over TCP, IPv4", (struct sockaddr *)&in, sizeof(in));
	stream("100000 bytes over TCP, IPv6", (struct sockaddr *)&in6, sizeof(in6));
	dgram("two datagrams, IPv4", (struct sockaddr *)&in, sizeof(in));
	dgram("two datagrams, IPv6", (struct sockaddr *)&in6, sizeof(in6));
	inet_pton(AF_INET, "192.0.2.1", &far.sin_addr);
	say("connect to the world", connect(fd, (struct sockaddr *)&far, sizeof(far)));
	in.sin_port = htons(80);
	say("bind to port 80", bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&in,
				    sizeof(in)));
	return t_failed;
}
