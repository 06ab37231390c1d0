/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disks_hot.c - disks that come and go while the guest runs
 *
 * Who asks is another thread than the one that serves, and waits for that one to
 * do it between two of its turns. So what takes long is not done there: a disk is
 * opened before, and one that has something to flush is not removed at once.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drivers/disks_impl.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

void disks_on_command(struct kernel *k, struct event_source *src, uint32_t events)
{
	struct disks *s = disks_of(src, offsetof(struct disks, command_src));
	struct disks_command *c;
	uint64_t count;

	host_read(src->fd, &count, sizeof(count));
	pthread_mutex_lock(&s->lock);
	c = s->command;
	s->command = NULL;
	if (c) {
		c->ret = c->run(s, c);
		c->done = true;
		pthread_cond_broadcast(&s->change);
	}
	pthread_mutex_unlock(&s->lock);
}

static int command(struct disks *s, struct disks_command *c)
{
	const uint64_t one = 1;

	if (!s->serving)
		return disk_fail(c->err, -ENXIO, "the guest's disks are not served");
	pthread_mutex_lock(&s->lock);
	s->command = c;
	host_write(s->command_src.fd, &one, sizeof(one));
	while (!c->done)
		pthread_cond_wait(&s->change, &s->lock);
	pthread_mutex_unlock(&s->lock);
	return c->ret;
}

static int run_add(struct disks *s, struct disks_command *c)
{
	struct device *d = &s->device[c->index];
	int ret;

	if (d->used)
		return disk_fail(c->err, -EEXIST, "the guest has a disk %u already; give it another number",
				 c->index);
	*d = *c->device;
	ret = device_start(s, d);
	if (ret == 0)
		ret = device_add_nodes(s, d);
	if (ret < 0) {
		device_remove_nodes(s, d);
		device_stop(d);
		*d = (struct device){ 0 };
		return disk_fail(c->err, ret, "it cannot be served: %s", strerror(-ret));
	}
	d->used = true;
	return 0;
}

int disks_add(struct disks *s, const struct disks_one *one, struct disk_error *err)
{
	struct device d = { .cfg = *one };
	struct disks_command c = { .run = run_add, .device = &d, .index = one->index, .err = err };
	int ret = disk_open(&one->spec, &d.disk, err);

	if (ret < 0)
		return ret;
	ret = command(s, &c);
	if (ret < 0)
		disk_close(&d.disk);
	return ret;
}

static int run_remove(struct disks *s, struct disks_command *c)
{
	struct device *d = &s->device[c->index];

	if (!d->used)
		return disk_fail(c->err, -ENXIO, "the guest has no disk %u", c->index);
	if (device_busy(s, d))
		return disk_fail(c->err, -EBUSY, "ubd%u is in use: a process of the guest has it or a partition open, or it is mounted",
				 c->index);
	if (ubd_dirty(d->ubd) || ubd_pending(d->ubd) > 0) {
		device_flush(d);
		return disk_fail(c->err, -EAGAIN, "ubd%u is being flushed", c->index);
	}
	log_info("disk: ubd%u: removed", c->index);
	device_remove_nodes(s, d);
	device_stop(d);
	disk_close(&d->disk);
	*d = (struct device){ 0 };
	return 0;
}

int disks_remove(struct disks *s, unsigned index, struct disk_error *err)
{
	struct disks_command c = { .run = run_remove, .index = index, .err = err };

	return command(s, &c);
}
