/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cow.c - header and bitmap of a copy-on-write file
 *
 * Nothing here reads or writes: a bitmap in memory, and which of its blocks
 * must go to the file, in which order.
 */
#include "drivers/cow.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/bigendian.h"
#include "kernel/util.h"

#define COW_MAGIC 0x4f4f4f4du
#define COW_VERSION 3u
#define COW_FORMAT_BITMAP 0u
#define MAX_ALIGNMENT (1u << 30)

enum { AT_MAGIC = 0, AT_VERSION = 4, AT_MTIME = 8, AT_SIZE = 12, AT_SECTOR = 20,
       AT_ALIGNMENT = 24, AT_FORMAT = 28, AT_BACKING = 32 };
_Static_assert(AT_BACKING + COW_PATH_SIZE == COW_HEADER_SIZE, "the path ends the header");

int disk_fail(struct disk_error *err, int ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return ret;
}

/* ---- the header -------------------------------------------------------- */

static int check_kind(const uint8_t *raw, struct disk_error *err)
{
	uint32_t magic = get_be32(raw + AT_MAGIC), version = get_be32(raw + AT_VERSION);

	if (magic == __builtin_bswap32(COW_MAGIC))
		return disk_fail(err, -EINVAL,
				 "a COW file with little-endian numbers; make it again with weir disk create --backing");
	if (magic != COW_MAGIC)
		return disk_fail(err, -EINVAL, "not a COW file; name it as image instead");
	if (version != COW_VERSION)
		return disk_fail(err, -EINVAL,
				 "a COW file of version %u; only version 3 can be used: merge it with the uml_moo it was made for",
				 version);
	return 0;
}

static int check_numbers(const uint8_t *raw, const struct cow_header *h, struct disk_error *err)
{
	uint32_t sector = get_be32(raw + AT_SECTOR), format = get_be32(raw + AT_FORMAT);

	if (sector != COW_SECTOR)
		return disk_fail(err, -EINVAL, "its header has a sector size of %u, not 512", sector);
	if (format != COW_FORMAT_BITMAP)
		return disk_fail(err, -EINVAL, "its header has format %u, not 0, a bitmap", format);
	if (h->alignment < COW_SECTOR || h->alignment > MAX_ALIGNMENT ||
	    (h->alignment & (h->alignment - 1)))
		return disk_fail(err, -EINVAL, "its header has an alignment of %u, not one of 512, 1024 ... 4096 ...",
				 h->alignment);
	if (h->size == 0 || h->size > COW_MAX_SIZE)
		return disk_fail(err, -EINVAL, "its header has a disk of %llu bytes; from 1 to 64T can be used",
				 (unsigned long long)h->size);
	return 0;
}

int cow_header_parse(const uint8_t raw[COW_HEADER_SIZE], struct cow_header *h,
		     struct disk_error *err)
{
	int ret = check_kind(raw, err);

	if (ret < 0)
		return ret;
	h->mtime = get_be32(raw + AT_MTIME);
	h->size = get_be64(raw + AT_SIZE);
	h->alignment = get_be32(raw + AT_ALIGNMENT);
	memcpy(h->backing, raw + AT_BACKING, COW_PATH_SIZE);
	if (!memchr(h->backing, '\0', COW_PATH_SIZE))
		return disk_fail(err, -EINVAL, "the path of the backing file in its header has no end");
	if (h->backing[0] != '/')
		return disk_fail(err, -EINVAL, "its header names '%.200s' as the backing file, which is no absolute path",
				 h->backing);
	return check_numbers(raw, h, err);
}

void cow_header_format(const struct cow_header *h, uint8_t raw[COW_HEADER_SIZE])
{
	memset(raw, 0, COW_HEADER_SIZE);
	put_be32(raw + AT_MAGIC, COW_MAGIC);
	put_be32(raw + AT_VERSION, COW_VERSION);
	put_be32(raw + AT_MTIME, h->mtime);
	put_be64(raw + AT_SIZE, h->size);
	put_be32(raw + AT_SECTOR, COW_SECTOR);
	put_be32(raw + AT_ALIGNMENT, h->alignment);
	put_be32(raw + AT_FORMAT, COW_FORMAT_BITMAP);
	memcpy(raw + AT_BACKING, h->backing, strnlen(h->backing, COW_PATH_SIZE - 1));
}

static uint64_t round_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) / to * to;
}

