/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disks.h - the disks of a guest: opened at boot, served by a thread of their own
 */
#ifndef WEIR_DRIVERS_DISKS_H
#define WEIR_DRIVERS_DISKS_H

#include <stdbool.h>

#include "drivers/disk.h"
#include "drivers/ubd.h"

#define DISKS_MAX 16

struct disks;

struct disks_one {
	unsigned index;		/* N of ubdN */
	unsigned depth;		/* requests under way, 1 to UBD_MAX_DEPTH */
	struct disk_spec spec;
};

struct disks_config {
	struct disks_one disk[DISKS_MAX];
	unsigned n;
};

/* Open and lock all files. Return: 0, or a negative errno with @err, which names the disk. */
int disks_open(const struct disks_config *cfg, struct disks **ret, struct disk_error *err);

/* What the guest has in /dev/ubd: as many names as returned. NULL has none. */
unsigned disks_names(const struct disks *d, const char *const **ret);

/* Begin to answer on the FUSE device, which is ours from now on. */
int disks_serve(struct disks *d, int device);

/* Make durable what was written, and end the thread. NULL, and not served, is fine. */
void disks_stop(struct disks *d);

/* Close the files. NULL is fine. */
void disks_close(struct disks *d);

struct disk_stats {
	char name[16];		/* "ubd0" */
	const char *image, *cow;
	uint64_t size;
	bool readonly;
	struct ubd_stats io;	/* as it was a moment ago */
};

/* Of the @i-th disk; false if there are not so many. Any thread. */
bool disks_stats(const struct disks *d, unsigned i, struct disk_stats *ret);

#endif
