/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_cmd.h - what weir disk does, without its command line
 *
 * All return 0, or a negative errno with one line in @err.
 */
#ifndef WEIR_DISK_CMD_H
#define WEIR_DISK_CMD_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/disk.h"

struct disk_create {
	const char *path;
	const char *from;	/* a directory to fill it with, or NULL */
	uint64_t size;		/* bytes; 0: what @from needs */
	bool file_system;	/* ext4; @from brings one */
	bool replace;		/* a file that is there already */
};

/* disk_make.c */
int disk_make(const struct disk_create *c, struct disk_error *err);
int disk_make_cow(const char *base, const char *path, bool replace, struct disk_error *err);

/* disk_merge.c: a COW file and its base into a new image */
int disk_merge(const char *cow, const char *base, const char *to, bool replace, struct disk_error *err);

/* ... into the base; the COW file is empty afterwards. @again: the base's time is
 * not looked at, to go on with a commit that was interrupted. */
int disk_commit(const char *cow, const char *base, bool again, struct disk_error *err);

/* ... an image of another program as a raw one. @format: NULL to look. */
int disk_convert(const char *from, const char *format, const char *to, bool replace,
		 struct disk_error *err);

/* disk_info.c: does a file begin as COW files do? 1, 0 or why it cannot be read. */
int disk_is_cow(int fd);

/* print; @ret of a check: is it whole? */
int disk_info(const char *path, bool json, struct disk_error *err);
int disk_check(const char *path, const char *base, bool json, bool *ret, struct disk_error *err);

/* disk_hot.c: a disk of a guest that runs */
struct disk_add {
	const char *guest, *path;	/* an image or a COW file */
	const char *backing;		/* of a COW file; NULL: the one that it names */
	const char *serial;		/* NULL: none */
	unsigned index, depth;
	bool direct, readonly;
};

/* Return: an exit status, after saying what is wrong. */
int disk_add(const struct disk_add *a);
int disk_remove(const char *guest, unsigned index);

#endif
