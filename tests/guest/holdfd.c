/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdfd.c - take the descriptors that come over standard input, and hold them
 *
 * Prints how many came, and waits to be killed.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
	char byte, control[CMSG_SPACE(8 * sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;

	if (recvmsg(0, &msg, 0) != 1)
		return 1;
	c = CMSG_FIRSTHDR(&msg);
	printf("%zu\n", c ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0);
	fflush(stdout);
	for (;;)
		pause();
}
