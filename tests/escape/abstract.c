/* SPDX-License-Identifier: Apache-2.0 */
/* abstract.c NAME - an abstract socket of the host's cannot be reached (CVE-2020-15257) */
#include <arpa/inet.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../guest/t.h"

int main(int argc, char **argv)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len;

	if (argc < 3)
		skip("the runner gives the name and the port");
	snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s", argv[1]);
	len = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(argv[1]);
	check("the host's abstract socket",
	      connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&un, len) == -1 &&
		      errno == ECONNREFUSED);
	in.sin_port = htons(atoi(argv[2]));
	check("the host's loopback port", connect(socket(AF_INET, SOCK_STREAM, 0),
						  (struct sockaddr *)&in, sizeof(in)) == -1);
	return t_failed;
}
