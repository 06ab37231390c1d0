/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition.c - the partitions of a disk, read from its table
 *
 * DOS: four entries at byte 446 of the first sector, marked by 55 AA at its end.
 * An extended one holds a chain: each link is a sector of the same form, whose
 * first entry is a logical partition (start counted from the link) and whose second
 * leads to the next link (counted from the extended partition). Logical ones are
 * numbered from 5. As with Linux an extended partition is a device of two sectors,
 * so that nobody takes what is in it for a file system of its own.
 *
 * GUID: UEFI Specification, chapter 5. A header in sector 1 with a copy in the
 * last one, checked by CRC-32, and an array of entries, with a CRC-32 as well.
 */
#include "drivers/partition.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"

#define SECTOR COW_SECTOR
#define DOS_ENTRIES 446
#define DOS_ENTRY_SIZE 16
#define DOS_PRIMARY 4u
#define GPT_MIN_HEADER 92u
#define GPT_MIN_ENTRY 128u
#define GPT_MAX_ENTRIES (UINT64_C(1) << 20)	/* bytes of the array */

static uint16_t le16(const uint8_t *p)
{
	return p[0] | p[1] << 8;
}

static uint32_t le32(const uint8_t *p)
{
	return le16(p) | (uint32_t)le16(p + 2) << 16;
}

static uint64_t le64(const uint8_t *p)
{
	return le32(p) | (uint64_t)le32(p + 4) << 32;
}

static int read_sector(const struct partition_source *src, uint64_t sector, uint8_t buf[SECTOR],
		       struct disk_error *err)
{
	int ret = src->read(src->ctx, sector * SECTOR, buf, SECTOR);

	return ret < 0 ? disk_fail(err, ret, "sector %llu cannot be read: %s",
				   (unsigned long long)sector, strerror(-ret)) : 0;
}

static void add(const struct partition_source *src, struct partition_table *t, unsigned number,
		uint64_t start, uint64_t sectors)
{
	if (t->n == PARTITIONS_MAX || number > PARTITIONS_MAX || sectors == 0 || start >= src->sectors)
		return;
	t->part[t->n++] = (struct partition){ number, start, MIN(sectors, src->sectors - start) };
}

/* ---- DOS --------------------------------------------------------------- */

struct dos_entry {
	uint8_t boot, type;
	uint32_t start, sectors;
};

static void dos_entry(const uint8_t sector[SECTOR], unsigned i, struct dos_entry *ret)
{
	const uint8_t *p = sector + DOS_ENTRIES + i * DOS_ENTRY_SIZE;

	*ret = (struct dos_entry){ p[0], p[4], le32(p + 8), le32(p + 12) };
}

static bool is_extended(const struct dos_entry *e)
{
	return e->sectors > 0 && (e->type == 0x05 || e->type == 0x0f || e->type == 0x85);
}

/* A boot sector of a file system ends with the same mark, but has code there. */
static bool is_dos(const uint8_t sector[SECTOR])
{
	struct dos_entry e;

	if (sector[510] != 0x55 || sector[511] != 0xaa)
		return false;
	for (unsigned i = 0; i < DOS_PRIMARY; i++) {
		dos_entry(sector, i, &e);
		if (e.boot & 0x7f)
			return false;
	}
	return true;
}

static bool is_protective(const uint8_t sector[SECTOR])
{
	struct dos_entry e;

	for (unsigned i = 0; i < DOS_PRIMARY; i++) {
		dos_entry(sector, i, &e);
		if (e.type == 0xee)
			return true;
	}
	return false;
}

static int read_logical(const struct partition_source *src, uint64_t extended, struct partition_table *t,
			struct disk_error *err)
{
	uint64_t link = extended;
	uint8_t sector[SECTOR];

	/* Each link has a number: a chain that leads back to itself ends here too. */
	for (unsigned number = DOS_PRIMARY + 1;; number++) {
		struct dos_entry e[2];
		int ret;

		if (number > PARTITIONS_MAX)
			return disk_fail(err, -EINVAL, "more than %u logical partitions",
					 PARTITIONS_MAX - DOS_PRIMARY);
		if (link >= src->sectors)
			return disk_fail(err, -EINVAL, "the table of partition %u lies behind the end of the disk",
					 number);
		ret = read_sector(src, link, sector, err);
		if (ret < 0)
			return ret;
		if (!is_dos(sector))
			return number == DOS_PRIMARY + 1 ? 0 :
			       disk_fail(err, -EINVAL, "the table of partition %u is none", number);
		for (unsigned i = 0; i < 2; i++)
			dos_entry(sector, i, &e[i]);
		if (!is_extended(&e[0]))
			add(src, t, number, link + e[0].start, e[0].sectors);
		if (!is_extended(&e[1]))
			return 0;
		link = extended + e[1].start;
	}
}

static int read_dos(const struct partition_source *src, const uint8_t sector[SECTOR],
		    struct partition_table *t, struct disk_error *err)
{
	struct dos_entry e[DOS_PRIMARY];

