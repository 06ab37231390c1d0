/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block_files.c - /sys/block, and what /proc says of the guest's disks
 *
 * Formats: Documentation/ABI/stable/sysfs-block, block/stat.rst and iostats.rst of
 * the kernel. A disk is a directory of /sys/block with its partitions in it;
 * /sys/class/block and /sys/dev/block lead there.
 */
#include "kernel/machine/block_files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/disks.h"
#include "kernel/kernel.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define NS_PER_MS UINT64_C(1000000)
#define SECTOR COW_SECTOR
#define SLOTS (DISKS_MAX * (1 + PARTITIONS_MAX))	/* each disk, then its partitions */

static unsigned minor_of(const struct disk_view *v)
{
	return v->disk << 8 | v->part;
}

static void device_name(const struct disk_view *v, char name[BLOCK_NAME])
{
	if (v->part)
		snprintf(name, BLOCK_NAME, "ubd%up%u", v->disk, v->part);
	else
		snprintf(name, BLOCK_NAME, "ubd%u", v->disk);
}

/* The first that is there from slot *@at on, which is moved behind it. */
static bool next_view(struct disks *d, unsigned *at, struct disk_view *ret)
{
	while (*at < SLOTS) {
		unsigned slot = (*at)++;

		if (disks_view(d, slot / (1 + PARTITIONS_MAX), slot % (1 + PARTITIONS_MAX), ret))
			return true;
	}
	return false;
}

/* ---- counters ---------------------------------------------------------- */

/* The 17 numbers of iostats.rst; times in ms. */
static void counters(const struct disk_view *v, struct text *t)
{
	const struct ubd_counters *c = &v->count;
	uint64_t now = host_now(), total = 0;
	uint64_t busy = c->busy_ns + (c->inflight ? now - MIN(c->since_ns, now) : 0);

	for (unsigned i = 0; i < UBD_NUM_OPS; i++)
		total += c->ns[i];
	for (enum ubd_op op = UBD_READ; op <= UBD_WRITE; op++)
		text_printf(t, " %llu %llu %llu %llu", (unsigned long long)c->ios[op],
			    (unsigned long long)(op == UBD_READ ? v->merged : 0),
			    (unsigned long long)(c->bytes[op] / SECTOR),
			    (unsigned long long)(c->ns[op] / NS_PER_MS));
	text_printf(t, " %u %llu %llu %llu 0 %llu %llu %llu %llu\n", c->inflight,
		    (unsigned long long)(busy / NS_PER_MS), (unsigned long long)(total / NS_PER_MS),
		    (unsigned long long)c->ios[UBD_DISCARD],
		    (unsigned long long)(c->bytes[UBD_DISCARD] / SECTOR),
		    (unsigned long long)(c->ns[UBD_DISCARD] / NS_PER_MS),
		    (unsigned long long)c->ios[UBD_FLUSH], (unsigned long long)(c->ns[UBD_FLUSH] / NS_PER_MS));
}

void render_partitions(const struct machine_facts *f, unsigned cpu, struct text *t)
{
	struct disk_view v;
	char name[BLOCK_NAME];
	unsigned at = 0;

	text_add(t, "", 0);	/* a text, be it empty */
	while (next_view(f->disks, &at, &v)) {
		if (!t->len)
			text_printf(t, "major minor  #blocks  name\n\n");
		device_name(&v, name);
		text_printf(t, "%4u  %7u %10llu %s\n", BLOCK_MAJOR, minor_of(&v),
			    (unsigned long long)v.size >> 10, name);
	}
}

void render_diskstats(const struct machine_facts *f, unsigned cpu, struct text *t)
{
	struct disk_view v;
	char name[BLOCK_NAME];
	unsigned at = 0;

	text_add(t, "", 0);
	while (next_view(f->disks, &at, &v)) {
		device_name(&v, name);
		text_printf(t, "%4u %7u %s", BLOCK_MAJOR, minor_of(&v), name);
		counters(&v, t);
	}
}

/* ---- the files of a device --------------------------------------------- */

static void number(struct text *t, uint64_t n)
{
	text_printf(t, "%llu\n", (unsigned long long)n);
}

#define RENDERER(name) static void name(const struct disk_view *v, struct text *t)

RENDERER(show_dev)	{ text_printf(t, "%u:%u\n", BLOCK_MAJOR, minor_of(v)); }
RENDERER(show_size)	{ number(t, v->size / SECTOR); }
RENDERER(show_start)	{ number(t, v->start / SECTOR); }
RENDERER(show_number)	{ number(t, v->part); }
RENDERER(show_ro)	{ number(t, v->readonly); }
RENDERER(show_zero)	{ number(t, 0); }
RENDERER(show_one)	{ number(t, 1); }
RENDERER(show_range)	{ number(t, 1 + PARTITIONS_MAX); }
RENDERER(show_serial)	{ text_printf(t, "%s\n", v->serial); }
RENDERER(show_stat)	{ counters(v, t); }
RENDERER(show_512)	{ number(t, SECTOR); }
RENDERER(show_4096)	{ number(t, 4096); }
RENDERER(show_discard)	{ number(t, v->readonly ? 0 : COW_MAX_SIZE); }
RENDERER(show_depth)	{ number(t, v->depth); }
RENDERER(show_max_kb)	{ number(t, 1024); }
RENDERER(show_none)	{ text_printf(t, "none\n"); }
RENDERER(show_sched)	{ text_printf(t, "[none]\n"); }
RENDERER(show_model)	{ text_printf(t, "ubd\n"); }
RENDERER(show_vendor)	{ text_printf(t, "weir\n"); }
RENDERER(show_cache)	{ text_printf(t, "write back\n"); }

