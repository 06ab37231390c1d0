/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disks.c - the disks of a guest: opened at boot, served by a thread of their own
 *
 * The thread has an event loop: requests that came over FUSE, completions of the
 * host, and a clock. Requests that are read together begin together, so that they
 * can be merged. What a guest has not flushed for a while is flushed for it: who
 * never does still has most of what it wrote after a kill of its kernel.
 */
#include "drivers/disks.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "drivers/disks_impl.h"
#include "kernel/cleanup.h"
#include "kernel/event.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "passthrough/fuse.h"
#include "passthrough/hostcall.h"

#define FLUSH_EVERY 5		/* seconds */

/* ---- opening ----------------------------------------------------------- */

/* The most likely mistake has the answer at hand. */
static int check_cow(const struct disks_one *c, struct disk_error *err)
{
	if (!c->spec.cow || !c->spec.image || host_result(access(c->spec.cow, F_OK)) != -ENOENT)
		return 0;
	return disk_fail(err, -ENOENT, "%s: there is no such file; make it: weir disk create --backing %s %s",
			 c->spec.cow, c->spec.image, c->spec.cow);
}

static int open_device(struct device *d, const struct disks_one *c, struct disk_error *err)
{
	struct disk_error why;
	int ret = check_cow(c, &why);

	d->cfg = *c;
	if (ret == 0)
		ret = disk_open(&c->spec, &d->disk, &why);
	return ret < 0 ? disk_fail(err, ret, "disk.%u: %.480s", c->index, why.text) : 0;
}

static void locks_init(struct disks *s)
{
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->change, NULL);
}

/* What of the nodes the guest has when it boots. */
static void take_names(struct disks *s, unsigned disk)
{
	for (unsigned i = 0; i < UBD_MAX_NODES; i++) {
		const struct ubd_node *n = s->nodes.node[disk][i];

		if (!n)
			continue;
		memcpy(s->name[s->nnames], n->name, sizeof(n->name));
		s->names[s->nnames] = s->name[s->nnames];
		s->nnames++;
	}
}

int disks_open(const struct disks_config *cfg, struct disks **ret_s, struct disk_error *err)
{
	struct disks *s = calloc(1, sizeof(*s));

	if (!s)
		return disk_fail(err, -ENOMEM, "no memory for disks");
	locks_init(s);
	s->ev.epoll = -1;
	for (unsigned i = 0; i < cfg->n; i++) {
		struct device *d = &s->device[cfg->disk[i].index];
		int ret = open_device(d, &cfg->disk[i], err);

		if (ret == 0) {
			d->used = true;
			ret = device_add_nodes(s, d);
			if (ret < 0)
				disk_fail(err, ret, "no memory for disks");
		}
		if (ret < 0) {
			disks_close(s);
			return ret;
		}
		take_names(s, cfg->disk[i].index);
	}
	*ret_s = s;
	return 0;
}

