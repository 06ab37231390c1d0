/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ubd.c - requests of a block device as reads and writes of the host
 *
 * A request is cut where the disk changes from the image to the COW file or
 * back. What waits for its turn is looked through for parts that go on where
 * the first one ends, or end where it begins: they go to the host together.
 */
#include "drivers/ubd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/ubd_impl.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define MERGE_LOOK 64			/* waiting parts that are looked at */
#define BEGIN_AT 4			/* so many that lie apart do not wait for more */
#define BASE_CHECK_NS 100000000u	/* how long an image below a COW file is taken for unchanged */

void ubd_end(struct ubd *u, struct ubd_request *rq, int ret)
{
	u->pending--;
	rq->done(rq, ret);
}

/* ---- parts ------------------------------------------------------------- */

/* A part of the request, or the making of parts, is done. */
static void part_done(struct ubd *u, struct ubd_request *rq, int error)
{
	if (error && !rq->error)
		rq->error = error;
	if (--rq->parts > 0)
		return;
	if (rq->error == 0 && rq->op == UBD_WRITE && rq->fua)
		ubd_flush(u, rq);
	else
		ubd_end(u, rq, rq->error);
}

static bool goes_on(const struct ubd_part *a, const struct ubd_part *b)
{
	return a->rq->op == b->rq->op && a->cow == b->cow && a->place + a->len == b->place;
}

static void queue(struct ubd *u, struct ubd_part *p)
{
	const struct ubd_part *before = u->first ? (struct ubd_part *)u->last : NULL;

	u->apart += !before || !goes_on(before, p);
	*u->last = p;
	u->last = &p->next;
}

static int add_part(struct ubd *u, struct ubd_request *rq, uint64_t done, uint64_t *len)
{
	struct ubd_part *p = malloc(sizeof(*p));
	const struct disk *d = u->d;

	if (!p)
		return -ENOMEM;
	*p = (struct ubd_part){
		.rq = rq, .offset = rq->offset + done, .buf = (char *)rq->buf + done,
	};
	if (rq->op == UBD_READ) {
		*len = disk_place(d, p->offset, MIN(*len, UBD_MAX_IO), &p->cow, &p->place);
	} else {
		p->cow = d->cow >= 0;
		p->place = p->offset + (p->cow ? d->map.layout.data_offset : 0);
		if (rq->op == UBD_WRITE)
			*len = MIN(*len, UBD_MAX_IO);
	}
	p->len = *len;
	rq->parts++;
	queue(u, p);
	return 0;
}

static int check(const struct ubd *u, const struct ubd_request *rq)
{
	uint64_t size = u->d->size;

	if ((rq->offset | rq->len) % COW_SECTOR || rq->len == 0)
		return -EINVAL;
	if (rq->op != UBD_READ && u->d->readonly)
		return -EROFS;
	if (rq->offset > size || rq->len > size - rq->offset)
		return rq->op == UBD_WRITE ? -ENOSPC : -EIO;
	return u->base_changed ? -EIO : 0;
}

int ubd_check_base(struct ubd *u)
{
	u->base_checked_ns = host_now();
	if (!u->base_changed && disk_base_changed(u->d)) {
		log_err("disk %s: its base %s was changed; it cannot be used any more",
			u->d->cow_path, u->d->image_path);
		u->base_changed = true;
	}
	return u->base_changed ? -EIO : 0;
}

static void count(struct ubd *u, const struct ubd_request *rq)
{
	struct ubd_stats *s = &u->stats;

	s->reads += rq->op == UBD_READ;
	s->writes += rq->op == UBD_WRITE;
	s->flushes += rq->op == UBD_FLUSH;
	s->discards += rq->op == UBD_DISCARD;
	s->read_bytes += rq->op == UBD_READ ? rq->len : 0;
	s->write_bytes += rq->op == UBD_WRITE ? rq->len : 0;
	s->inflight_max = MAX(s->inflight_max, u->pending);
}

void ubd_submit(struct ubd *u, struct ubd_request *rq)
{
	int ret;

	u->pending++;
	count(u, rq);
	if (rq->op == UBD_FLUSH) {
		ubd_flush(u, rq);
		return;
	}
	rq->parts = 1;
	rq->error = 0;
	ret = check(u, rq);
	for (uint64_t done = 0, n; ret == 0 && done < rq->len; done += n) {
		n = rq->len - done;
		ret = add_part(u, rq, done, &n);
	}
	part_done(u, rq, ret);
	if (u->apart >= BEGIN_AT)
		ubd_run(u);
}

/* ---- reads and writes -------------------------------------------------- */

/* The host has transferred @ret bytes: is that all there is? */
static int check_io(const struct ubd_io *io, long ret)
{
	const struct disk *d = io->u->d;
	uint64_t got = ret, skip = 0;

	if (ret < 0 || io->aio.op == AIO_PUNCH || got == io->len)
		return ret < 0 ? ret : 0;
	/* Less is written only by a file system that is full. */
	if (io->aio.op == AIO_WRITE)
		return -ENOSPC;
	if (io->part[0]->cow || io->aio.offset + got < d->image_size)
		return -EIO;
	/* The image ends within a sector: the rest of that is zero. */
	for (unsigned i = 0; i < io->n; i++) {
		const struct iovec *v = &io->iov[i];
		uint64_t here = got > skip ? MIN(got - skip, v->iov_len) : 0;

		memset((char *)v->iov_base + here, 0, v->iov_len - here);
		skip += v->iov_len;
	}
	return 0;
}

