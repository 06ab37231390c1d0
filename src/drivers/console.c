/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.c - the guest's console: a pty of its own devpts
 */
#include "drivers/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kernel/event.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define CONSOLE_KEEP 65536	/* bytes of output kept; a power of two */

struct console {
	int master, slave;
	bool kept, lent;
	struct event_source src;
	size_t written;			/* bytes ever; the ring holds the newest */
	char ring[CONSOLE_KEEP];
};

int console_create(int master, int slave, struct console **ret)
{
	struct console *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->master = master;
	c->slave = slave;
	*ret = c;
	return 0;
}

void console_destroy(struct console *c)
{
	if (!c)
		return;
	close(c->master);
	close(c->slave);
	free(c);
}

int console_master(const struct console *c)
{
	return c->master;
}

int console_slave(const struct console *c)
{
	return c->slave;
}

static void on_output(struct kernel *k, struct event_source *src, uint32_t events)
{
	struct console *c = (struct console *)((char *)src - offsetof(struct console, src));
	char buf[4096];
	ssize_t n;

	/* We hold the slave too, so there is no hang-up; EAGAIN ends the batch. */
	while ((n = host_result(read(c->master, buf, sizeof(buf)))) > 0)
		for (ssize_t i = 0; i < n; i++)
			c->ring[c->written++ % CONSOLE_KEEP] = buf[i];
}

bool console_size(int master, const int stdio[3])
{
	struct winsize ws;

	for (int i = 0; i < 3; i++)
		if (host_result(ioctl(stdio[i], TIOCGWINSZ, &ws)) == 0)
			return host_result(ioctl(master, TIOCSWINSZ, &ws)) == 0;
	return false;
}

int console_keep(struct console *c, struct event_loop *ev)
{
	int ret = host_result(fcntl(c->master, F_SETFL, O_RDWR | O_NONBLOCK));

	if (ret < 0)
		return ret;
	c->src = (struct event_source){ .fd = c->master, .name = "console", .handler = on_output };
	c->kept = true;
	return event_add(ev, &c->src, EPOLLIN);
}

int console_lend(struct console *c, struct event_loop *ev)
{
	if (c->lent || !c->kept)
		return -EBUSY;
	c->lent = true;
	return event_modify(ev, &c->src, 0);
}

void console_return(struct console *c, struct event_loop *ev)
{
	c->lent = false;
	event_modify(ev, &c->src, EPOLLIN);
}

size_t console_text(const struct console *c, char *buf, size_t size)
{
	size_t n = MIN(MIN(c->written, (size_t)CONSOLE_KEEP), size);

	for (size_t i = 0; i < n; i++)
		buf[i] = c->ring[(c->written - n + i) % CONSOLE_KEEP];
	return n;
}
