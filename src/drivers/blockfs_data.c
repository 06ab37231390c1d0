/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_data.c - bytes of files on their way to the disk, and from it ahead of their reader
 *
 * Who writes waits for the disk only when all transfers are under way: what it wrote is
 * in a buffer of ours, and on the disk before the commit that speaks of it. Who reads
 * one piece after the other finds the next one here already.
 *
 * Transfers that have bytes in common are never under way at the same time; what was
 * read ahead is forgotten as soon as anybody writes there.
 */
#include "drivers/blockfs_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/log.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define PIECE BLOCKFS_MAX_IO		/* the most of one transfer */
#define AHEAD (2 * PIECE)		/* of who reads on */

static bool is_busy(const struct transfer *t)
{
	return t->state == TRANSFER_READING || t->state == TRANSFER_WRITING;
}

static bool overlaps(const struct transfer *t, uint64_t off, uint64_t len)
{
	return t->state != TRANSFER_NONE && t->off < off + len && off < t->off + t->len;
}

/* ---- waiting -------------------------------------------------------------------- */

static void end(struct data_io *d, struct transfer *t, long ret)
{
	bool whole = ret == (long)t->len;

	/* Perhaps it only wanted less at a time, or is better by now. */
	if (t->state == TRANSFER_WRITING && !whole) {
		ret = block_io_write(d->fd, t->buf, t->len, t->off);
		d->error = d->error ?: ret;
	}
	/* Who reads it meets the error itself. */
	t->state = t->state == TRANSFER_READING && whole ? TRANSFER_READ : TRANSFER_NONE;
}

/* For one transfer or more. */
static int reap(struct data_io *d)
{
	struct io_event done[DATA_TRANSFERS];
	int n;

	do
		n = io_getevents(d->ctx, 1, DATA_TRANSFERS, done, NULL);
	while (n == -EINTR);
	for (int i = 0; i < n; i++)
		end(d, done[i].data, (long)done[i].res);
	return n < 0 ? n : 0;
}

static int await(struct data_io *d, const struct transfer *t)
{
	int ret = 0;

	while (ret == 0 && is_busy(t))
		ret = reap(d);
	return ret;
}

/* Until nobody writes there. */
static int await_writers(struct data_io *d, uint64_t off, uint64_t len)
{
	int ret = 0;

	for (unsigned i = 0; ret == 0 && i < DATA_TRANSFERS; i++) {
		const struct transfer *t = &d->transfer[i];

		if (t->state == TRANSFER_WRITING && overlaps(t, off, len))
			ret = await(d, t);
	}
	return ret;
}

int data_settle(struct data_io *d)
{
	return await_writers(d, 0, UINT64_MAX) ?: d->error;
}

/* Nothing is under way there, and nothing was read ahead. */
static int forget(struct data_io *d, uint64_t off, uint64_t len)
{
	int ret = 0;

	for (unsigned i = 0; ret == 0 && i < DATA_TRANSFERS; i++) {
		struct transfer *t = &d->transfer[i];

		if (!overlaps(t, off, len))
			continue;
		ret = await(d, t);
		if (ret == 0)
			t->state = TRANSFER_NONE;
	}
	return ret;
}

/* ---- transfers ------------------------------------------------------------------ */

/* One that is free, else what was read ahead longest ago. NULL: all are under way. */
static struct transfer *find_idle(struct data_io *d)
{
	struct transfer *best = NULL;

	for (unsigned i = 0; i < DATA_TRANSFERS; i++) {
		struct transfer *t = &d->transfer[i];

		if (is_busy(t) || (t->state == TRANSFER_READ && best && best->begun < t->begun))
			continue;
		best = t;
		if (t->state == TRANSFER_NONE)
			break;
	}
	if (best)
		best->state = TRANSFER_NONE;
	return best;
}

static int get_buffer(struct transfer *t)
{
	if (!t->buf)
		t->buf = aligned_alloc(4096, PIECE);
	return t->buf ? 0 : -ENOMEM;
}

