/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.h - the files of a disk: an image, and a COW file over it
 *
 * An image is any seekable file, or a block device of the host's. Both files are
 * locked for as long as they are open, with open file description locks, which
 * User-mode Linux and qemu's tools know as well: who writes a file has it alone,
 * who reads it has it with other readers.
 */
#ifndef WEIR_DRIVERS_DISK_H
#define WEIR_DRIVERS_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "drivers/cow.h"

/* Files that somebody else has opened and locked as disk_open() does. */
struct disk_files {
	int image, cow;		/* -1: none */
};

struct disk_spec {
	const char *image;	/* NULL: the one that the COW file names */
	const char *cow;	/* NULL: none, the image itself is written */
	bool direct;		/* past the host's page cache */
	bool readonly;
	const struct disk_files *given;	/* use these, the disk's own from now on; NULL: open */
};

struct disk {
	int image, cow;		/* -1: no COW file */
	char *image_path, *cow_path;
	bool readonly;
	uint64_t size;		/* bytes the disk has: whole sectors */
	uint64_t image_size;	/* bytes the image has */
	struct stat image_stat;	/* as it was opened */
	struct cow_header header;	/* of the COW file */
	struct cow_map map;
};

/**
 * disk_open() - Open and lock the files of a disk
 *
 * Return: 0 and a disk for disk_close(), or a negative errno with one line,
 * which names the file, in @err; given files are closed then, too. -EBUSY: somebody
 * else uses a file.
 */
int disk_open(const struct disk_spec *spec, struct disk *ret, struct disk_error *err);

/* Only closes: what is to be durable was flushed. */
void disk_close(struct disk *d);

/* Is the image below the COW file another than when it was opened? Never for
 * an image that is ours to write. */
bool disk_base_changed(const struct disk *d);

/* The file and the place in it of byte @offset of the disk, a sector's first.
 * Return: how many of @len bytes are there together; @cow says in which file. */
uint64_t disk_place(const struct disk *d, uint64_t offset, uint64_t len, bool *cow,
		    uint64_t *place);

/* Read whole sectors, and wait for them; what is behind the image's end is zero.
 * @buf: aligned to 4096 if the disk is direct. Return: 0 or a negative errno. */
int disk_read(const struct disk *d, uint64_t offset, void *buf, uint64_t len);

/* Take a lock on the whole of @fd, named @path, or say who has it. */
int disk_lock(int fd, const char *path, bool write, struct disk_error *err);

/* The size of a file or block device, by its descriptor; or a negative errno. */
int64_t disk_file_size(int fd);

/* Read and check the header of a COW file. -EINVAL with @err if it is none. */
int disk_read_header(int fd, struct cow_header *ret, struct disk_error *err);

#endif
