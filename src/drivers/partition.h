/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition.h - the partitions of a disk, read from its table
 *
 * Of DOS (with logical partitions) and of GUID tables, as Linux reads them. The
 * disk is read through a function: a disk over a COW file is no file that a
 * library could be given. All of it is a guest's to write, so all is bounded.
 */
#ifndef WEIR_DRIVERS_PARTITION_H
#define WEIR_DRIVERS_PARTITION_H

#include <stddef.h>
#include <stdint.h>

#include "drivers/cow.h"	/* struct disk_error */

#define PARTITIONS_MAX 128	/* of a disk, and the highest number */

struct partition {
	unsigned number;		/* from 1 */
	uint64_t start, sectors;	/* of 512 bytes; at least one, within the disk */
};

enum partition_kind { PARTITION_NONE, PARTITION_DOS, PARTITION_GPT };

struct partition_table {
	enum partition_kind kind;
	unsigned n;
	struct partition part[PARTITIONS_MAX];	/* by number */
};

struct partition_source {
	/* @len bytes at @offset, both whole sectors. Return: 0 or a negative errno. */
	int (*read)(void *ctx, uint64_t offset, void *buf, size_t len);
	void *ctx;
	uint64_t sectors;	/* of the disk */
};

/**
 * partition_read() - Read a disk's table
 *
 * What lies behind the disk's end is left out, or cut off there. Return: 0, also
 * without any table, or a negative errno with @err and an empty table: -EINVAL for
 * a table that contradicts itself, else what read() said.
 */
int partition_read(const struct partition_source *src, struct partition_table *ret,
		   struct disk_error *err);

#endif