	for (unsigned i = 0; i < DOS_PRIMARY; i++) {
		dos_entry(sector, i, &e[i]);
		add(src, t, i + 1, e[i].start, is_extended(&e[i]) ? MIN(e[i].sectors, 2u) : e[i].sectors);
	}
	t->kind = t->n > 0 ? PARTITION_DOS : PARTITION_NONE;
	for (unsigned i = 0; i < DOS_PRIMARY; i++)
		if (is_extended(&e[i]))
			return read_logical(src, e[i].start, t, err);
	return 0;
}

/* ---- GUID -------------------------------------------------------------- */

struct gpt_header {
	uint32_t size, crc;
	uint64_t self, entries;		/* sectors */
	uint32_t count, entry_size, entries_crc;
};

/* CRC-32 as in IEEE 802.3: polynomial 04C11DB7, bits reversed. */
static uint32_t crc32_of(const uint8_t *p, size_t len)
{
	uint32_t crc = ~0u;

	while (len-- > 0) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/* Return: 0, or -EINVAL with @err. */
static int check_header(const uint8_t sector[SECTOR], uint64_t place, uint64_t sectors, struct gpt_header *h,
			struct disk_error *err)
{
	uint8_t copy[SECTOR];

	*h = (struct gpt_header){
		le32(sector + 12), le32(sector + 16), le64(sector + 24), le64(sector + 72),
		le32(sector + 80), le32(sector + 84), le32(sector + 88),
	};
	if (memcmp(sector, "EFI PART", 8))
		return disk_fail(err, -EINVAL, "its GUID partition table is not there");
	if (h->size < GPT_MIN_HEADER || h->size > SECTOR)
		return disk_fail(err, -EINVAL, "the header of its GUID partition table has %u bytes", h->size);
	memcpy(copy, sector, SECTOR);
	memset(copy + 16, 0, 4);
	if (crc32_of(copy, h->size) != h->crc || h->self != place)
		return disk_fail(err, -EINVAL, "the header of its GUID partition table is damaged");
	if (h->entry_size < GPT_MIN_ENTRY || h->entry_size & (h->entry_size - 1) || h->count == 0 ||
	    (uint64_t)h->count * h->entry_size > GPT_MAX_ENTRIES)
		return disk_fail(err, -EINVAL, "its GUID partition table has %u entries of %u bytes",
				 h->count, h->entry_size);
	if (h->entries >= sectors ||
	    ((uint64_t)h->count * h->entry_size + SECTOR - 1) / SECTOR > sectors - h->entries)
		return disk_fail(err, -EINVAL, "its GUID partition table lies behind the end of the disk");
	return 0;
}

static bool is_used(const uint8_t *entry)
{
	static const uint8_t unused[16];

	return memcmp(entry, unused, sizeof(unused)) != 0;
}

static int read_entries(const struct partition_source *src, const struct gpt_header *h,
			struct partition_table *t, struct disk_error *err)
{
	size_t len = (size_t)h->count * h->entry_size, room = (len + SECTOR - 1) / SECTOR * SECTOR;
	cleanup_free uint8_t *array = malloc(room);
	int ret = array ? src->read(src->ctx, h->entries * SECTOR, array, room) : -ENOMEM;

	if (ret < 0)
		return disk_fail(err, ret, "its GUID partition table cannot be read: %s", strerror(-ret));
	if (crc32_of(array, len) != h->entries_crc)
		return disk_fail(err, -EINVAL, "the entries of its GUID partition table are damaged");
	for (unsigned i = 0; i < MIN(h->count, PARTITIONS_MAX); i++) {
		const uint8_t *e = array + (size_t)i * h->entry_size;
		uint64_t first = le64(e + 32), last = le64(e + 40);

		if (is_used(e) && first <= last && last < src->sectors)
			add(src, t, i + 1, first, last - first + 1);
	}
	t->kind = PARTITION_GPT;
	return 0;
}

static int read_gpt_at(const struct partition_source *src, uint64_t place, struct partition_table *t,
		       struct disk_error *err)
{
	uint8_t sector[SECTOR];
	struct gpt_header h = { 0 };
	int ret = read_sector(src, place, sector, err);

	if (ret == 0)
		ret = check_header(sector, place, src->sectors, &h, err);
	return ret < 0 ? ret : read_entries(src, &h, t, err);
}

/* The copy counts where the first is damaged. */
static int read_gpt(const struct partition_source *src, struct partition_table *t, struct disk_error *err)
{
	struct disk_error of_copy;
	int ret = read_gpt_at(src, 1, t, err);

	if (ret == -EINVAL && read_gpt_at(src, src->sectors - 1, t, &of_copy) == 0)
		ret = 0;
	return ret;
}

int partition_read(const struct partition_source *src, struct partition_table *t, struct disk_error *err)
{
	uint8_t sector[SECTOR];
	int ret;

	*t = (struct partition_table){ .kind = PARTITION_NONE };
	if (src->sectors < 2)
		return 0;
	ret = read_sector(src, 0, sector, err);
	if (ret == 0 && is_dos(sector))
		ret = is_protective(sector) ? read_gpt(src, t, err) : read_dos(src, sector, t, err);
	if (ret < 0)
		t->n = 0;
	return ret;
}
