/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disks_parts.c - the partitions of a disk, as nodes and as read from its table
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/disks_impl.h"
#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"

#define ALIGN 4096	/* of what disk_read() reads into */

static struct ubd_node *node_at(const struct disks *s, const struct device *d, unsigned part)
{
	return s->nodes.node[d->cfg.index][part];
}

/* ---- the table --------------------------------------------------------- */

static int read_disk(void *device, uint64_t offset, void *buf, size_t len)
{
	const struct device *d = device;
	cleanup_free void *room = aligned_alloc(ALIGN, (len + ALIGN - 1) / ALIGN * ALIGN);
	int ret = room ? disk_read(&d->disk, offset, room, len) : -ENOMEM;

	if (ret == 0)
		memcpy(buf, room, len);
	return ret;
}

static int read_table(struct device *d, struct partition_table *ret_t)
{
	struct partition_source src = {
		.read = read_disk, .ctx = d, .sectors = d->disk.size / COW_SECTOR,
	};
	struct disk_error err;
	int ret = partition_read(&src, ret_t, &err);

	if (ret < 0)
		log_warn("disk: ubd%u: its partitions are not used: %s", d->cfg.index, err.text);
	else if (ret_t->n > 0)
		log_info("disk: ubd%u: %u partitions", d->cfg.index, ret_t->n);
	return ret;
}

static struct partition *find(struct partition_table *t, unsigned number)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->part[i].number == number)
			return &t->part[i];
	return NULL;
}

/* ---- nodes ------------------------------------------------------------- */

static void link_node(struct disks *s, const char *name, bool there)
{
	int ret = s->links.change ? s->links.change(s->links.ctx, name, there) : 0;

	if (ret < 0)
		log_warn("disk: /dev/ubd%s: the link to it: %s", name, strerror(-ret));
}

static int add_part(struct disks *s, struct device *d, const struct partition *p)
{
	struct ubd_node *whole = node_at(s, d, 0), n = {
		.disk = d->cfg.index, .part = p->number, .u = d->ubd,
		.start = p->start * COW_SECTOR, .size = p->sectors * COW_SECTOR,
		.readonly = whole->readonly, .mode = whole->mode, .uid = whole->uid, .gid = whole->gid,
	};

	snprintf(n.name, sizeof(n.name), "%up%u", n.disk, n.part);
	if (!ubd_nodes_add(&s->nodes, &n))
		return -ENOMEM;
	link_node(s, n.name, true);
	return 0;
}

static void remove_node(struct disks *s, struct device *d, unsigned part)
{
	struct ubd_node *n = node_at(s, d, part);
	char name[sizeof(n->name)];

	if (!n)
		return;
	memcpy(name, n->name, sizeof(name));
	ubd_nodes_remove(&s->nodes, n);
	link_node(s, name, false);
}

int device_add_nodes(struct disks *s, struct device *d)
{
	struct ubd_node n = {
		.disk = d->cfg.index, .u = d->ubd, .size = d->disk.size, .readonly = d->cfg.spec.readonly,
		.mode = d->cfg.spec.readonly ? 0440 : 0660,
	};
	int ret = 0;

	snprintf(n.name, sizeof(n.name), "%u", n.disk);
	if (!ubd_nodes_add(&s->nodes, &n))
		return -ENOMEM;
	link_node(s, n.name, true);
	read_table(d, &d->table);
	for (unsigned i = 0; ret == 0 && i < d->table.n; i++)
		ret = add_part(s, d, &d->table.part[i]);
	return ret;
}

void device_remove_nodes(struct disks *s, struct device *d)
{
	for (unsigned i = UBD_MAX_NODES; i-- > 0;)
		remove_node(s, d, i);
	d->table = (struct partition_table){ .kind = PARTITION_NONE };
}

bool device_busy(const struct disks *s, const struct device *d)
{
	for (unsigned i = 0; i < UBD_MAX_NODES; i++)
		if (ubd_node_busy(node_at(s, d, i)))
			return true;
	return false;
}

/* ---- changes ----------------------------------------------------------- */

static bool same(const struct partition *a, const struct partition *b)
{
	return b && a->start == b->start && a->sectors == b->sectors;
}

static int reread(struct disks *s, struct device *d)
{
	struct partition_table t;
	int ret, added = 0;

	for (unsigned i = 1; i < UBD_MAX_NODES; i++)
		if (ubd_node_busy(node_at(s, d, i)))
			return -EBUSY;
	ret = read_table(d, &t);
	for (unsigned i = 0; i < d->table.n; i++)
		if (!same(&d->table.part[i], find(&t, d->table.part[i].number)))
			remove_node(s, d, d->table.part[i].number);
	for (unsigned i = 0; i < t.n && added == 0; i++)
		if (!node_at(s, d, t.part[i].number))
			added = add_part(s, d, &t.part[i]);
	d->table = t;
	return ret < 0 ? ret : added;
}

/* As the kernel's own: within the disk, and over no other partition. */
static int check_place(struct device *d, const struct partition *p)
{
	uint64_t end = p->start + p->sectors;

	if (p->sectors == 0 || end < p->start || end > d->disk.size / COW_SECTOR)
		return -EINVAL;
	for (unsigned i = 0; i < d->table.n; i++) {
		const struct partition *o = &d->table.part[i];

		if (o->number != p->number && p->start < o->start + o->sectors && o->start < end)
			return -EBUSY;
	}
	return 0;
}

static int add(struct disks *s, struct device *d, const struct partition *p)
{
	int ret = find(&d->table, p->number) ? -EBUSY : check_place(d, p);

	if (ret < 0 || d->table.n == PARTITIONS_MAX)
		return ret < 0 ? ret : -ENOSPC;
	ret = add_part(s, d, p);
	if (ret == 0)
		d->table.part[d->table.n++] = *p;
	return ret;
}

static int delete(struct disks *s, struct device *d, unsigned number)
{
	struct partition *p = find(&d->table, number);

	if (!p || ubd_node_busy(node_at(s, d, number)))
		return p ? -EBUSY : -ENXIO;
	*p = d->table.part[--d->table.n];
	remove_node(s, d, number);
	return 0;
}

static int resize(struct disks *s, struct device *d, const struct partition *p)
{
	struct partition *old = find(&d->table, p->number);
	int ret;

	if (!old || old->start != p->start)
		return old ? -EINVAL : -ENXIO;
	if (ubd_node_busy(node_at(s, d, p->number)))
		return -EBUSY;
	ret = check_place(d, p);
	if (ret < 0)
		return ret;
	remove_node(s, d, p->number);
	*old = *p;
	return add_part(s, d, p);
}

static int change(struct disks *s, struct device *d, const struct ubd_change *c)
{
	const struct partition p = { c->part, c->start / COW_SECTOR, c->size / COW_SECTOR };

	switch (c->what) {
	case UBD_CHANGE_REREAD: return reread(s, d);
	case UBD_CHANGE_ADD: return add(s, d, &p);
	case UBD_CHANGE_DELETE: return delete(s, d, c->part);
	case UBD_CHANGE_RESIZE: return resize(s, d, &p);
	default: return -EINVAL;
	}
}

int disks_change(void *disks, unsigned index, const struct ubd_change *c)
{
	struct disks *s = disks;
	int ret;

	pthread_mutex_lock(&s->lock);
	ret = change(s, &s->device[index], c);
	pthread_mutex_unlock(&s->lock);
	return ret;
}
