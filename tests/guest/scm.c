/* SPDX-License-Identifier: Apache-2.0 */
/* scm.c - descriptors and credentials over a Unix socket; abstract names are the guest's own */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "t.h"

static int send_fd(int sock, int fd)
{
	char byte = 'f', control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(sock, &m, 0);
}

static int receive_fd(int sock)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	int fd;

	if (recvmsg(sock, &m, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&m))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

int main(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "\0weir-test" };
	struct ucred cred;
	socklen_t len = sizeof(cred);
	char buf[16] = "";
	int pair[2], fd, server, client, peer;

	need("socketpair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	fd = memfd_create("passed", 0);
	check("write to a memfd", write(fd, "through", 7) == 7);
	say("send it", send_fd(pair[0], fd));
	close(fd);
	fd = receive_fd(pair[1]);
	say("receive it", fd);
	check("it is the same file", pread(fd, buf, 7, 0) == 7 && strcmp(buf, "through") == 0);
	say("peer credentials", getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &cred, &len));
	check("they are ours", cred.pid == getpid() && cred.uid == getuid());

	server = socket(AF_UNIX, SOCK_STREAM, 0);
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	len = offsetof(struct sockaddr_un, sun_path) + 10;
	say("bind an abstract name", bind(server, (struct sockaddr *)&un, len));
	say("listen", listen(server, 1));
	say("connect to it", connect(client, (struct sockaddr *)&un, len));
	peer = accept(server, NULL, NULL);
	check("accept", peer >= 0);
	enter_dir();
	memset(un.sun_path, 0, sizeof(un.sun_path));
	strcpy(un.sun_path, "socket");
	close(server);
	server = socket(AF_UNIX, SOCK_DGRAM, 0);
	say("bind a path", bind(server, (struct sockaddr *)&un, sizeof(un)));
	client = socket(AF_UNIX, SOCK_DGRAM, 0);
	say("send to the path", sendto(client, "x", 1, 0, (struct sockaddr *)&un, sizeof(un)));
	return t_failed;
}
