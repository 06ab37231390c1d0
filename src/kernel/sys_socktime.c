/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_socktime.c - how long a socket waits: SO_RCVTIMEO and SO_SNDTIMEO
 *
 * Set and read by a descriptor of ours on the same socket, in guests whose
 * clocks have a speed of their own (waits = all). Which options stop is said by
 * the mask.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "kernel/cleanup.h"
#include "kernel/deadline.h"
#include "kernel/syscall.h"
#include "kernel/timekeeper.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

static int get_socket(struct kernel *k, struct call *c)
{
	/* Sockets do not travel: theirs is the host's time. */
	bool ours = k->time && !k->travel;
	cleanup_fd int fd = ours ? caller_fd(c->tid, caller_tgid(c->tid), arg_int(c, 0)) : -EBADF;

	return fd >= 0 && !call_valid(c) ? -ESRCH : take_fd(&fd);
}

long sys_setsockopt(struct kernel *k, struct call *c)
{
	cleanup_fd int fd = get_socket(k, c);
	struct timeval tv;

	if (fd < 0 || arg_int(c, 4) < (int)sizeof(tv) || arg_copy_in(c, 3, &tv, sizeof(tv)) < 0 ||
	    tv.tv_sec < 0 || tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return call_continue(c, "a time-out that is none, or of no socket: the host says so");
	tv = deadline_timeval(k, &tv);
	return host_result(setsockopt(fd, arg_int(c, 1), arg_int(c, 2), &tv, sizeof(tv)));
}

long sys_getsockopt(struct kernel *k, struct call *c)
{
	cleanup_fd int fd = get_socket(k, c);
	struct timeval tv;
	socklen_t len = 0, have = sizeof(tv);
	int64_t ns;
	int ret;

	if (fd < 0 || arg_copy_in(c, 4, &len, sizeof(len)) < 0 || (int)len < (int)sizeof(tv))
		return call_continue(c, "a time-out of no socket, or no room for it: the host says so");
	ret = host_result(getsockopt(fd, arg_int(c, 1), arg_int(c, 2), &tv, &have));
	if (ret < 0)
		return ret;
	ns = tv.tv_sec * (int64_t)NSEC_PER_SEC + tv.tv_usec * 1000;
	ns = timekeeper_guest_span(k->time, ns);
	tv = (struct timeval){ ns / (int64_t)NSEC_PER_SEC, ns % (int64_t)NSEC_PER_SEC / 1000 };
	ret = arg_copy_out(c, 3, &tv, sizeof(tv));
	return ret < 0 ? ret : arg_copy_out(c, 4, &have, sizeof(have));
}
