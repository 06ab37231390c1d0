/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ubd.h - a block device of the guest's: requests in, reads and writes out
 *
 * Requests are queued by ubd_submit() and begin with ubd_run(), so that those
 * which came together and lie together go to the host as one. As soon as some wait
 * that do not, ubd_submit() begins them: the host's disk works on them while others
 * are submitted. At most @depth are under way. A request that is done was done as on any disk with a write
 * cache: a write may be lost by a crash until a flush that was begun after it
 * has returned 0, or if it has fua itself.
 *
 * No locks: everything of one device is called by one thread.
 */
#ifndef WEIR_DRIVERS_UBD_H
#define WEIR_DRIVERS_UBD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/aio.h"
#include "drivers/disk.h"

#define UBD_MAX_DEPTH 1024u
#define UBD_MAX_DISKS 16u	/* of a guest */

enum ubd_op {
	UBD_READ,
	UBD_WRITE,
	UBD_FLUSH,
	UBD_DISCARD,	/* reads as zeros from then on */
	UBD_NUM_OPS,
};

struct ubd_request {
	enum ubd_op op;
	bool fua;		/* UBD_WRITE: done when it is durable */
	uint64_t offset, len;	/* bytes, whole sectors; 0 for UBD_FLUSH */
	void *buf;		/* aligned to 512; the device's until done() */
	/*
	 * @ret: 0, or -EROFS, -ENOSPC (also: behind the end of the device), -EIO ...
	 * May free the request and submit others.
	 */
	void (*done)(struct ubd_request *rq, int ret);

	/* ubd.c's */
	struct ubd_request *next;
	unsigned parts;		/* to be done, and one while they are made */
	int error;
};

struct ubd_stats {
	uint64_t reads, writes, flushes, discards;	/* requests */
	uint64_t read_bytes, write_bytes;
	uint64_t merged;	/* parts that went out with another one */
	unsigned inflight_max;
};

struct ubd;

/**
 * ubd_create() - A device on an open disk
 * @d:     must outlive it
 * @a:     where requests go; must take @depth + 1
 * @depth: 1 to UBD_MAX_DEPTH
 */
int ubd_create(struct disk *d, struct aio *a, unsigned depth, struct ubd **ret);

/* When nothing is under way. NULL is fine. */
void ubd_destroy(struct ubd *u);

void ubd_submit(struct ubd *u, struct ubd_request *rq);
void ubd_run(struct ubd *u);

/* Requests that are not done. */
unsigned ubd_pending(const struct ubd *u);

/* Was something written that no flush has covered? */
bool ubd_dirty(const struct ubd *u);

const struct ubd_stats *ubd_stats(const struct ubd *u);

#endif