void cow_layout(const struct cow_header *h, struct cow_layout *l)
{
	l->sectors = (h->size + COW_SECTOR - 1) / COW_SECTOR;
	l->bitmap_offset = round_up(COW_HEADER_SIZE, h->alignment);
	l->bitmap_len = (l->sectors + 7) / 8;
	l->data_offset = round_up(l->bitmap_offset + l->bitmap_len, h->alignment);
	l->end = l->data_offset + h->size;
}

/* ---- the bitmap -------------------------------------------------------- */

int cow_map_init(struct cow_map *m, const struct cow_header *h)
{
	*m = (struct cow_map){ 0 };
	cow_layout(h, &m->layout);
	m->nblocks = (m->layout.bitmap_len + COW_BLOCK - 1) / COW_BLOCK;
	m->dirty = calloc(m->nblocks, 1);
	m->bits = aligned_alloc(COW_BLOCK, m->nblocks * COW_BLOCK);
	if (!m->dirty || !m->bits) {
		cow_map_exit(m);
		return -ENOMEM;
	}
	memset(m->bits, 0, m->nblocks * COW_BLOCK);
	return 0;
}

void cow_map_exit(struct cow_map *m)
{
	free(m->bits);
	free(m->dirty);
	*m = (struct cow_map){ 0 };
}

bool cow_map_has(const struct cow_map *m, uint64_t sector)
{
	return m->bits[sector / 8] & (1u << (sector % 8));
}

/* A byte of the bitmap whose sectors all lie in one file. */
static bool whole_byte(const struct cow_map *m, uint64_t sector, bool has)
{
	return sector % 8 == 0 && m->bits[sector / 8] == (has ? 0xff : 0);
}

uint64_t cow_map_run(const struct cow_map *m, uint64_t sector, uint64_t n, bool *has)
{
	uint64_t at = sector, end = sector + n;

	*has = cow_map_has(m, sector);
	while (at < end)
		if (end - at >= 8 && whole_byte(m, at, *has))
			at += 8;
		else if (cow_map_has(m, at) == *has)
			at++;
		else
			break;
	return at - sector;
}

void cow_map_mark(struct cow_map *m, uint64_t sector, uint64_t n)
{
	for (uint64_t s = sector; s < sector + n; s++) {
		size_t block = s / 8 / COW_BLOCK;

		if (cow_map_has(m, s))
			continue;
		m->bits[s / 8] |= 1u << (s % 8);
		m->ndirty += !m->dirty[block];
		m->dirty[block] = 1;
	}
}

uint64_t cow_map_count(const struct cow_map *m)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < m->layout.bitmap_len; i++)
		n += __builtin_popcount(m->bits[i]);
	return n;
}

/* ---- bits on their way to the file ------------------------------------- */

int cow_commit_begin(struct cow_map *m, struct cow_commit *c)
{
	*c = (struct cow_commit){ 0 };
	if (m->ndirty == 0)
		return 0;
	c->copy = aligned_alloc(COW_BLOCK, m->ndirty * COW_BLOCK);
	c->index = calloc(m->ndirty, sizeof(*c->index));
	if (!c->copy || !c->index) {
		free(c->copy);
		free(c->index);
		*c = (struct cow_commit){ 0 };
		return -ENOMEM;
	}
	for (size_t i = 0; i < m->nblocks; i++) {
		if (!m->dirty[i])
			continue;
		memcpy(c->copy + c->n * COW_BLOCK, m->bits + i * COW_BLOCK, COW_BLOCK);
		c->index[c->n++] = i;
		m->dirty[i] = 0;
	}
	m->ndirty = 0;
	return 0;
}

void cow_commit_place(const struct cow_map *m, const struct cow_commit *c, size_t i,
		      uint64_t *offset, size_t *len)
{
	uint64_t at = c->index[i] * (uint64_t)COW_BLOCK;

	/* Behind the bitmap there is room up to a whole sector: the data is aligned. */
	*offset = m->layout.bitmap_offset + at;
	*len = MIN(COW_BLOCK, round_up(m->layout.bitmap_len - at, COW_SECTOR));
}

void cow_commit_end(struct cow_map *m, struct cow_commit *c, int ret)
{
	for (size_t i = 0; ret < 0 && i < c->n; i++) {
		m->ndirty += !m->dirty[c->index[i]];
		m->dirty[c->index[i]] = 1;
	}
	free(c->copy);
	free(c->index);
	*c = (struct cow_commit){ 0 };
}
