/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_partition.c - partition tables: as Linux reads them, and as a guest may break them
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/partition.h"
#include "kernel/util.h"

#define SECTOR 512u
#define SECTORS 4096u

struct disk_bytes {
	uint8_t *bytes;
	unsigned reads;
};

static int read_bytes(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct disk_bytes *d = ctx;

	d->reads++;
	assert_true(offset % SECTOR == 0 && len % SECTOR == 0);
	assert_true(len <= SECTORS * SECTOR && offset <= SECTORS * SECTOR - len);
	memcpy(buf, d->bytes + offset, len);
	return 0;
}

static int setup(void **state)
{
	struct disk_bytes *d = calloc(1, sizeof(*d));

	d->bytes = calloc(SECTORS, SECTOR);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	struct disk_bytes *d = *state;

	free(d->bytes);
	free(d);
	return 0;
}

static int look(struct disk_bytes *d, struct partition_table *t)
{
	struct partition_source src = { read_bytes, d, SECTORS };
	struct disk_error err = { "" };
	int ret = partition_read(&src, t, &err);

	assert_true(ret == 0 || err.text[0]);
	assert_true(ret == 0 || t->n == 0);
	return ret;
}

static void put(uint8_t *p, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = value >> 8 * i;
}

static void dos(struct disk_bytes *d, uint64_t sector, unsigned i, uint8_t type, uint32_t start, uint32_t sectors)
{
	uint8_t *s = d->bytes + sector * SECTOR, *e = s + 446 + 16 * i;

	e[4] = type;
	put(e + 8, start, 4);
	put(e + 12, sectors, 4);
	put(s + 510, 0xaa55, 2);
}

static void expect(const struct partition_table *t, unsigned i, unsigned number, uint64_t start, uint64_t sectors)
{
	assert_true(i < t->n);
	assert_int_equal(t->part[i].number, number);
	assert_int_equal(t->part[i].start, start);
	assert_int_equal(t->part[i].sectors, sectors);
}

/* ---- DOS --------------------------------------------------------------- */

static void no_table(void **state)
{
	struct disk_bytes *d = *state;
	struct partition_table t;

	assert_int_equal(look(d, &t), 0);
	assert_int_equal(t.n, 0);
	assert_int_equal(t.kind, PARTITION_NONE);
	/* The code of a boot sector, where the entries would be. */
	dos(d, 0, 0, 0x83, 10, 10);
	d->bytes[446] = 0x12;
	assert_int_equal(look(d, &t), 0);
	assert_int_equal(t.n, 0);
}

static void dos_primary_and_logical(void **state)
{
	struct disk_bytes *d = *state;
	struct partition_table t;

	dos(d, 0, 0, 0x83, 100, 200);
	dos(d, 0, 1, 0x0f, 1000, 2000);
	dos(d, 0, 3, 0x83, 4000, 1000);
	dos(d, 1000, 0, 0x83, 10, 90);
	dos(d, 1000, 1, 0x05, 500, 100);
	dos(d, 1500, 0, 0x83, 1, 50);
	assert_int_equal(look(d, &t), 0);
	assert_int_equal(t.kind, PARTITION_DOS);
	assert_int_equal(t.n, 5);
	expect(&t, 0, 1, 100, 200);
	expect(&t, 1, 2, 1000, 2);
	expect(&t, 2, 4, 4000, 96);
	expect(&t, 3, 5, 1010, 90);
	expect(&t, 4, 6, 1501, 50);
}

static void dos_behind_the_end(void **state)
{
	struct disk_bytes *d = *state;
	struct partition_table t;

	dos(d, 0, 0, 0x83, SECTORS, 1);
	dos(d, 0, 1, 0x83, UINT32_MAX, UINT32_MAX);
	dos(d, 0, 2, 0x83, SECTORS - 1, UINT32_MAX);
	assert_int_equal(look(d, &t), 0);
	assert_int_equal(t.n, 1);
	expect(&t, 0, 3, SECTORS - 1, 1);
}

static void dos_chain_without_end(void **state)
{
	struct disk_bytes *d = *state;
	struct partition_table t;

	dos(d, 0, 0, 0x05, 1000, 2000);
	dos(d, 1000, 0, 0x83, 10, 90);
	dos(d, 1000, 1, 0x05, 0, 100);
	assert_int_equal(look(d, &t), -EINVAL);
	assert_true(d->reads <= 2 * PARTITIONS_MAX);
	dos(d, 1000, 1, 0x05, SECTORS, 100);
	assert_int_equal(look(d, &t), -EINVAL);
	dos(d, 1000, 1, 0x05, 300, 100);
	assert_int_equal(look(d, &t), -EINVAL);
}

/* ---- GUID -------------------------------------------------------------- */

