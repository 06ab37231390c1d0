/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuse.h - the FUSE transport: requests of a mounted file system, and threads
 * that answer them
 *
 * Below it is a descriptor of /dev/fuse that was opened in the guest's user
 * namespace and is mounted; above it are the operations, libfuse's low-level
 * ones, given by the kernel or a driver. Requests name host pids.
 *
 * An answer is due for every request, without waiting: a task that waits for
 * one can neither be frozen nor reaped. When we die the descriptor closes, and
 * every request, waiting or new, gets ENOTCONN.
 */
#ifndef WEIR_PASSTHROUGH_FUSE_H
#define WEIR_PASSTHROUGH_FUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct fuse_server;
struct fuse_lowlevel_ops;

struct fuse_server_config {
	int device;		/* the server's from now on */
	const struct fuse_lowlevel_ops *ops;
	size_t ops_size;
	void *ctx;		/* fuse_req_userdata() */
	unsigned threads;	/* 0: the caller reads, see fuse_server_read() */
	/*
	 * The host CPU that a thread runs on, or -1. With it, and one thread, a
	 * task that asks again and again is answered on its own CPU: across CPUs,
	 * two wake-ups cost ten times what the answer does. Requests are
	 * answered one at a time all the same.
	 */
	int (*cpu_of)(void *ctx, pid_t tid);
};

/**
 * fuse_server_start() - Answer from now on
 *
 * The file system must be mounted already: before that the host refuses to be
 * read from. *@ret is set before the first request is answered. Return: 0 or a
 * negative errno; then the device is closed. -ENOSYS: built without FUSE.
 */
int fuse_server_start(const struct fuse_server_config *cfg, struct fuse_server **ret);

/**
 * fuse_server_read() - Take the requests that have come, and begin each
 *
 * For a server without threads, when fuse_server_fd() can be read. An operation
 * may answer at once or later, from the same thread.
 * Return: false when there will be no more: the file system was unmounted.
 */
bool fuse_server_read(struct fuse_server *s);
int fuse_server_fd(const struct fuse_server *s);

/**
 * fuse_server_store() - Put the beginning of a file into the host's page cache
 *
 * The host waits for the page: nobody may be reading it through the cache, as
 * the one who waits would have to answer. If the file is no longer than @len, it
 * then has this length, and is not read from us until the page is dropped.
 * Return: 0 or a negative errno.
 */
int fuse_server_store(struct fuse_server *s, uint64_t ino, const void *data, size_t len);

/* Ends the threads, the request that one is at being answered. NULL is fine. */
void fuse_server_stop(struct fuse_server *s);

#endif
