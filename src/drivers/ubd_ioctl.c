/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ubd_ioctl.c - the ioctls of a block device
 *
 * What each means is in linux/fs.h and linux/hdreg.h. The host passes on what an
 * ioctl's number says of its argument; most of these numbers say nothing, so the
 * argument is the caller's memory. The caller cannot go away meanwhile: the host
 * keeps a task that waits for the answer to a request that was read, even one that
 * was killed, so its id is nobody else's.
 */
#include "drivers/ubd_ioctl.h"

#include <errno.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <linux/hdreg.h>
#include <string.h>

#include "kernel/util.h"
#include "mmu/uaccess.h"

#define HEADS 255u		/* of the geometry that every tool takes for "none" */
#define TRACK 63u

static void get_int(const struct ubd_node *n, struct ubd_ioctl *r, int value)
{
	r->out.i = value;
	r->len = sizeof(r->out.i);
}

static void get_sector_size(const struct ubd_node *n, struct ubd_ioctl *r)
{
	get_int(n, r, COW_SECTOR);
}

static void get_block_size(const struct ubd_node *n, struct ubd_ioctl *r)
{
	r->out.ul = 4096;
	r->len = sizeof(r->out.ul);
}

static void get_physical_size(const struct ubd_node *n, struct ubd_ioctl *r)
{
	get_int(n, r, 4096);
}

static void get_zero(const struct ubd_node *n, struct ubd_ioctl *r)
{
	get_int(n, r, 0);
}

static void get_readonly(const struct ubd_node *n, struct ubd_ioctl *r)
{
	get_int(n, r, n->readonly);
}

static void get_max_sectors(const struct ubd_node *n, struct ubd_ioctl *r)
{
	r->out.us = 2048;
	r->len = sizeof(r->out.us);
}

static void get_sectors(const struct ubd_node *n, struct ubd_ioctl *r)
{
	r->out.ul = n->size / COW_SECTOR;
	r->len = sizeof(r->out.ul);
}

static void get_size(const struct ubd_node *n, struct ubd_ioctl *r)
{
	r->out.u64 = n->size;
	r->len = sizeof(r->out.u64);
}

static void get_geometry(const struct ubd_node *n, struct ubd_ioctl *r)
{
	struct hd_geometry g = { .heads = HEADS, .sectors = TRACK, .start = n->start / COW_SECTOR };
	uint64_t cylinders = n->size / COW_SECTOR / (HEADS * TRACK);

	g.cylinders = MIN(cylinders, 65535u);
	_Static_assert(sizeof(g) <= sizeof(r->out.geometry), "struct hd_geometry has no room");
	memcpy(r->out.geometry, &g, sizeof(g));
	r->len = sizeof(g);
}

static void flush(const struct ubd_node *n, struct ubd_ioctl *r)
{
	r->request = true;
	r->op = UBD_FLUSH;
}

static void reread(const struct ubd_node *n, struct ubd_ioctl *r)
{
	r->change.what = UBD_CHANGE_REREAD;
	r->ret = n->part ? -EINVAL : 0;
}

static const struct {
	unsigned cmd;
	void (*get)(const struct ubd_node *n, struct ubd_ioctl *r);
} ioctls[] = {
	{ BLKGETSIZE64, get_size },	 { BLKGETSIZE, get_sectors },
	{ BLKSSZGET, get_sector_size },	 { BLKPBSZGET, get_physical_size },
	{ BLKBSZGET, get_block_size },	 { BLKIOMIN, get_physical_size },
	{ BLKIOOPT, get_zero },		 { BLKALIGNOFF, get_zero },
	{ BLKROTATIONAL, get_zero },	 { BLKRAGET, get_zero },
	{ BLKDISCARDZEROES, get_zero },	 { BLKROGET, get_readonly },
	{ BLKSECTGET, get_max_sectors }, { HDIO_GETGEO, get_geometry },
	{ BLKFLSBUF, flush },		 { BLKRRPART, reread },
};

/* Offset and length are in the caller's memory. What was there may be read until
 * the page cache has dropped it, so this is no BLKZEROOUT. */
static void discard(const struct ubd_node *n, pid_t tid, uint64_t arg, struct ubd_ioctl *r)
{
	uint64_t range[2];

	r->ret = copy_from_guest(tid, range, uaddr(arg), sizeof(range));
	if (r->ret < 0)
		return;
	if ((range[0] | range[1]) % COW_SECTOR || range[1] == 0 || range[0] > n->size ||
	    range[1] > n->size - range[0]) {
		r->ret = -EINVAL;
		return;
	}
	r->request = true;
	r->op = UBD_DISCARD;
	r->offset = n->start + range[0];
	r->range = range[1];
}

/* Partitions one by one, linux/blkpg.h: what to do, and a pointer to which. */
static void change_partition(const struct ubd_node *n, pid_t tid, uint64_t arg, struct ubd_ioctl *r)
{
	struct blkpg_partition p;
	struct blkpg_ioctl_arg a;

	r->ret = copy_from_guest(tid, &a, uaddr(arg), sizeof(a));
	if (r->ret == 0)
		r->ret = copy_from_guest(tid, &p, uaddr((uintptr_t)a.data), sizeof(p));
	if (r->ret < 0)
		return;
	if (n->part || p.pno < 1 || p.pno > PARTITIONS_MAX || p.start < 0 || p.length < 0) {
		r->ret = -EINVAL;
		return;
	}
	r->change.what = a.op == BLKPG_ADD_PARTITION	? UBD_CHANGE_ADD :
			 a.op == BLKPG_DEL_PARTITION	? UBD_CHANGE_DELETE :
			 a.op == BLKPG_RESIZE_PARTITION ? UBD_CHANGE_RESIZE :
							  UBD_CHANGE_NONE;
	r->change.part = p.pno;
	r->change.start = p.start;
	r->change.size = p.length;
	if (r->change.what == UBD_CHANGE_NONE)
		r->ret = -EINVAL;
}

void ubd_ioctl(const struct ubd_node *n, unsigned cmd, pid_t tid, uint64_t arg, struct ubd_ioctl *r)
{
	*r = (struct ubd_ioctl){ .ret = 0 };
	if (cmd == BLKDISCARD) {
		discard(n, tid, arg, r);
		return;
	}
	if (cmd == BLKPG) {
		change_partition(n, tid, arg, r);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(ioctls); i++)
		if (ioctls[i].cmd == cmd) {
			ioctls[i].get(n, r);
			return;
		}
	r->ret = -ENOTTY;
}