/* CRC-32 as its definition has it: a division, bit by bit. */
static uint32_t crc(const uint8_t *p, size_t len)
{
	uint32_t r = ~0u;

	for (size_t i = 0; i < 8 * len; i++) {
		unsigned bit = (p[i / 8] >> i % 8 & 1) ^ (r & 1);

		r = r >> 1 ^ (bit ? 0xedb88320u : 0);
	}
	return ~r;
}

static void gpt_seal(struct disk_bytes *d, uint64_t place, uint64_t entries, unsigned count, unsigned size)
{
	uint8_t *h = d->bytes + place * SECTOR;

	memcpy(h, "EFI PART", 8);
	put(h + 8, 0x10000, 4);
	put(h + 12, 92, 4);
	put(h + 16, 0, 4);
	put(h + 24, place, 8);
	put(h + 72, entries, 8);
	put(h + 80, count, 4);
	put(h + 84, size, 4);
	put(h + 88, (uint64_t)count * size <= 1 << 20 ? crc(d->bytes + entries * SECTOR, (size_t)count * size) : 0, 4);
	put(h + 16, crc(h, 92), 4);
}

static void gpt_entry(struct disk_bytes *d, uint64_t entries, unsigned i, uint64_t first, uint64_t last)
{
	uint8_t *e = d->bytes + entries * SECTOR + 128 * i;

	memset(e, 0xab, 16);
	put(e + 32, first, 8);
	put(e + 40, last, 8);
}

static void gpt_make(struct disk_bytes *d)
{
	dos(d, 0, 0, 0xee, 1, SECTORS - 1);
	for (unsigned copy = 0; copy < 2; copy++) {
		uint64_t entries = copy ? SECTORS - 33 : 2;

		gpt_entry(d, entries, 0, 34, 1000);
		gpt_entry(d, entries, 2, 1001, 1001);
		gpt_entry(d, entries, 3, 2000, 1000);		/* ends before it begins */
		gpt_entry(d, entries, 4, 2000, UINT64_MAX);	/* behind the end */
		gpt_entry(d, entries, 127, 2000, 2099);
		gpt_seal(d, copy ? SECTORS - 1 : 1, entries, 128, 128);
	}
}

static void expect_gpt(const struct partition_table *t)
{
	assert_int_equal(t->kind, PARTITION_GPT);
	assert_int_equal(t->n, 3);
	expect(t, 0, 1, 34, 967);
	expect(t, 1, 3, 1001, 1);
	expect(t, 2, 128, 2000, 100);
}

static void gpt(void **state)
{
	struct disk_bytes *d = *state;
	struct partition_table t;

	gpt_make(d);
	assert_int_equal(look(d, &t), 0);
	expect_gpt(&t);
}

static void gpt_damaged_has_a_copy(void **state)
{
	struct disk_bytes *d = *state;
	struct partition_table t;

	gpt_make(d);
	d->bytes[2 * SECTOR + 32] ^= 1;
	assert_int_equal(look(d, &t), 0);
	expect_gpt(&t);
	d->bytes[SECTOR] = 'X';
	assert_int_equal(look(d, &t), 0);
	expect_gpt(&t);
	d->bytes[(SECTORS - 1) * SECTOR + 40] ^= 1;
	assert_int_equal(look(d, &t), -EINVAL);
}

static void gpt_hostile(void **state)
{
	static const struct {
		uint64_t entries;
		unsigned count, size;
	} bad[] = {
		{ 2, 0, 128 }, { 2, 128, 64 }, { 2, 128, 129 }, { 2, UINT32_MAX, 128 }, { 2, 128, 1u << 31 },
		{ SECTORS - 1, 128, 128 }, { UINT64_MAX, 128, 128 }, { 2, 4096, 4096 },
	};
	struct disk_bytes *d = *state;
	struct partition_table t;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		gpt_make(d);
		d->bytes[(SECTORS - 1) * SECTOR] = 'X';
		/* Sealed with what is there, and then moved. */
		gpt_seal(d, 1, 2, 128, 128);
		put(d->bytes + SECTOR + 72, bad[i].entries, 8);
		put(d->bytes + SECTOR + 80, bad[i].count, 4);
		put(d->bytes + SECTOR + 84, bad[i].size, 4);
		put(d->bytes + SECTOR + 16, 0, 4);
		put(d->bytes + SECTOR + 16, crc(d->bytes + SECTOR, 92), 4);
		assert_int_equal(look(d, &t), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_table, setup, teardown),
		cmocka_unit_test_setup_teardown(dos_primary_and_logical, setup, teardown),
		cmocka_unit_test_setup_teardown(dos_behind_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(dos_chain_without_end, setup, teardown),
		cmocka_unit_test_setup_teardown(gpt, setup, teardown),
		cmocka_unit_test_setup_teardown(gpt_damaged_has_a_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(gpt_hostile, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
