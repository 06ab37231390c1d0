/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_disk.h - a disk in memory that remembers what was written, and loses power
 *
 * Of the calls that write to it, in their order, it keeps a log. A disk with a write
 * cache may have lost, when power failed, any sectors that were written since the last
 * flush: memory_disk_cut() makes such a disk for each moment.
 */
#ifndef WEIR_TESTS_MEMORY_DISK_H
#define WEIR_TESTS_MEMORY_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_SECTOR 512u

struct disk_op {
	uint64_t offset;
	size_t len;		/* 0: a flush */
	char *data;
};

struct memory_disk {
	int fd, before;		/* as it is; as it was when the log began */
	struct disk_op *op;
	unsigned n, room;
};

/* With a file system that mke2fs makes, by these arguments and a NULL. False: there is no mke2fs. */
bool memory_disk_make(struct memory_disk *d, uint64_t size, const char *const options[]);
void memory_disk_free(struct memory_disk *d);

/* Begin the log anew: what was written until now is durable. */
void memory_disk_mark(struct memory_disk *d);

/**
 * memory_disk_cut() - What the disk may hold if power fails after @n operations
 * @unit: bytes that are written as one
 * @seed: which of those that no flush covers were lost; 0: none
 *
 * Return: a descriptor of another such disk, the caller's.
 */
int memory_disk_cut(const struct memory_disk *d, unsigned n, size_t unit, unsigned seed);

/* Another disk with the same contents. */
int memory_disk_copy(int fd);

/* Return: the exit status of e2fsck with this option, "-fn" or "-fp"; -1 if there is none.
 * What it says goes to @text. */
int memory_disk_e2fsck(int fd, const char *option, char *text, size_t size);

#endif
