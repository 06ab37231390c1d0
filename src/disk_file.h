/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_file.h - files that weir disk makes: whole or not at all
 *
 * A new file has no name until it is complete and durable. Whatever fails or is
 * killed before that leaves nothing, and an old file of that name as it was.
 */
#ifndef WEIR_DISK_FILE_H
#define WEIR_DISK_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/disk.h"

struct new_file {
	int fd, dir;
	bool replace, linked;		/* linked: it has the name temp */
	char name[256], temp[300];
	char path[64];			/* for other programs, while it is made */
};

/* Return: 0, or a negative errno with @err; -EEXIST unless @replace. */
int new_file_begin(struct new_file *f, const char *path, bool replace, struct disk_error *err);

/* Make it durable and give it its name. */
int new_file_finish(struct new_file *f, struct disk_error *err);

/* After either of both; what has no name is gone. */
void new_file_end(struct new_file *f);

/* A line on standard error that says how far it is; nothing if that is no tty. */
struct progress {
	const char *what;
	uint64_t done, total, begun_ns, shown_ns;
	bool tty;
};
void progress_begin(struct progress *p, const char *what, uint64_t total);
void progress_add(struct progress *p, uint64_t n);
void progress_end(struct progress *p);

/* host_run() of a program that may be root's only, beside those of PATH. */
int disk_helper(char *argv[], char *why, size_t size);

/**
 * disk_copy() - Copy what a disk holds to a file, without its zeros
 * @to: an empty file, or one that takes all of it: see @only_cow
 * @only_cow: only what is in the COW file, zeros too: its base gets it
 */
int disk_copy(const struct disk *d, int to, bool only_cow, struct progress *p,
	      struct disk_error *err);

#endif