void disks_close(struct disks *s)
{
	if (!s)
		return;
	disks_stop(s);
	s->links.change = NULL;		/* the guest, and its /dev, are gone */
	for (unsigned i = 0; i < DISKS_MAX; i++) {
		if (!s->device[i].used)
			continue;
		device_remove_nodes(s, &s->device[i]);
		disk_close(&s->device[i].disk);
	}
	pthread_cond_destroy(&s->change);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

unsigned disks_names(const struct disks *s, const char *const **ret)
{
	*ret = s ? s->names : NULL;
	return s ? s->nnames : 0;
}

/* ---- the thread -------------------------------------------------------- */

static void flush_done(struct ubd_request *rq, int ret)
{
	struct device *d = (struct device *)((char *)rq - offsetof(struct device, flush));

	d->flushing = false;
}

void device_flush(struct device *d)
{
	if (d->flushing || !ubd_dirty(d->ubd))
		return;
	d->flushing = true;
	d->flush = (struct ubd_request){ .op = UBD_FLUSH, .done = flush_done };
	ubd_submit(d->ubd, &d->flush);
}

static void flush_all(struct disks *s)
{
	for (unsigned i = 0; i < DISKS_MAX; i++)
		if (s->device[i].used)
			device_flush(&s->device[i]);
}

static void on_fuse(struct kernel *k, struct event_source *src, uint32_t events)
{
	struct disks *s = disks_of(src, offsetof(struct disks, fuse_src));

	if (!fuse_server_read(s->nodes.server))
		event_remove(&s->ev, src);
	for (unsigned i = 0; i < DISKS_MAX; i++)
		if (s->device[i].used)
			ubd_run(s->device[i].ubd);
}

static void on_clock(struct kernel *k, struct event_source *src, uint32_t events)
{
	uint64_t count;

	host_read(src->fd, &count, sizeof(count));
	flush_all(disks_of(src, offsetof(struct disks, clock_src)));
}

static void on_stop(struct kernel *k, struct event_source *src, uint32_t events)
{
	struct disks *s = disks_of(src, offsetof(struct disks, stop_src));

	event_stop(&s->ev);
}

static unsigned pending(const struct disks *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < DISKS_MAX; i++)
		n += s->device[i].used ? ubd_pending(s->device[i].ubd) : 0;
	return n;
}

/* No more requests of the guest; those that are under way end, and then a flush. */
static void finish(struct disks *s)
{
	event_remove(&s->ev, &s->fuse_src);
	event_remove(&s->ev, &s->stop_src);
	event_remove(&s->ev, &s->command_src);
	for (int round = 0; round < 2; round++) {
		while (pending(s) > 0)
			if (event_turn(&s->ev, NULL) < 0)
				return;
		if (round == 0)
			flush_all(s);
	}
}

static void *run(void *disks)
{
	struct disks *s = disks;

	event_run(&s->ev, NULL);
	finish(s);
	return NULL;
}

/* ---- serving ----------------------------------------------------------- */

static int watch(struct disks *s, struct event_source *src, int fd, const char *name,
		 void (*handler)(struct kernel *k, struct event_source *src, uint32_t events))
{
	*src = (struct event_source){ .fd = fd, .name = name, .handler = handler };
	return fd < 0 ? fd : event_add(&s->ev, src, EPOLLIN);
}

static int start_clock(struct disks *s)
{
	const struct itimerspec every = { { FLUSH_EVERY, 0 }, { FLUSH_EVERY, 0 } };
	int fd = host_result(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
	int ret = watch(s, &s->clock_src, fd, "disk clock", on_clock);

	return ret < 0 ? ret : host_result(timerfd_settime(fd, 0, &every, NULL));
}

int device_start(struct disks *s, struct device *d)
{
	int ret = aio_create(&s->ev, d->cfg.depth + 1, &d->aio);

	if (ret == 0)
		ret = ubd_create(&d->disk, d->aio, d->cfg.depth, &d->ubd);
	if (ret < 0)
		return ret;
	/* Of a disk that was opened at boot the nodes were made before. */
	for (unsigned i = 0; i < UBD_MAX_NODES; i++)
		if (s->nodes.node[d->cfg.index][i])
			s->nodes.node[d->cfg.index][i]->u = d->ubd;
	log_info("disk: /dev/ubd%u: %s%s%s, %llu MiB%s%s", d->cfg.index, d->disk.image_path,
		 d->disk.cow_path ? " under " : "", d->disk.cow_path ? d->disk.cow_path : "",
		 (unsigned long long)d->disk.size >> 20, d->cfg.spec.readonly ? ", read-only" : "",
		 d->cfg.spec.direct ? "" : ", through the host's page cache");
	return 0;
}

void device_stop(struct device *d)
{
	ubd_destroy(d->ubd);
	aio_destroy(d->aio);
	d->ubd = NULL;
	d->aio = NULL;
}

static int start_devices(struct disks *s)
{
	int ret = 0;

	for (unsigned i = 0; ret == 0 && i < DISKS_MAX; i++)
		if (s->device[i].used)
			ret = device_start(s, &s->device[i]);
	return ret;
}

/* Signals are for the guest kernel's first thread. */
static int start_thread(struct disks *s)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&s->thread, NULL, run, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret)
		return -ret;
	pthread_setname_np(s->thread, "weir-disks");
	s->serving = true;
	return 0;
}