static int begin(struct data_io *d, struct transfer *t, bool write, uint64_t off, uint64_t len)
{
	struct iocb *one = &t->iocb;
	int ret;

	if (!d->ctx)
		return -ENOSYS;
	if (write)
		io_prep_pwrite(one, d->fd, t->buf, len, off);
	else
		io_prep_pread(one, d->fd, t->buf, len, off);
	one->data = t;
	do
		ret = io_submit(d->ctx, 1, &one);
	while (ret == -EINTR);
	if (ret != 1)
		return ret < 0 ? ret : -EAGAIN;
	t->off = off;
	t->len = len;
	t->begun = ++d->begun;
	t->state = write ? TRANSFER_WRITING : TRANSFER_READING;
	return 0;
}

/* ---- writing -------------------------------------------------------------------- */

int data_write(struct data_io *d, const char *data, size_t len, uint64_t off)
{
	struct transfer *t = NULL;
	int ret = forget(d, off, len);

	while (ret == 0 && !(t = find_idle(d)))
		ret = reap(d);
	if (ret == 0)
		ret = get_buffer(t);
	if (ret < 0)
		return ret;
	memcpy(t->buf, data, len);
	return begin(d, t, true, off, len) == 0 ? 0 : block_io_write(d->fd, t->buf, len, off);
}

/* ---- reading -------------------------------------------------------------------- */

/* What was or is being read of the byte at @off. */
static struct transfer *find(struct data_io *d, uint64_t off)
{
	for (unsigned i = 0; i < DATA_TRANSFERS; i++) {
		struct transfer *t = &d->transfer[i];

		if ((t->state == TRANSFER_READ || t->state == TRANSFER_READING) && overlaps(t, off, 1))
			return t;
	}
	return NULL;
}

/* A piece more, once less than one is under way. */
static void read_on(struct data_io *d, uint64_t off, uint64_t ahead)
{
	uint64_t end = off + MIN(ahead, (uint64_t)AHEAD), at = off, len;
	struct transfer *t;

	while (at < end && (t = find(d, at)))
		at = t->off + t->len;
	if (at >= end || at - off >= PIECE)
		return;
	len = MIN(end - at, (uint64_t)PIECE);
	for (unsigned i = 0; i < DATA_TRANSFERS; i++)
		if (overlaps(&d->transfer[i], at, len))
			return;
	t = find_idle(d);
	if (t && get_buffer(t) == 0)
		begin(d, t, false, at, len);
}

static int read_found(struct data_io *d, struct transfer *t, char *buf, size_t len, uint64_t off, size_t *ret_n)
{
	size_t n = MIN(len, t->off + t->len - off);
	int ret = await(d, t);

	*ret_n = 0;
	if (ret < 0 || t->state != TRANSFER_READ)
		return ret;
	memcpy(buf, t->buf + (off - t->off), n);
	if (off + n == t->off + t->len)
		t->state = TRANSFER_NONE;
	*ret_n = n;
	return 0;
}

int data_read(struct data_io *d, char *buf, size_t len, uint64_t off, uint64_t ahead)
{
	struct transfer *t;
	size_t n;
	int ret = 0;

	for (; ret == 0 && len > 0 && (t = find(d, off)); buf += n, off += n, len -= n)
		ret = read_found(d, t, buf, len, off, &n);
	if (ret == 0 && len > 0)
		ret = await_writers(d, off, len) ?: block_io_read(d->fd, buf, len, off);
	if (ret == 0 && ahead > 0)
		read_on(d, off + len, ahead);
	return ret;
}

/* ---- life ----------------------------------------------------------------------- */

void data_init(struct data_io *d, int fd)
{
	int ret;

	*d = (struct data_io){ .fd = fd };
	ret = io_setup(DATA_TRANSFERS, &d->ctx);
	if (ret < 0) {
		d->ctx = NULL;
		log_info("blockfs: one transfer at a time: the host's asynchronous ones cannot be had: %s",
			 strerror(-ret));
	}
}

void data_exit(struct data_io *d)
{
	/* Waits for those that are under way. */
	if (d->ctx)
		io_destroy(d->ctx);
	for (unsigned i = 0; i < DATA_TRANSFERS; i++)
		free(d->transfer[i].buf);
}
