/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pressure.c - how scarce the host's memory is
 */
#include "mmu/pressure.h"

#include <stdio.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

static const char file[] = "/proc/pressure/memory";

int pressure_watch(void)
{
	/* stall and window in microseconds; an ordinary user may have windows of
	 * whole two seconds only */
	static const char *const triggers[] = { "some 100000 1000000", "some 200000 2000000" };
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(triggers); i++) {
		cleanup_fd int fd = host_open(file, O_RDWR | O_NONBLOCK, 0);

		if (fd < 0)
			return fd;
		/* with its NUL, as the host wants it */
		ret = host_write(fd, triggers[i], strlen(triggers[i]) + 1);
		if (ret >= 0)
			return take_fd(&fd);
	}
	return ret;
}

int pressure_now(void)
{
	char text[256];
	unsigned whole, part;
	ssize_t n = host_read_file(AT_FDCWD, file, text, sizeof(text));

	if (n < 0)
		return n;
	return sscanf(text, "some avg10=%u.%2u", &whole, &part) == 2 ? (int)(whole * 100 + part) : 0;
}
