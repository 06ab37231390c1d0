/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_partition.c - a disk whose partition table a guest has written
 *
 * Input: the disk's first sectors; what is behind them is zero, up to twice as many.
 */
#include "drivers/partition.h"
#include "fuzz.h"
#include "kernel/util.h"

#define SECTOR 512u

struct bytes {
	const uint8_t *data;
	size_t size;
	uint64_t sectors;
	unsigned reads;
};

static int read_bytes(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct bytes *b = ctx;

	MUST(offset % SECTOR == 0 && len % SECTOR == 0 && ++b->reads <= 2 * PARTITIONS_MAX + 8);
	MUST(len <= b->sectors * SECTOR && offset <= b->sectors * SECTOR - len);
	memset(buf, 0, len);
	if (offset < b->size)
		memcpy(buf, b->data + offset, MIN(len, b->size - offset));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = { .data = data, .size = size, .sectors = 2 * (size / SECTOR + 1) };
	struct partition_source src = { read_bytes, &b, b.sectors };
	struct disk_error err = { "" };
	struct partition_table t;

	if (partition_read(&src, &t, &err) < 0)
		MUST(t.n == 0 && err.text[0]);
	MUST(t.n <= PARTITIONS_MAX);
	for (unsigned i = 0; i < t.n; i++) {
		const struct partition *p = &t.part[i];

		MUST(p->number >= 1 && p->number <= PARTITIONS_MAX && p->sectors > 0);
		MUST(p->start < b.sectors && p->sectors <= b.sectors - p->start);
		for (unsigned j = 0; j < i; j++)
			MUST(t.part[j].number != p->number);
	}
	return 0;
}