RENDERER(show_inflight)
{
	text_printf(t, "%8u %8u\n", v->count.inflight, 0);
}

RENDERER(show_uevent)
{
	char name[BLOCK_NAME];

	device_name(v, name);
	text_printf(t, "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\nDEVTYPE=%s\n", BLOCK_MAJOR, minor_of(v), name,
		    v->part ? "partition" : "disk");
	if (v->part)
		text_printf(t, "PARTN=%u\n", v->part);
}

RENDERER(show_subsystem)
{
	text_printf(t, "%s../../class/block", v->part ? "../" : "");
}

enum { DISK = 1, PART = 2, BOTH = 3 };

/* Items of a device's directory; those with children have a name. */
enum { DEVICE, QUEUE, PARENT, FIRST_ITEM };

/* clang-format off */
static const struct item {
	const char *name;
	unsigned parent;
	mode_t mode;
	unsigned of;		/* DISK, PART */
	void (*render)(const struct disk_view *v, struct text *t);
} items[] = {
	[DEVICE] = { "", DEVICE, S_IFDIR | 0755, BOTH, NULL },
	[QUEUE]	 = { "queue", DEVICE, S_IFDIR | 0755, DISK, NULL },
	[PARENT] = { "device", DEVICE, S_IFDIR | 0755, DISK, NULL },	/* where programs look for these */
	[FIRST_ITEM] =
	{ "dev", DEVICE, S_IFREG | 0444, BOTH, show_dev },
	{ "size", DEVICE, S_IFREG | 0444, BOTH, show_size },
	{ "ro", DEVICE, S_IFREG | 0444, BOTH, show_ro },
	{ "stat", DEVICE, S_IFREG | 0444, BOTH, show_stat },
	{ "inflight", DEVICE, S_IFREG | 0444, BOTH, show_inflight },
	{ "uevent", DEVICE, S_IFREG | 0444, BOTH, show_uevent },
	{ "alignment_offset", DEVICE, S_IFREG | 0444, BOTH, show_zero },
	{ "discard_alignment", DEVICE, S_IFREG | 0444, BOTH, show_zero },
	{ "subsystem", DEVICE, S_IFLNK | 0777, BOTH, show_subsystem },
	{ "holders", DEVICE, S_IFDIR | 0755, BOTH, NULL },
	{ "slaves", DEVICE, S_IFDIR | 0755, DISK, NULL },
	{ "removable", DEVICE, S_IFREG | 0444, DISK, show_zero },
	{ "hidden", DEVICE, S_IFREG | 0444, DISK, show_zero },
	{ "range", DEVICE, S_IFREG | 0444, DISK, show_range },
	{ "ext_range", DEVICE, S_IFREG | 0444, DISK, show_range },
	{ "capability", DEVICE, S_IFREG | 0444, DISK, show_zero },
	{ "serial", DEVICE, S_IFREG | 0444, DISK, show_serial },
	{ "serial", PARENT, S_IFREG | 0444, DISK, show_serial },
	{ "model", PARENT, S_IFREG | 0444, DISK, show_model },
	{ "vendor", PARENT, S_IFREG | 0444, DISK, show_vendor },
	{ "partition", DEVICE, S_IFREG | 0444, PART, show_number },
	{ "start", DEVICE, S_IFREG | 0444, PART, show_start },
	{ "logical_block_size", QUEUE, S_IFREG | 0444, DISK, show_512 },
	{ "physical_block_size", QUEUE, S_IFREG | 0444, DISK, show_4096 },
	{ "hw_sector_size", QUEUE, S_IFREG | 0444, DISK, show_512 },
	{ "minimum_io_size", QUEUE, S_IFREG | 0444, DISK, show_4096 },
	{ "optimal_io_size", QUEUE, S_IFREG | 0444, DISK, show_zero },
	{ "rotational", QUEUE, S_IFREG | 0444, DISK, show_zero },
	{ "discard_granularity", QUEUE, S_IFREG | 0444, DISK, show_512 },
	{ "discard_max_bytes", QUEUE, S_IFREG | 0444, DISK, show_discard },
	{ "discard_max_hw_bytes", QUEUE, S_IFREG | 0444, DISK, show_discard },
	{ "discard_zeroes_data", QUEUE, S_IFREG | 0444, DISK, show_zero },
	{ "write_same_max_bytes", QUEUE, S_IFREG | 0444, DISK, show_zero },
	{ "write_zeroes_max_bytes", QUEUE, S_IFREG | 0444, DISK, show_zero },
	{ "nr_requests", QUEUE, S_IFREG | 0444, DISK, show_depth },
	{ "max_sectors_kb", QUEUE, S_IFREG | 0444, DISK, show_max_kb },
	{ "max_hw_sectors_kb", QUEUE, S_IFREG | 0444, DISK, show_max_kb },
	{ "read_ahead_kb", QUEUE, S_IFREG | 0444, DISK, show_max_kb },
	{ "scheduler", QUEUE, S_IFREG | 0444, DISK, show_sched },
	{ "write_cache", QUEUE, S_IFREG | 0444, DISK, show_cache },
	{ "fua", QUEUE, S_IFREG | 0444, DISK, show_one },
	{ "iostats", QUEUE, S_IFREG | 0444, DISK, show_one },
	{ "add_random", QUEUE, S_IFREG | 0444, DISK, show_zero },
	{ "nomerges", QUEUE, S_IFREG | 0444, DISK, show_zero },
	{ "dax", QUEUE, S_IFREG | 0444, DISK, show_zero },
	{ "zoned", QUEUE, S_IFREG | 0444, DISK, show_none },
};
/* clang-format on */

