/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_aio.c - requests to the host, done by the event loop
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/aio.h"
#include "kernel/event.h"
#include "kernel/util.h"

#define SIZE 4096

/* A write, and what is asked for when it is done. */
struct pair {
	struct aio *a;
	struct aio_request write, then;
	unsigned ndone;
	long ret;
};

static void then_done(struct aio_request *rq, long ret)
{
	struct pair *p = (struct pair *)((char *)rq - offsetof(struct pair, then));

	p->ret = ret;
	p->ndone++;
}

static void write_done(struct aio_request *rq, long ret)
{
	struct pair *p = (struct pair *)((char *)rq - offsetof(struct pair, write));

	assert_int_equal(ret, SIZE);
	p->ndone++;
	p->a->submit(p->a, (struct aio_request *[]){ &p->then }, 1);
}

/* The loop is awake until all is done: it waits here for no more than what is ready. */
static void run(struct event_loop *ev, struct aio *a, struct pair *p)
{
	struct pollfd ready = { .fd = ev->epoll, .events = POLLIN };

	a->submit(a, (struct aio_request *[]){ &p->write }, 1);
	while (p->ndone == 0)
		assert_int_equal(event_turn(ev, NULL), 0);
	while (p->ndone == 1 && poll(&ready, 1, 0) == 1)
		assert_int_equal(event_turn(ev, NULL), 0);
	assert_int_equal(p->ndone, 2);
}

static void test_ended_at_once(void **state)
{
	static char data[SIZE];
	struct iovec iov = { data, SIZE };
	int fd = memfd_create("disk", MFD_CLOEXEC);
	const struct aio_request then[] = {
		/* The host has no other way than to wait for it; and it takes none without a file. */
		{ .op = AIO_PUNCH, .fd = fd, .len = SIZE },
		{ .op = AIO_READ, .fd = -1, .iov = &iov, .niov = 1 },
	};
	const long want[] = { 0, -EBADF };
	struct event_loop ev;
	struct aio *a;

	assert_int_equal(event_init(&ev), 0);
	assert_int_equal(aio_create(&ev, 1, &a), 0);
	memset(data, 'x', SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(then); i++) {
		struct pair p = {
			.a = a, .then = then[i],
			.write = { .op = AIO_WRITE, .fd = fd, .iov = &iov, .niov = 1, .done = write_done },
		};

		p.then.done = then_done;
		run(&ev, a, &p);
		assert_int_equal(p.ret, want[i]);
	}
	aio_destroy(a);
	event_exit(&ev);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ended_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
