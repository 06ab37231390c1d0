/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_socktime.c - the options of a socket that have to do with time
 *
 * SO_RCVTIMEO and SO_SNDTIMEO, how long it waits, are set and read by a
 * descriptor of ours on the same socket, in guests whose clocks have a speed of
 * their own (waits = all). SO_TIMESTAMP and its relatives are refused while the
 * guest's clock is not the host's: what they ask for comes with recvmsg(2), as
 * the host's REALTIME; to have it otherwise, each recvmsg(2) of each socket would
 * have to stop. Which options stop is said by the mask; a policy may have all of
 * them stop.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/syscall.h"
#include "kernel/time/timekeeper.h"
#include "kernel/util.h"
#include "kernel/wait/deadline.h"
#include "kernel/wait/sock_timeout.h"
#include "passthrough/hostcall.h"

static int get_socket(struct kernel *k, struct call *c)
{
	/* Sockets do not travel: theirs is the host's time. */
	bool ours = k->time && !k->travel;
	cleanup_fd int fd = ours ? caller_fd(c->tid, caller_tgid(c->tid), arg_int(c, 0)) : -EBADF;

	return fd >= 0 && !call_valid(c) ? -ESRCH : take_fd(&fd);
}

/* Return: have the host do it. */
static bool set_timeout(struct kernel *k, struct call *c, long *ret)
{
	cleanup_fd int fd = get_socket(k, c);
	struct timeval tv;

	if (fd < 0 || arg_int(c, 4) < (int)sizeof(tv) || arg_copy_in(c, 3, &tv, sizeof(tv)) < 0 ||
	    tv.tv_sec < 0 || tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return true;
	*ret = sock_timeout_set(k, fd, arg_int(c, 2), &tv);
	return false;
}

/* Not more than one a second: the log is not the guest's to fill. */
static void log_refusal(int option)
{
	static _Atomic uint64_t logged;

	if (host_now() - atomic_load(&logged) < NSEC_PER_SEC)
		return;
	atomic_store(&logged, host_now());
	log_info("time: setsockopt: time stamps of packets (option %d) refused: they would be the host's time",
		 option);
}

static long refuse_stamps(struct call *c)
{
	int on = 1, ret;

	/* To have none is fine; a longer value begins with what counts. */
	ret = arg_u32(c, 4) < sizeof(on) ? -EINVAL : arg_copy_in(c, 3, &on, sizeof(on));
	if (ret < 0 || on == 0)
		return ret;
	log_refusal(arg_int(c, 2));
	return -ENOPROTOOPT;
}

static bool is_one_of(int option, const int *options, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (options[i] == option)
			return true;
	return false;
}

static bool is_stamp_option(int option)
{
	static const int options[] = {
		SO_TIMESTAMP_OLD, SO_TIMESTAMPNS_OLD, SO_TIMESTAMPING_OLD,
		SO_TIMESTAMP_NEW, SO_TIMESTAMPNS_NEW, SO_TIMESTAMPING_NEW,
	};

	return is_one_of(option, options, ARRAY_SIZE(options));
}

static bool is_timeout(const struct call *c)
{
	static const int options[] = {
		SO_RCVTIMEO_OLD, SO_SNDTIMEO_OLD, SO_RCVTIMEO_NEW, SO_SNDTIMEO_NEW,
	};

	return arg_int(c, 1) == SOL_SOCKET && is_one_of(arg_int(c, 2), options, ARRAY_SIZE(options));
}

long sys_setsockopt(struct kernel *k, struct call *c)
{
	bool stamps = arg_int(c, 1) == SOL_SOCKET && is_stamp_option(arg_int(c, 2));
	long ret;

	if (stamps && k->time && !timekeeper_is_host(k->time))
		return refuse_stamps(c);
	if (stamps)
		return call_continue(c, "level and option are in registers, and the clock that packets "
					"are stamped by is the guest's, too");
	if (!is_timeout(c))
		return call_continue(c, "level and option are in registers, and what they name is no time-out");
	if (set_timeout(k, c, &ret))
		return call_continue(c, "a time-out that is none, or of no socket: the host says so");
	return ret;
}

/* What is longer than all time was set as it is (deadline_timeval()). */
static struct timeval in_guest_time(struct kernel *k, const struct timeval *host)
{
	struct timespec ts = { host->tv_sec, host->tv_usec * 1000 };
	int64_t ns = timespec_ns(&ts);

	if (ns == INT64_MAX)
		return *host;
	ns = timekeeper_guest_span(k->time, ns);
	return (struct timeval){ ns / (int64_t)NSEC_PER_SEC, ns % (int64_t)NSEC_PER_SEC / 1000 };
}

/* Return: have the host do it. */
static bool get_timeout(struct kernel *k, struct call *c, long *ret)
{
	cleanup_fd int fd = get_socket(k, c);
	struct timeval tv;
	socklen_t len = 0, have = sizeof(tv);

	if (fd < 0 || arg_copy_in(c, 4, &len, sizeof(len)) < 0 || (int)len < (int)sizeof(tv))
		return true;
	*ret = host_result(getsockopt(fd, SOL_SOCKET, arg_int(c, 2), &tv, &have));
	if (*ret < 0)
		return false;
	tv = in_guest_time(k, &tv);
	*ret = arg_copy_out(c, 3, &tv, sizeof(tv));
	if (*ret == 0)
		*ret = arg_copy_out(c, 4, &have, sizeof(have));
	return false;
}

long sys_getsockopt(struct kernel *k, struct call *c)
{
	long ret;

	if (!is_timeout(c))
		return call_continue(c, "level and option are in registers, and what they name is no time-out");
	if (get_timeout(k, c, &ret))
		return call_continue(c, "a time-out of no socket, or no room for it: the host says so");
	return ret;
}