/* ---- inodes ------------------------------------------------------------ */

/* What an inode is of: BLOCK_INO, link (2 bits), disk (8), part (8), item (8). */
enum { NO_LINK, CLASS_LINK, DEV_LINK };

struct place {
	unsigned link, disk, part, item;
};

static uint64_t pack(unsigned link, const struct disk_view *v, unsigned item)
{
	return BLOCK_INO | link << 24 | v->disk << 16 | v->part << 8 | item;
}

static struct place unpack(uint64_t ino)
{
	return (struct place){ ino >> 24 & 3, ino >> 16 & 0xff, ino >> 8 & 0xff, ino & 0xff };
}

static bool view_ino(struct kernel *k, uint64_t ino, struct disk_view *ret)
{
	struct place p = unpack(ino);

	return p.item < ARRAY_SIZE(items) && disks_view(k->disks, p.disk, p.part, ret);
}

/* ---- directories ------------------------------------------------------- */

static uint64_t next_device(struct kernel *k, enum proc_kind kind, unsigned *at, char name[BLOCK_NAME])
{
	struct disk_view v;

	while (next_view(k->disks, at, &v)) {
		if (kind == PROC_BLOCK_TREE && v.part)
			continue;
		if (kind == PROC_BLOCK_DEV)
			snprintf(name, BLOCK_NAME, "%u:%u", BLOCK_MAJOR, minor_of(&v));
		else
			device_name(&v, name);
		return pack(kind == PROC_BLOCK_TREE ? NO_LINK : kind == PROC_BLOCK_DEV ? DEV_LINK : CLASS_LINK,
			    &v, DEVICE);
	}
	return 0;
}

/* The items, then the partitions of a disk. */
static uint64_t next_item(struct kernel *k, uint64_t dir, unsigned *at, char name[BLOCK_NAME])
{
	struct place p = unpack(dir);
	struct disk_view v;

	if (!view_ino(k, dir, &v))
		return 0;
	for (*at = MAX(*at, 1u); *at < ARRAY_SIZE(items); ++*at) {
		const struct item *i = &items[*at];

		if (i->parent != p.item || !(i->of & (v.part ? PART : DISK)))
			continue;
		snprintf(name, BLOCK_NAME, "%s", i->name);
		return pack(NO_LINK, &v, (*at)++);
	}
	for (; p.item == DEVICE && !p.part && *at - ARRAY_SIZE(items) < PARTITIONS_MAX; ++*at) {
		if (!disks_view(k->disks, p.disk, *at - ARRAY_SIZE(items) + 1, &v))
			continue;
		++*at;
		device_name(&v, name);
		return pack(NO_LINK, &v, DEVICE);
	}
	return 0;
}

uint64_t block_next(struct kernel *k, const struct block_dir *dir, unsigned *at, char name[BLOCK_NAME])
{
	return dir->ino ? next_item(k, dir->ino, at, name) : next_device(k, dir->kind, at, name);
}

mode_t block_mode(struct kernel *k, uint64_t ino)
{
	struct place p = unpack(ino);
	struct disk_view v;

	if (!view_ino(k, ino, &v))
		return 0;
	return p.link ? S_IFLNK | 0777 : items[p.item].mode;
}

static void device_link(const struct disk_view *v, struct text *t)
{
	char name[BLOCK_NAME];

	device_name(v, name);
	if (v->part)
		text_printf(t, "../../block/ubd%u/%s", v->disk, name);
	else
		text_printf(t, "../../block/%s", name);
}

int block_text(struct kernel *k, uint64_t ino, struct text *t)
{
	struct place p = unpack(ino);
	struct disk_view v;

	text_clear(t);
	if (!view_ino(k, ino, &v) || (!p.link && !items[p.item].render))
		return -ENODEV;
	if (p.link)
		device_link(&v, t);
	else
		items[p.item].render(&v, t);
	return text_ok(t) ? 0 : -ENOMEM;
}
