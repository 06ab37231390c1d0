/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_disk.c - a host disk that answers in any order, fails, and loses power
 */
#include "fake_disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR 512u

void fake_exit(struct fake_disk *f)
{
	for (unsigned i = 0; i < f->n; i++)
		free(f->op[i].data);
	free(f->op);
	free(f->waiting);
}

/* Numerical Recipes' generator: the same everywhere. */
unsigned fake_random(struct fake_disk *f, unsigned below)
{
	f->seed = f->seed * 1664525u + 1013904223u;
	return (f->seed >> 8) % below;
}

static void *grow(void *p, unsigned n, unsigned *room, size_t size)
{
	if (n < *room)
		return p;
	*room = *room ? 2 * *room : 64;
	p = realloc(p, *room * size);
	assert(p);
	return p;
}

static void begin(struct fake_disk *f, struct aio_request *rq)
{
	struct fake_op *o;

	f->op = grow(f->op, f->n, &f->room, sizeof(*f->op));
	f->waiting = grow(f->waiting, f->nwaiting, &f->waiting_room, sizeof(*f->waiting));
	o = &f->op[f->n];
	*o = (struct fake_op){
		.op = rq->op, .fd = rq->fd, .offset = rq->offset, .len = rq->op == AIO_PUNCH ? rq->len : 0,
		.begun = ++f->now, .ended = FAKE_NEVER, .rq = rq,
	};
	if (rq->op == AIO_READ || rq->op == AIO_WRITE)
		for (unsigned i = 0; i < rq->niov; i++) {
			/* A disk asked past the page cache takes whole sectors only. */
			assert(rq->iov[i].iov_len % SECTOR == 0);
			o->len += rq->iov[i].iov_len;
		}
	assert(o->offset % SECTOR == 0);
	if (rq->op == AIO_WRITE) {
		size_t at = 0;

		o->data = malloc(o->len);
		assert(o->data);
		for (unsigned i = 0; i < rq->niov; at += rq->iov[i++].iov_len)
			memcpy(o->data + at, rq->iov[i].iov_base, rq->iov[i].iov_len);
	}
	f->waiting[f->nwaiting++] = f->n++;
}

static void submit(struct aio *a, struct aio_request *const rq[], unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		begin((struct fake_disk *)a, rq[i]);
}

void fake_init(struct fake_disk *f, unsigned seed)
{
	*f = (struct fake_disk){ .aio.submit = submit, .seed = seed };
}

static long perform(const struct fake_op *o, const struct aio_request *rq)
{
	switch (o->op) {
	case AIO_READ:
		return preadv(o->fd, rq->iov, rq->niov, o->offset);
	case AIO_WRITE:
		return pwrite(o->fd, o->data, o->len, o->offset);
	case AIO_PUNCH:
		return fallocate(o->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, o->offset, o->len);
	default:
		return 0;
	}
}

bool fake_step(struct fake_disk *f)
{
	unsigned which, index;
	struct aio_request *rq;
	struct fake_op *o;
	long ret;

	if (f->nwaiting == 0)
		return false;
	which = fake_random(f, f->nwaiting);
	index = f->waiting[which];
	f->waiting[which] = f->waiting[--f->nwaiting];
	o = &f->op[index];
	ret = f->inject ? f->inject(f, o) : 0;
	o->ended = ++f->now;
	o->good = ret == 0;
	if (ret == 0)
		ret = perform(o, o->rq);
	assert(!o->good || ret >= 0);
	rq = o->rq;
	rq->done(rq, ret);
	return true;
}

/* What of @o is on the disk: all of it, or any of its sectors. */
static void keep(struct fake_disk *f, const struct fake_op *o, bool all, int fd)
{
	static const char zero[SECTOR];

	for (uint64_t at = 0; at < o->len; at += SECTOR) {
		const char *data = o->data ? o->data + at : zero;

		if (all || fake_random(f, 2))
			assert(pwrite(fd, data, SECTOR, o->offset + at) == SECTOR);
	}
}

/* The latest time before which what was written is durable at @time. */
static uint32_t covered(const struct fake_disk *f, uint32_t time, int of)
{
	uint32_t until = 0;

	for (unsigned i = 0; i < f->n; i++) {
		const struct fake_op *o = &f->op[i];

		if (o->op == AIO_SYNC && o->fd == of && o->good && o->ended <= time && o->begun > until)
			until = o->begun;
	}
	return until;
}

static int by_end(const void *va, const void *vb)
{
	const struct fake_op *a = *(struct fake_op *const *)va, *b = *(struct fake_op *const *)vb;

	return a->ended < b->ended ? -1 : a->ended > b->ended;
}

void fake_cut(struct fake_disk *f, uint32_t time, int of, int fd)
{
	struct fake_op **write = calloc(f->n + 1, sizeof(*write));
	uint32_t durable = covered(f, time, of);
	unsigned n = 0;

	assert(write);
	for (unsigned i = 0; i < f->n; i++) {
		struct fake_op *o = &f->op[i];

		if ((o->op == AIO_WRITE || o->op == AIO_PUNCH) && o->fd == of && o->begun <= time)
			write[n++] = o;
	}
	qsort(write, n, sizeof(*write), by_end);
	for (unsigned i = 0; i < n; i++)
		keep(f, write[i], write[i]->good && write[i]->ended < durable, fd);
	free(write);
}
