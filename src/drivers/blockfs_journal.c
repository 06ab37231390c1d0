/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_journal.c - the journal: found, and written by a commit
 *
 * A transaction of ours lies at the start of one half of the journal, the next one
 * in the other. The super block names it together with its commit block: whichever
 * of the two reaches the disk alone, the state is the one before or the one after.
 */
#include "drivers/blockfs_jbd2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"

/* ---- finding it ---------------------------------------------------------- */

static int find_places(struct blockfs *b, struct inode *i)
{
	struct journal *j = &b->journal;

	for (uint32_t at = 0; at < j->n;) {
		struct extent e;
		int ret = file_map(b, i, at, j->n - at, &e);

		if (ret < 0)
			return ret;
		if (!e.place || e.unwritten)
			return -EUCLEAN;
		for (uint64_t k = 0; k < e.n; k++)
			j->place[at++] = e.place + k;
	}
	return 0;
}

static int read_super(struct blockfs *b)
{
	struct journal *j = &b->journal;

	j->super = aligned_alloc(4096, MAX(j->size, 4096u));
	return j->super ? journal_read_at(b, 0, j->super) : -ENOMEM;
}

static int check_super(struct journal *j, struct disk_error *why)
{
	struct j_super *s = j->super;
	uint32_t type = be32toh(s->h.type), csum = s->csum;

	if (be32toh(s->h.magic) != JOURNAL_MAGIC || (type != J_SUPER_V1 && type != J_SUPER_V2) ||
	    be32toh(s->blocksize) != j->size || be32toh(s->n) > j->n || be32toh(s->n) < 8 ||
	    be32toh(s->first) == 0 || be32toh(s->first) >= be32toh(s->n) ||
	    be32toh(s->start) >= be32toh(s->n))
		return disk_fail(why, -EUCLEAN, "its journal is damaged: run e2fsck");
	j->n = be32toh(s->n);
	j->first = be32toh(s->first);
	j->seq = be32toh(s->seq);
	j->incompat = type == J_SUPER_V2 ? be32toh(s->incompat) : 0;
	if (j->incompat & ~J_KNOWN || (type == J_SUPER_V2 && s->fc_blocks))
		return disk_fail(why, -EINVAL, "its journal has features that weir does not know: run e2fsck, then tune2fs -O ^fast_commit");
	/* Its commit blocks may have come before what they speak of. */
	if (s->start && j->incompat & J_ASYNC && !has_csum(j))
		return disk_fail(why, -EUCLEAN, "its journal was written asynchronously, without checksums: run e2fsck");
	if (!has_csum(j))
		return 0;
	j->seed = crc32c(~0u, s->uuid, sizeof(s->uuid));
	s->csum = 0;
	if (be32toh(csum) != crc32c(~0u, s, sizeof(*s)))
		return disk_fail(why, -EUCLEAN, "its journal's checksum is wrong: run e2fsck");
	s->csum = csum;
	return 0;
}

int journal_open(struct blockfs *b, struct disk_error *why)
{
	const struct ext2_super_block *es = b->fs->super;
	struct journal *j = &b->journal;
	struct inode i;
	int ret;

	if (!ext2fs_has_feature_journal(b->fs->super))
		return 0;
	if (es->s_journal_dev || !es->s_journal_inum)
		return disk_fail(why, -EINVAL, "its journal is on another device");
	ret = inode_read(b, es->s_journal_inum, &i);
	if (ret < 0)
		return disk_fail(why, -EUCLEAN, "its journal cannot be found: run e2fsck");
	j->size = b->fs->blocksize;
	j->n = MIN(inode_size(&i) / j->size, (uint64_t)1 << 24);
	j->place = calloc(j->n + 1, sizeof(*j->place));
	ret = j->place ? find_places(b, &i) : -ENOMEM;
	if (ret == 0)
		ret = read_super(b);
	if (ret < 0)
		return disk_fail(why, ret, "its journal cannot be read: run e2fsck");
	ret = check_super(j, why);
	j->present = ret == 0;
	return ret;
}

void journal_close(struct journal *j)
{
	free(j->place);
	free(j->super);
	*j = (struct journal){ .present = false };
}

/* ---- writing ------------------------------------------------------------- */

static int write_super(struct blockfs *b, uint32_t start)
{
	struct journal *j = &b->journal;
	struct j_super *s = j->super;

	s->seq = htobe32(j->seq);
	s->start = htobe32(start);
	if (be32toh(s->h.type) == J_SUPER_V2) {
		/* Only what we write is in it from now on. */
		j->incompat = 0;
		if (ext2fs_has_feature_64bit(b->fs->super))
			j->incompat |= J_64BIT;
		if (ext2fs_has_feature_metadata_csum(b->fs->super))
			j->incompat |= J_CSUM_V3;
		s->incompat = htobe32(j->incompat);
		s->compat = 0;
		s->csum_type = has_csum(j) ? 4 : 0;	/* crc32c */
		s->csum = 0;
		j->seed = crc32c(~0u, s->uuid, sizeof(s->uuid));
		if (has_csum(j))
			s->csum = htobe32(crc32c(~0u, s, sizeof(*s)));
	}
	return journal_write_at(b, 0, s);
}

