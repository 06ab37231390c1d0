/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ubd_impl.h - inside of a block device
 *
 * ubd.c       requests as parts, parts as reads and writes of the host
 * ubd_flush.c flushes: what must be durable before what
 */
#ifndef WEIR_DRIVERS_UBD_IMPL_H
#define WEIR_DRIVERS_UBD_IMPL_H

#include "drivers/ubd.h"

#define UBD_MAX_PARTS 64		/* in one request to the host */
#define UBD_MAX_IO (1024u * 1024)	/* bytes of it */

/* What of a request lies together in one file. */
struct ubd_part {
	struct ubd_part *next;	/* first */
	struct ubd_request *rq;
	bool cow;		/* in the COW file */
	uint64_t place;		/* bytes, in the file */
	uint64_t offset, len;	/* bytes, on the disk */
	char *buf;
};

/* One request to the host: parts that follow each other. */
struct ubd_io {
	struct aio_request aio;		/* first */
	struct ubd *u;
	struct ubd_io *next_free;
	struct iovec iov[UBD_MAX_PARTS];
	struct ubd_part *part[UBD_MAX_PARTS];
	unsigned n;
	uint64_t len;
};

/**
 * enum flush_state - Where a flush is
 *
 *   IDLE    none is under way			-> DATA
 *   DATA    what was written is being made durable	-> BITMAP, or IDLE if no bits are new
 *   BITMAP  the new bits are being written		-> SYNC
 *   SYNC    they are being made durable		-> IDLE
 */
enum flush_state { FLUSH_IDLE, FLUSH_DATA, FLUSH_BITMAP, FLUSH_SYNC };

struct ubd_flush {
	struct aio_request aio;		/* first */
	struct ubd *u;
	enum flush_state state;
	struct ubd_request *now, *next;	/* served by this one; by the one after it */
	struct cow_commit commit;
	size_t at;			/* block of the commit */
	struct iovec iov;
};

struct ubd {
	struct disk *d;
	struct aio *aio;
	unsigned depth, inflight, pending;
	struct ubd_part *first, **last;	/* parts that wait */
	unsigned apart;			/* of them, since ubd_run(): do not go on where the one before ends */
	struct ubd_io *io, *free_io;
	struct ubd_flush flush;
	bool written;			/* since the last flush began */
	bool failed;			/* a flush failed: nothing is promised any more */
	bool base_changed;
	uint64_t base_checked_ns;
	struct ubd_stats stats;
};

/* A request is answered. */
void ubd_end(struct ubd *u, struct ubd_request *rq, int ret);

/* Is the image below the COW file what it was? Return: 0 or -EIO, for good. */
int ubd_check_base(struct ubd *u);

/* The flush that @rq asks for, or that its write is to be followed by. */
void ubd_flush(struct ubd *u, struct ubd_request *rq);

#endif
