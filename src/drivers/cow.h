/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cow.h - the copy-on-write file, version 3
 *
 * The format is User-mode Linux's: a header of 4128 bytes, all numbers
 * big-endian, then a bitmap with a bit for each sector of the backing file,
 * then room for each sector. A sector whose bit is set lies in the COW file,
 * any other in the backing file.
 *
 *	0	magic		"OOOM"
 *	4	version		3
 *	8	mtime		of the backing file: seconds, low 32 bits
 *	12	size		of the backing file: bytes, 64 bits
 *	20	sector size	512
 *	24	alignment	of bitmap and data in the file
 *	28	format		0: a bitmap
 *	32	backing file	absolute path, filled up with NULs to 4096 bytes
 */
#ifndef WEIR_DRIVERS_COW_H
#define WEIR_DRIVERS_COW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COW_SECTOR 512u
#define COW_HEADER_SIZE 4128u
#define COW_PATH_SIZE 4096u
#define COW_ALIGNMENT 4096u		/* of the files that we make; uml_mkcow's too */
#define COW_BLOCK 4096u			/* of the bitmap: written as a whole */
#define COW_MAX_SIZE (UINT64_C(1) << 46)	/* bytes of a disk: its bitmap is in memory */

/* What is wrong with a disk, in one line without the file's name. */
struct disk_error {
	char text[512];
};

/* Fill @err. Return: @ret. */
int disk_fail(struct disk_error *err, int ret, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

struct cow_header {
	uint32_t mtime;
	uint64_t size;			/* bytes, at most COW_MAX_SIZE */
	uint32_t alignment;		/* a power of two, at least a sector */
	char backing[COW_PATH_SIZE];	/* ends with a NUL */
};

/* Where things are in the file: bytes. */
struct cow_layout {
	uint64_t sectors;		/* the last one may be a part of one */
	uint64_t bitmap_offset, bitmap_len;
	uint64_t data_offset;
	uint64_t end;			/* of the file as it is made */
};

/* Return: 0, or -EINVAL with @err: no COW file, or one that we do not take. */
int cow_header_parse(const uint8_t raw[COW_HEADER_SIZE], struct cow_header *ret,
		     struct disk_error *err);
void cow_header_format(const struct cow_header *h, uint8_t raw[COW_HEADER_SIZE]);
void cow_layout(const struct cow_header *h, struct cow_layout *ret);

/*
 * The bitmap in memory. It says where a read finds a sector, and which blocks of
 * it the file does not have yet.
 *
 * A bit goes to the file only when the data that it stands for is durable there:
 *
 *	write data; cow_mark(); ...
 *	cow_commit_begin()	takes the blocks that changed, as they are now
 *	fdatasync		so all that they speak of is durable
 *	write the blocks; fdatasync
 *	cow_commit_end()	and a flush may be acknowledged
 *
 * Bits that are marked meanwhile wait for the next time. A crash at any moment
 * leaves a file with a bit or without it, never one whose data is not there.
 */
struct cow_map {
	struct cow_layout layout;
	uint8_t *bits;			/* whole blocks, aligned to one */
	size_t nblocks;
	uint8_t *dirty;			/* a byte for each block */
	size_t ndirty;
};

/* Blocks on their way to the file. */
struct cow_commit {
	uint8_t *copy;			/* @n blocks, aligned to one */
	size_t *index;			/* which blocks of the bitmap they are */
	size_t n;
};

/* Return: 0 with an empty bitmap, or -ENOMEM. */
int cow_map_init(struct cow_map *m, const struct cow_header *h);
void cow_map_exit(struct cow_map *m);

/* Is sector @sector in the COW file? Below layout.sectors. */
bool cow_map_has(const struct cow_map *m, uint64_t sector);

/* The first sectors of @n at @sector that lie in the same file: how many, at least one. */
uint64_t cow_map_run(const struct cow_map *m, uint64_t sector, uint64_t n, bool *has);

/* The data of these sectors is in the COW file. */
void cow_map_mark(struct cow_map *m, uint64_t sector, uint64_t n);

/* How many sectors are in the COW file. */
uint64_t cow_map_count(const struct cow_map *m);

/* Return: 0, with c->n 0 if the file has all blocks already, or -ENOMEM. */
int cow_commit_begin(struct cow_map *m, struct cow_commit *c);

/* Bytes of the file that block @i of a commit goes to. */
void cow_commit_place(const struct cow_map *m, const struct cow_commit *c, size_t i,
		      uint64_t *offset, size_t *len);

/* @ret < 0: they are not in the file, and are to be written again. */
void cow_commit_end(struct cow_map *m, struct cow_commit *c, int ret);

#endif