int journal_mark(struct blockfs *b, bool empty)
{
	int ret = write_super(b, empty ? 0 : b->journal.first);

	return ret < 0 ? ret : block_cache_flush(&b->cache);
}

static uint32_t tags_per_block(const struct journal *j)
{
	/* The first tag is followed by an id. */
	return (j->size - sizeof(struct j_header) - 16 - (has_csum(j) ? 4 : 0)) / tag_size(j);
}

static void put_header(char *buf, uint32_t type, uint32_t seq)
{
	put_be32(buf, JOURNAL_MAGIC);
	put_be32(buf + 4, type);
	put_be32(buf + 8, seq);
}

static void put_tag(const struct journal *j, char *p, uint64_t nr, uint32_t flags, const char *data)
{
	put_be32(p, nr);
	if (j->incompat & J_CSUM_V3) {
		put_be32(p + 4, flags);
		put_be32(p + 8, nr >> 32);
		put_be32(p + 12, data_csum(j, j->seq, data));
		return;
	}
	put_be16(p + 4, 0);
	put_be16(p + 6, flags);
	if (j->incompat & J_64BIT)
		put_be32(p + 8, nr >> 32);
}

/* A descriptor and its blocks, into @out. */
static void put_blocks(const struct journal *j, char *out, struct block **blk, uint32_t n)
{
	char *tag = out + sizeof(struct j_header), *data = out + j->size;

	memset(out, 0, j->size);
	put_header(out, J_DESCRIPTOR, j->seq);
	for (uint32_t i = 0; i < n; i++, data += j->size) {
		uint32_t flags = (i ? TAG_SAME_UUID : 0) | (i == n - 1 ? TAG_LAST : 0);

		memcpy(data, blk[i]->data, j->size);
		if (get_be32(data) == JOURNAL_MAGIC) {
			put_be32(data, 0);
			flags |= TAG_ESCAPED;
		}
		put_tag(j, tag, blk[i]->nr, flags, data);
		tag += tag_size(j) + (i ? 0 : 16);
	}
	if (has_csum(j))
		put_be32(out + j->size - 4, crc32c(j->seed, out, j->size));
}

/* @n blocks at @at of the journal. */
static int write_run(struct blockfs *b, uint32_t at, const char *buf, uint32_t n)
{
	const struct journal *j = &b->journal;
	int ret = 0;

	for (uint32_t i = 0, run; ret == 0 && i < n; i += run) {
		for (run = 1; i + run < n && j->place[at + i + run] == j->place[at + i] + run;)
			run++;
		ret = block_io_write(b->cache.fd, buf + (size_t)i * j->size, (size_t)run * j->size,
				     j->place[at + i] * j->size);
	}
	return ret;
}

static int write_commit(struct blockfs *b, uint32_t at)
{
	const struct journal *j = &b->journal;
	cleanup_free char *buf = calloc(1, j->size);
	struct j_commit *c = (struct j_commit *)buf;

	if (!buf)
		return -ENOMEM;
	put_header(buf, J_COMMIT, j->seq);
	c->sec = htobe64(time(NULL));
	if (has_csum(j))
		put_be32(&c->csum[0], crc32c(j->seed, buf, j->size));
	return journal_write_at(b, at, buf);
}

int journal_write(struct blockfs *b, struct block **blocks, unsigned n)
{
	struct journal *j = &b->journal;
	uint32_t half = (j->n - j->first) / 2, start = j->first + (j->seq & 1 ? half : 0), at = start;
	uint32_t per = tags_per_block(j);
	cleanup_free char *buf = aligned_alloc(4096, ((size_t)(per + 1) * j->size + 4095) / 4096 * 4096);
	int ret = buf ? 0 : -ENOMEM;

	if (n + n / per + 2 > half)
		return -E2BIG;
	for (unsigned i = 0, k; ret == 0 && i < n; i += k) {
		k = MIN(n - i, per);
		put_blocks(j, buf, blocks + i, k);
		ret = write_run(b, at, buf, k + 1);
		at += k + 1;
	}
	if (ret == 0)
		ret = block_cache_flush(&b->cache);
	if (ret == 0)
		ret = write_commit(b, at);
	if (ret == 0)
		ret = write_super(b, start);
	if (ret == 0)
		ret = block_cache_flush(&b->cache);
	j->seq++;
	return ret;
}
