/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_jbd2.h - the journal of ext3 and ext4 as it is on the disk
 *
 * The format of Linux's jbd2 (include/linux/jbd2.h there), all of it big-endian. The
 * journal's first block is its super block; then come transactions: descriptor blocks,
 * each followed by the blocks that its tags name, revoke blocks, a commit block.
 * Numbers of transactions go up by one; the first that does not fit, or has no valid
 * commit block, ends what is replayed.
 */
#ifndef WEIR_DRIVERS_BLOCKFS_JBD2_H
#define WEIR_DRIVERS_BLOCKFS_JBD2_H

#include "drivers/blockfs_impl.h"
#include "kernel/bigendian.h"

#define JOURNAL_MAGIC 0xc03b3998u
enum { J_DESCRIPTOR = 1, J_COMMIT, J_SUPER_V1, J_SUPER_V2, J_REVOKE };

/* features, incompatible ones */
#define J_REVOKES 0x1u
#define J_64BIT 0x2u
#define J_ASYNC 0x4u
#define J_CSUM_V2 0x8u
#define J_CSUM_V3 0x10u
#define J_KNOWN (J_REVOKES | J_64BIT | J_ASYNC | J_CSUM_V2 | J_CSUM_V3)

/* of a tag */
#define TAG_ESCAPED 1u
#define TAG_SAME_UUID 2u
#define TAG_LAST 8u

struct j_header {
	uint32_t magic, type, seq;
};

struct j_super {
	struct j_header h;
	uint32_t blocksize, n, first;
	uint32_t seq, start;		/* of what is to be replayed; start 0: nothing */
	uint32_t error;
	uint32_t compat, incompat, ro_compat;
	uint8_t uuid[16];
	uint32_t users, dynsuper, max_transaction, max_data;
	uint8_t csum_type, pad1[3];
	uint32_t fc_blocks, head, pad2[40];
	uint32_t csum;
	uint8_t user[16 * 48];
};
_Static_assert(sizeof(struct j_super) == 1024, "the journal's super block");

struct j_commit {
	struct j_header h;
	uint8_t csum_type, csum_size, pad[2];
	uint32_t csum[8];
	uint64_t sec;
	uint32_t nsec;
} __attribute__((packed));

static inline bool has_csum(const struct journal *j)
{
	return j->incompat & (J_CSUM_V2 | J_CSUM_V3);
}

static inline unsigned tag_size(const struct journal *j)
{
	if (j->incompat & J_CSUM_V3)
		return 16;
	return 8 + (j->incompat & J_CSUM_V2 ? 2 : 0) + (j->incompat & J_64BIT ? 4 : 0);
}

static inline uint32_t crc32c(uint32_t seed, const void *p, size_t len)
{
	return ext2fs_crc32c_le(seed, p, len);
}

/* Of a transaction's block. */
static inline uint32_t data_csum(const struct journal *j, uint32_t transaction, const void *data)
{
	uint32_t seq = htobe32(transaction);

	return crc32c(crc32c(j->seed, &seq, sizeof(seq)), data, j->size);
}

/* A block of the journal, by its place in it. Return: 0 or a negative errno. */
static inline int journal_read_at(struct blockfs *b, uint32_t at, void *buf)
{
	const struct journal *j = &b->journal;

	return at < j->n ? block_io_read(b->cache.fd, buf, j->size, j->place[at] * j->size) : -EIO;
}

static inline int journal_write_at(struct blockfs *b, uint32_t at, const void *buf)
{
	const struct journal *j = &b->journal;

	return at < j->n ? block_io_write(b->cache.fd, buf, j->size, j->place[at] * j->size) : -EIO;
}

#endif