static void io_done(struct aio_request *aio, long ret)
{
	struct ubd_io *io = (struct ubd_io *)aio;
	struct ubd *u = io->u;
	int error = u->base_changed ? -EIO : check_io(io, ret);
	struct ubd_part *part[UBD_MAX_PARTS];
	unsigned n = io->n;

	memcpy(part, io->part, n * sizeof(part[0]));
	if (aio->op != AIO_READ)
		u->written = true;
	for (unsigned i = 0; i < n && !error && aio->op != AIO_READ && part[i]->cow; i++)
		cow_map_mark(&u->d->map, part[i]->offset / COW_SECTOR, part[i]->len / COW_SECTOR);
	u->inflight--;
	io->next_free = u->free_io;
	u->free_io = io;
	for (unsigned i = 0; i < n; i++) {
		struct ubd_request *rq = part[i]->rq;

		free(part[i]);
		part_done(u, rq, error);
	}
	ubd_run(u);
}

static struct ubd_part *take(struct ubd *u, struct ubd_part **at)
{
	struct ubd_part *p = *at;

	*at = p->next;
	if (u->last == &p->next)
		u->last = at;
	return p;
}

/* A part that goes on behind @back, or before @front, out of those that wait. */
static struct ubd_part *find(struct ubd *u, const struct ubd_part *front, const struct ubd_part *back,
			     uint64_t room, bool *before)
{
	struct ubd_part **at = &u->first;

	for (unsigned i = 0; i < MERGE_LOOK && *at; i++, at = &(*at)->next) {
		if ((*at)->len > room)
			continue;
		*before = goes_on(*at, front);
		if (*before || goes_on(back, *at))
			return take(u, at);
	}
	return NULL;
}

static void gather(struct ubd *u, struct ubd_io *io)
{
	struct ubd_part *p = take(u, &u->first);
	bool before = false;

	io->n = 0;
	io->len = 0;
	do {
		if (before)
			memmove(io->part + 1, io->part, io->n * sizeof(io->part[0]));
		io->part[before ? 0 : io->n] = p;
		io->n++;
		io->len += p->len;
		p = io->n < UBD_MAX_PARTS && p->rq->op != UBD_DISCARD && io->len < UBD_MAX_IO ?
			    find(u, io->part[0], io->part[io->n - 1], UBD_MAX_IO - io->len, &before) :
			    NULL;
	} while (p);
	u->stats.merged += io->n - 1;
}

static void prepare(struct ubd *u, struct ubd_io *io)
{
	static const enum aio_op op[] = {
		[UBD_READ] = AIO_READ, [UBD_WRITE] = AIO_WRITE, [UBD_DISCARD] = AIO_PUNCH,
	};
	const struct ubd_part *p = io->part[0];

	io->u = u;
	for (unsigned i = 0; i < io->n; i++)
		io->iov[i] = (struct iovec){ io->part[i]->buf, io->part[i]->len };
	io->aio = (struct aio_request){
		.op = op[p->rq->op], .fd = p->cow ? u->d->cow : u->d->image, .offset = p->place,
		.iov = io->iov, .niov = io->n, .len = io->len, .done = io_done,
	};
}

void ubd_run(struct ubd *u)
{
	struct aio_request *batch[64];
	unsigned n = 0;

	u->apart = 0;
	if (u->first && host_now() - u->base_checked_ns >= BASE_CHECK_NS)
		ubd_check_base(u);
	while (u->first && u->inflight < u->depth) {
		struct ubd_io *io = u->free_io;

		u->free_io = io->next_free;
		u->inflight++;
		gather(u, io);
		prepare(u, io);
		batch[n++] = &io->aio;
		if (n == ARRAY_SIZE(batch)) {
			u->aio->submit(u->aio, batch, n);
			n = 0;
		}
	}
	if (n > 0)
		u->aio->submit(u->aio, batch, n);
}

/* ---- life -------------------------------------------------------------- */

int ubd_create(struct disk *d, struct aio *a, unsigned depth, struct ubd **ret_u)
{
	struct ubd *u = calloc(1, sizeof(*u));

	if (u)
		u->io = calloc(depth, sizeof(*u->io));
	if (!u || !u->io) {
		free(u);
		return -ENOMEM;
	}
	u->d = d;
	u->aio = a;
	u->depth = depth;
	u->last = &u->first;
	for (unsigned i = 0; i < depth; i++) {
		u->io[i].next_free = u->free_io;
		u->free_io = &u->io[i];
	}
	*ret_u = u;
	return 0;
}

void ubd_destroy(struct ubd *u)
{
	if (!u)
		return;
	free(u->io);
	free(u);
}

unsigned ubd_pending(const struct ubd *u)
{
	return u->pending;
}

bool ubd_dirty(const struct ubd *u)
{
	return u->written || u->d->map.ndirty > 0;
}

const struct ubd_stats *ubd_stats(const struct ubd *u)
{
	return &u->stats;
}
