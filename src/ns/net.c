/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.c - a network namespace of the guest's own, as it starts
 */
#include "ns/net.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

static int loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	cleanup_fd int fd = -1;

	fd = host_result(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	if (fd == -EAFNOSUPPORT)
		fd = host_result(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	return fd < 0 ? fd : host_result(ioctl(fd, SIOCSIFFLAGS, &ifr));
}

/* The highest group: the host takes only groups that are mapped. */
static uint32_t last_gid(void)
{
	uint32_t last = 0;
	char buf[4096], *line, *save;

	if (host_read_file(AT_FDCWD, "/proc/self/gid_map", buf, sizeof(buf)) < 0)
		return 0;
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		uint32_t inner, outer, count;

		if (sscanf(line, "%u %u %u", &inner, &outer, &count) == 3 && count)
			last = MAX(last, inner + count - 1);
	}
	return MIN(last, (uint32_t)INT32_MAX);
}

int net_up(struct ns_error *err)
{
	char range[32];
	int ret = loopback_up();

	if (ret < 0)
		return ns_fail(err, ret, "net: the loopback interface: %s", strerror(-ret));
	snprintf(range, sizeof(range), "0 %u", last_gid());
	ret = host_write_file(AT_FDCWD, "/proc/sys/net/ipv4/ping_group_range", range);
	if (ret < 0)
		log_info("net: ping without raw sockets absent: %s", strerror(-ret));
	return 0;
}