int disks_serve(struct disks *s, int device, const struct disks_links *links)
{
	int ret;

	s->stop_src.fd = s->clock_src.fd = s->command_src.fd = -1;
	s->nodes.change = disks_change;
	s->nodes.ctx = s;
	s->links = *links;
	ret = event_init(&s->ev);
	if (ret == 0)
		ret = start_devices(s);
	if (ret < 0) {
		close(device);
		return ret;
	}
	ret = ubd_nodes_open(&s->nodes, device);
	if (ret == 0)
		ret = watch(s, &s->fuse_src, fuse_server_fd(s->nodes.server), "disk requests", on_fuse);
	if (ret == 0)
		ret = watch(s, &s->stop_src, host_result(eventfd(0, EFD_CLOEXEC)), "disk stop", on_stop);
	if (ret == 0)
		ret = watch(s, &s->command_src, host_result(eventfd(0, EFD_CLOEXEC)), "disk command", disks_on_command);
	if (ret == 0)
		ret = start_clock(s);
	return ret < 0 ? ret : start_thread(s);
}

void disks_stop(struct disks *s)
{
	const uint64_t one = 1;

	if (!s || s->ev.epoll < 0)
		return;
	if (s->serving) {
		host_write(s->stop_src.fd, &one, sizeof(one));
		pthread_join(s->thread, NULL);
		s->serving = false;
	}
	ubd_nodes_close(&s->nodes);
	/* Readers of /proc ask until the agent ends. */
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < DISKS_MAX; i++)
		device_stop(&s->device[i]);
	pthread_mutex_unlock(&s->lock);
	event_exit(&s->ev);
	cleanup_fd_p(&s->stop_src.fd);
	cleanup_fd_p(&s->clock_src.fd);
	cleanup_fd_p(&s->command_src.fd);
}

/* ---- what is told of them ---------------------------------------------- */

bool disks_stats(struct disks *s, unsigned i, struct disk_stats *ret)
{
	const struct device *d = s ? &s->device[i] : NULL;
	bool used;

	if (!d)
		return false;
	pthread_mutex_lock(&s->lock);
	used = d->used;
	if (used) {
		*ret = (struct disk_stats){
			.image = d->disk.image_path, .cow = d->disk.cow_path, .size = d->disk.size,
			.readonly = d->cfg.spec.readonly,
		};
		snprintf(ret->name, sizeof(ret->name), "ubd%u", d->cfg.index);
		memcpy(ret->serial, d->cfg.serial, sizeof(ret->serial));
		if (d->ubd)
			ret->io = *ubd_stats(d->ubd);
	}
	pthread_mutex_unlock(&s->lock);
	return used;
}

bool disks_view(struct disks *s, unsigned disk, unsigned part, struct disk_view *ret)
{
	const struct ubd_node *n;

	if (!s || disk >= DISKS_MAX || part > PARTITIONS_MAX)
		return false;
	pthread_mutex_lock(&s->lock);
	n = s->nodes.node[disk][part];
	if (n) {
		const struct device *d = &s->device[disk];

		*ret = (struct disk_view){
			.disk = disk, .part = part, .start = n->start, .size = n->size, .readonly = n->readonly,
			.depth = d->cfg.depth, .count = n->count,
			.merged = d->ubd && !part ? ubd_stats(d->ubd)->merged : 0,
		};
		memcpy(ret->serial, d->cfg.serial, sizeof(ret->serial));
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}
