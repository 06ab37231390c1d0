/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aio.h - reads, writes and syncs that do not wait
 *
 * A struct aio is where requests go: the host's, made by aio_create(), or a
 * disk of a test's own. Every request that submit() is given is done() once,
 * never before submit() has returned; request, vector and buffers are the
 * queue's until then.
 */
#ifndef WEIR_DRIVERS_AIO_H
#define WEIR_DRIVERS_AIO_H

#include <libaio.h>
#include <stdint.h>
#include <sys/uio.h>

enum aio_op {
	AIO_READ,
	AIO_WRITE,
	AIO_SYNC,	/* fdatasync(2) */
	AIO_PUNCH,	/* a hole of @len bytes; waits, as the host has no other way */
};

struct aio_request {
	enum aio_op op;
	int fd;
	uint64_t offset;		/* bytes */
	const struct iovec *iov;	/* of AIO_READ and AIO_WRITE */
	unsigned niov;
	uint64_t len;			/* of AIO_PUNCH */
	/* @ret: bytes, 0, or a negative errno. May submit again. */
	void (*done)(struct aio_request *rq, long ret);

	/* aio.c's */
	struct iocb iocb;
	struct aio_request *next_ended;
	long ret;
};

struct aio {
	void (*submit)(struct aio *a, struct aio_request *const rq[], unsigned n);
};

struct event_loop;

/**
 * aio_create() - Requests to the host, done() by the event loop
 * @depth: how many may be under way at a time; the caller sees to it
 *
 * A request that the host does not take is done() with the reason. Return: 0,
 * -EAGAIN if the host's fs.aio-max-nr is used up, or another negative errno.
 */
int aio_create(struct event_loop *ev, unsigned depth, struct aio **ret);

/* Waits for the requests that are under way, without doing them. NULL is fine. */
void aio_destroy(struct aio *a);

#endif
