/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.c - a program that listens to pressure: a trigger in /proc/pressure/memory, then
 * poll(2), as Documentation/accounting/psi.rst has it. Says "ready", or why the host takes
 * no trigger; then "pressure", or "nothing" after five minutes: what makes
 * it is yet to be written and read by then.
 */
#include <poll.h>

#include "../guest/t.h"

int main(void)
{
	/* 20 ms in two seconds: the shortest window that needs no privilege. */
	const char trigger[] = "some 20000 2000000";
	struct pollfd p = { .fd = open("/proc/pressure/memory", O_RDWR | O_NONBLOCK), .events = POLLPRI };

	if (p.fd < 0 || write(p.fd, trigger, sizeof(trigger)) < 0) {
		printf("refused %s\n", t_errno(errno));
		return 0;
	}
	printf("ready\n");
	fflush(stdout);
	puts(poll(&p, 1, 300000) == 1 && p.revents == POLLPRI ? "pressure" : "nothing");
	return 0;
}
