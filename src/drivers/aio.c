/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aio.c - the host's asynchronous input and output
 *
 * libaio, whose completions wake the event loop through an eventfd. With
 * O_DIRECT neither side waits for the disk; on a file that was opened without,
 * io_submit(2) may wait for what the page cache has not.
 */
#include "drivers/aio.h"

#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "kernel/event.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define BATCH 64	/* requests per system call */
#define HARVEST 4	/* that are done() before the loop's other events have their turn */

struct aio_host {
	struct aio aio;		/* first: what callers know */
	io_context_t ctx;
	struct event_source event;
	struct event_loop *ev;
	struct aio_request *ended;	/* never under way on the host; done() by the loop */
};

static void prepare(const struct aio_host *h, struct aio_request *rq)
{
	static const short opcode[] = {
		[AIO_READ] = IO_CMD_PREADV, [AIO_WRITE] = IO_CMD_PWRITEV, [AIO_SYNC] = IO_CMD_FDSYNC,
	};

	rq->iocb = (struct iocb){ .data = rq, .aio_fildes = rq->fd, .aio_lio_opcode = opcode[rq->op] };
	if (rq->op != AIO_SYNC) {
		rq->iocb.u.c.buf = (void *)rq->iov;
		rq->iocb.u.c.nbytes = rq->niov;
		rq->iocb.u.c.offset = rq->offset;
	}
	io_set_eventfd(&rq->iocb, h->event.fd);
}

/* The loop does it, not the caller of submit(). */
static void end(struct aio_host *h, struct aio_request *rq, long ret)
{
	const uint64_t one = 1;

	rq->ret = ret;
	rq->next_ended = h->ended;
	h->ended = rq;
	host_write(h->event.fd, &one, sizeof(one));
}

static void submit_batch(struct aio_host *h, struct iocb **batch, int n)
{
	while (n > 0) {
		int taken = io_submit(h->ctx, n, batch);

		if (taken == -EINTR)
			continue;
		/* It stops at the first that it does not take, and says why only then. */
		if (taken <= 0) {
			end(h, batch[0]->data, taken < 0 ? taken : -EAGAIN);
			taken = 1;
		}
		batch += taken;
		n -= taken;
	}
}

static void submit(struct aio *a, struct aio_request *const rq[], unsigned n)
{
	struct aio_host *h = (struct aio_host *)a;
	struct iocb *batch[BATCH];
	int room = 0;

	for (unsigned i = 0; i < n; i++) {
		if (rq[i]->op == AIO_PUNCH) {
			end(h, rq[i], host_result(fallocate(rq[i]->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
							    rq[i]->offset, rq[i]->len)));
			continue;
		}
		prepare(h, rq[i]);
		batch[room++] = &rq[i]->iocb;
		if (room == BATCH) {
			submit_batch(h, batch, room);
			room = 0;
		}
	}
	submit_batch(h, batch, room);
}

/* Return: may there be more? */
static bool harvest(struct aio_host *h)
{
	struct timespec now = {};
	struct io_event done[HARVEST];
	int n = io_getevents(h->ctx, 0, HARVEST, done, &now);

	for (int i = 0; i < n; i++) {
		struct aio_request *rq = done[i].data;

		rq->done(rq, (long)done[i].res);
	}
	return n == HARVEST;
}

static void end_all(struct aio_host *h)
{
	struct aio_request *rq;

	while ((rq = h->ended)) {
		h->ended = rq->next_ended;
		rq->done(rq, rq->ret);
	}
}

/*
 * A host's disk may end many requests at once. If all were done() first, it would have
 * nothing to do until then: who waited for the first may long have asked for more. So
 * the eventfd, which says that there are some, is read when the last is done.
 */
static void handle(struct kernel *k, struct event_source *src, uint32_t events)
{
	struct aio_host *h = (struct aio_host *)((char *)src - offsetof(struct aio_host, event));
	uint64_t count;

	end_all(h);
	if (harvest(h))
		return;
	host_read(src->fd, &count, sizeof(count));
	/* Those that ended before it was read: nothing will tell of them again. */
	end_all(h);
	while (harvest(h))
		;
}

static void release(struct event_source *src)
{
	struct aio_host *h = (struct aio_host *)((char *)src - offsetof(struct aio_host, event));

	close(src->fd);
	free(h);
}

int aio_create(struct event_loop *ev, unsigned depth, struct aio **ret_a)
{
	struct aio_host *h = calloc(1, sizeof(*h));
	int ret;

	if (!h)
		return -ENOMEM;
	h->aio.submit = submit;
	h->ev = ev;
	h->event = (struct event_source){ .name = "aio", .handler = handle, .release = release };
	h->event.fd = host_result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	ret = h->event.fd < 0 ? h->event.fd : io_setup(depth, &h->ctx);
	if (ret == 0) {
		ret = event_add(ev, &h->event, EPOLLIN);
		if (ret < 0)
			io_destroy(h->ctx);
	}
	if (ret < 0) {
		if (h->event.fd >= 0)
			close(h->event.fd);
		free(h);
		return ret;
	}
	*ret_a = &h->aio;
	return 0;
}

void aio_destroy(struct aio *a)
{
	struct aio_host *h = (struct aio_host *)a;

	if (!h)
		return;
	io_destroy(h->ctx);
	event_remove(h->ev, &h->event);
}
