/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disks.h - the disks of a guest: opened at boot, served by a thread of their own
 */
#ifndef WEIR_DRIVERS_DISKS_H
#define WEIR_DRIVERS_DISKS_H

#include <stdbool.h>

#include "drivers/disk.h"
#include "drivers/ubd_node.h"

#define DISKS_MAX UBD_MAX_DISKS
#define DISK_SERIAL_SIZE 21	/* with its NUL; as ATA and virtio have it */

struct disks;

struct disks_one {
	unsigned index;		/* N of ubdN */
	unsigned depth;		/* requests under way, 1 to UBD_MAX_DEPTH */
	char serial[DISK_SERIAL_SIZE];	/* "": none */
	struct disk_spec spec;
};

struct disks_config {
	struct disks_one disk[DISKS_MAX];
	unsigned n;
};

/* Open and lock all files. Return: 0, or a negative errno with @err, which names the disk. */
int disks_open(const struct disks_config *cfg, struct disks **ret, struct disk_error *err);

/* What the guest has in /dev/ubd when it boots: as many names as returned. NULL has none. */
unsigned disks_names(const struct disks *d, const char *const **ret);

/* Who makes and removes /dev/ubd@name, a link to the node; NULL: nobody. Called by
 * the thread that serves. Return: 0 or a negative errno, for the log. */
struct disks_links {
	int (*change)(void *ctx, const char *name, bool there);
	void *ctx;
};

/* Begin to answer on the FUSE device, which is ours from now on. */
int disks_serve(struct disks *d, int device, const struct disks_links *links);

/**
 * disks_add(), disks_remove() - A disk of a guest that runs
 *
 * Any thread but the one that serves. Return: 0, or a negative errno with @err.
 * disks_remove(): -EBUSY as long as somebody has it or a partition of it open;
 * -EAGAIN: it is being flushed, to be asked again.
 */
int disks_add(struct disks *s, const struct disks_one *one, struct disk_error *err);
int disks_remove(struct disks *s, unsigned index, struct disk_error *err);

/* Make durable what was written, and end the thread. NULL, and not served, is fine. */
void disks_stop(struct disks *d);

/* Close the files. NULL is fine. */
void disks_close(struct disks *d);

struct disk_stats {
	char name[16];		/* "ubd0" */
	const char *image, *cow;	/* the guest kernel's first thread may look at them */
	char serial[DISK_SERIAL_SIZE];
	uint64_t size;
	bool readonly;
	struct ubd_stats io;	/* as it was a moment ago */
};

/* Of disk number @i below DISKS_MAX; false if there is none. Any thread. */
bool disks_stats(struct disks *d, unsigned i, struct disk_stats *ret);

/* A disk or a partition, as the guest sees it. */
struct disk_view {
	unsigned disk, part;		/* part 0: all of the disk */
	uint64_t start, size;		/* bytes */
	bool readonly;
	uint64_t merged;		/* of a disk */
	unsigned depth;
	char serial[DISK_SERIAL_SIZE];
	struct ubd_counters count;
};

/* The same of a node, @part up to PARTITIONS_MAX. */
bool disks_view(struct disks *d, unsigned disk, unsigned part, struct disk_view *ret);

#endif
