/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ubd_flush.c - flushes of a block device, down to the host's disk
 *
 * Without a COW file a flush is an fdatasync. With one it is an fdatasync of the
 * data, then the writing of the bits that are new, then an fdatasync of those;
 * cow.h says why this order. Flushes that come while one is under way wait for
 * it, and are then served by the next one together.
 *
 * Once the host has failed to make data durable it may have dropped them, and the
 * next fdatasync may succeed all the same: so every later flush fails as well,
 * and no bit is written for data that may not be there.
 */
#include <errno.h>
#include <stdlib.h>

#include "drivers/ubd_impl.h"
#include "kernel/log.h"
#include "kernel/util.h"

static void begin(struct ubd *u);

static void submit(struct ubd_flush *f, enum flush_state state, enum aio_op op)
{
	struct aio_request *rq = &f->aio;

	f->state = state;
	rq->op = op;
	rq->fd = f->u->d->cow >= 0 ? f->u->d->cow : f->u->d->image;
	f->u->aio->submit(f->u->aio, &rq, 1);
}

static void end(struct ubd_flush *f, int ret)
{
	struct ubd_request *rq = f->now;
	struct ubd *u = f->u;

	cow_commit_end(&u->d->map, &f->commit, ret);
	if (ret < 0)
		u->written = true;
	f->now = NULL;
	f->state = FLUSH_IDLE;
	while (rq) {
		struct ubd_request *next = rq->next;

		ubd_end(u, rq, ret);
		rq = next;
	}
	if (f->state == FLUSH_IDLE && f->next)
		begin(u);
}

/* The next run of blocks that follow each other in the file. */
static void write_blocks(struct ubd_flush *f)
{
	const struct cow_map *m = &f->u->d->map;
	const struct cow_commit *c = &f->commit;
	uint64_t place;
	size_t len;

	cow_commit_place(m, c, f->at, &f->aio.offset, &len);
	f->iov = (struct iovec){ c->copy + f->at * COW_BLOCK, len };
	for (f->at++; f->at < c->n && c->index[f->at] == c->index[f->at - 1] + 1; f->at++) {
		cow_commit_place(m, c, f->at, &place, &len);
		f->iov.iov_len += len;
	}
	f->aio.iov = &f->iov;
	f->aio.niov = 1;
	submit(f, FLUSH_BITMAP, AIO_WRITE);
}

static int sync_failed(struct ubd *u, long ret)
{
	if (!u->failed)
		log_err("disk %s: not made durable: error %ld; all later flushes fail",
			u->d->cow_path ? u->d->cow_path : u->d->image_path, -ret);
	u->failed = true;
	return ret;
}

static void step(struct aio_request *rq, long ret)
{
	struct ubd_flush *f = (struct ubd_flush *)rq;
	struct ubd *u = f->u;

	if (f->state == FLUSH_BITMAP) {
		/* No bit was lost, they are all in memory: another flush may try again. */
		if (ret != (long)f->iov.iov_len)
			end(f, ret < 0 ? ret : -ENOSPC);
		else if (f->at < f->commit.n)
			write_blocks(f);
		else
			submit(f, FLUSH_SYNC, AIO_SYNC);
		return;
	}
	if (ret < 0)
		end(f, sync_failed(u, ret));
	else if (f->state == FLUSH_DATA && f->commit.n > 0)
		write_blocks(f);
	else
		end(f, 0);
}

static void begin(struct ubd *u)
{
	struct ubd_flush *f = &u->flush;
	int ret = u->failed ? -EIO : ubd_check_base(u);

	f->u = u;
	f->aio.done = step;
	f->now = f->next;
	f->next = NULL;
	f->at = 0;
	f->commit = (struct cow_commit){ 0 };
	if (ret == 0 && u->d->cow >= 0)
		ret = cow_commit_begin(&u->d->map, &f->commit);
	if (ret < 0 || (!u->written && f->commit.n == 0)) {
		end(f, ret);
		return;
	}
	u->written = false;
	submit(f, FLUSH_DATA, AIO_SYNC);
}

void ubd_flush(struct ubd *u, struct ubd_request *rq)
{
	rq->next = u->flush.next;
	u->flush.next = rq;
	if (u->flush.state == FLUSH_IDLE && !u->flush.now)
		begin(u);
}
