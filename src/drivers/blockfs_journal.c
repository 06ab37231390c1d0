/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_journal.c - the journal: read after a crash, written by a commit
 *
 * A file of the file system, in the format of Linux's jbd2, all of it big-endian.
 * Its first block is its super block; then come transactions: descriptor blocks,
 * each followed by the blocks that its tags name, revoke blocks, a commit block.
 * Numbers of transactions go up by one; the first that does not fit, or has no
 * commit block, ends what is replayed.
 *
 * A transaction of ours lies at the start of one half of the journal, the next one
 * in the other. The super block names it together with its commit block: whichever
 * of the two reaches the disk alone, the state is the one before or the one after.
 */
#include "drivers/blockfs_impl.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"

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

static bool has_csum(const struct journal *j)
{
	return j->incompat & (J_CSUM_V2 | J_CSUM_V3);
}

static unsigned tag_size(const struct journal *j)
{
	if (j->incompat & J_CSUM_V3)
		return 16;
	return 8 + (j->incompat & J_CSUM_V2 ? 2 : 0) + (j->incompat & J_64BIT ? 4 : 0);
}

static uint32_t crc(uint32_t seed, const void *p, size_t len)
{
	return ext2fs_crc32c_le(seed, p, len);
}

static uint32_t get32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static void put32(void *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

static void put16(void *p, uint16_t v)
{
	v = htobe16(v);
	memcpy(p, &v, sizeof(v));
}

/* ---- finding it ---------------------------------------------------------- */

static int fail(struct blockfs_error *why, int ret, const char *text)
{
	snprintf(why->text, sizeof(why->text), "%s", text);
	return ret;
}

static int read_at(struct blockfs *b, uint32_t at, void *buf)
{
	const struct journal *j = &b->journal;

	return at < j->n ? block_io_read(b->cache.fd, buf, j->size, j->place[at] * j->size) : -EIO;
}

static int write_at(struct blockfs *b, uint32_t at, const void *buf)
{
	const struct journal *j = &b->journal;

	return at < j->n ? block_io_write(b->cache.fd, buf, j->size, j->place[at] * j->size) : -EIO;
}

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

static int read_super(struct blockfs *b, struct j_super **ret)
{
	cleanup_free struct j_super *s = aligned_alloc(4096, MAX(b->journal.size, 4096u));
	int r = s ? read_at(b, 0, s) : -ENOMEM;

	if (r < 0)
		return r;
	*ret = s;
	s = NULL;
	return 0;
}

static int check_super(struct journal *j, struct j_super *s, struct blockfs_error *why)
{
	uint32_t type = be32toh(s->h.type), csum = s->csum;

	if (be32toh(s->h.magic) != JOURNAL_MAGIC || (type != J_SUPER_V1 && type != J_SUPER_V2) ||
	    be32toh(s->blocksize) != j->size || be32toh(s->n) > j->n || be32toh(s->n) < 8 ||
	    be32toh(s->first) == 0 || be32toh(s->first) >= be32toh(s->n) ||
	    be32toh(s->start) >= be32toh(s->n))
		return fail(why, -EUCLEAN, "its journal is damaged: run e2fsck");
	j->n = be32toh(s->n);
	j->first = be32toh(s->first);
	j->seq = be32toh(s->seq);
	j->incompat = type == J_SUPER_V2 ? be32toh(s->incompat) : 0;
	if (j->incompat & ~J_KNOWN || (type == J_SUPER_V2 && s->fc_blocks))
		return fail(why, -EINVAL, "its journal has features that weir does not know: run e2fsck, then tune2fs -O ^fast_commit");
	if (!has_csum(j))
		return 0;
	j->seed = crc(~0u, s->uuid, sizeof(s->uuid));
	s->csum = 0;
	if (be32toh(csum) != crc(~0u, s, sizeof(*s)))
		return fail(why, -EUCLEAN, "its journal's checksum is wrong: run e2fsck");
	s->csum = csum;
	return 0;
}

int journal_open(struct blockfs *b, struct blockfs_error *why)
{
	const struct ext2_super_block *es = b->fs->super;
	cleanup_free struct j_super *s = NULL;
	struct journal *j = &b->journal;
	struct inode i;
	int ret;

	if (!ext2fs_has_feature_journal(b->fs->super))
		return 0;
	if (es->s_journal_dev || !es->s_journal_inum)
		return fail(why, -EINVAL, "its journal is on another device");
	ret = inode_read(b, es->s_journal_inum, &i);
	if (ret < 0)
		return fail(why, -EUCLEAN, "its journal cannot be found: run e2fsck");
	j->size = b->fs->blocksize;
	j->n = MIN(inode_size(&i) / j->size, (uint64_t)1 << 24);
	j->place = calloc(j->n + 1, sizeof(*j->place));
	ret = j->place ? find_places(b, &i) : -ENOMEM;
	if (ret == 0)
		ret = read_super(b, &s);
	if (ret < 0)
		return fail(why, ret, "its journal cannot be read: run e2fsck");
	ret = check_super(j, s, why);
	j->present = ret == 0;
	return ret;
}

void journal_close(struct journal *j)
{
	free(j->place);
	*j = (struct journal){ .present = false };
}

/* ---- replaying ----------------------------------------------------------- */

struct revoked {
	uint64_t nr;
	uint32_t seq;
};

struct replay {
	struct blockfs *b;
	uint32_t at, seq, end;		/* end: the first that is not replayed */
	struct revoked *revoked;
	size_t nrevoked, room;
	char *head, *data;
	int pass;			/* 0: what is there; 1: what is revoked; 2: writing */
};

static uint32_t after(const struct journal *j, uint32_t at, uint32_t n)
{
	at += n;
	return at >= j->n ? at - (j->n - j->first) : at;
}

static bool csum_of_block(const struct replay *r, unsigned tail)
{
	const struct journal *j = &r->b->journal;
	uint32_t csum;

	if (!has_csum(j))
		return true;
	csum = get32(r->head + tail);
	put32(r->head + tail, 0);
	return csum == crc(j->seed, r->head, j->size);
}

static int add_revoked(struct replay *r)
{
	const struct journal *j = &r->b->journal;
	unsigned size = j->incompat & J_64BIT ? 8 : 4, end = get32(r->head + 12);

	if (end > j->size || end < 16 || !csum_of_block(r, j->size - 4))
		return -EUCLEAN;
	for (unsigned at = 16; at + size <= end; at += size) {
		uint64_t nr = get32(r->head + at);

		if (r->nrevoked == r->room) {
			size_t room = MAX(2 * r->room, (size_t)256);
			struct revoked *more = realloc(r->revoked, room * sizeof(*more));

			if (!more)
				return -ENOMEM;
			r->revoked = more;
			r->room = room;
		}
		if (size == 8)
			nr = nr << 32 | get32(r->head + at + 4);
		r->revoked[r->nrevoked++] = (struct revoked){ nr, r->seq };
	}
	return 0;
}

/* By number, and of one block the latest last. */
static int by_nr(const void *a, const void *b)
{
	const struct revoked *x = a, *y = b;

	if (x->nr != y->nr)
		return x->nr < y->nr ? -1 : 1;
	return (int32_t)(x->seq - y->seq) < 0 ? -1 : x->seq != y->seq;
}

static bool is_revoked(const struct replay *r, uint64_t nr)
{
	size_t lo = 0, hi = r->nrevoked;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (r->revoked[mid].nr <= nr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo > 0 && r->revoked[lo - 1].nr == nr &&
	       (int32_t)(r->revoked[lo - 1].seq - r->seq) >= 0;
}

struct tag {
	uint64_t nr;
	uint32_t flags, csum;
};

static void read_tag(const struct journal *j, const char *p, struct tag *t)
{
	t->nr = get32(p);
	if (j->incompat & J_CSUM_V3) {
		t->flags = get32(p + 4);
		t->csum = get32(p + 12);
	} else {
		t->flags = get32(p + 4) & 0xffff;
		t->csum = get32(p + 4) >> 16;
	}
	if (j->incompat & J_64BIT)
		t->nr |= (uint64_t)get32(p + 8) << 32;
}

static bool csum_of_data(const struct replay *r, const struct tag *t)
{
	const struct journal *j = &r->b->journal;
	uint32_t seq = htobe32(r->seq), csum;

	if (!has_csum(j))
		return true;
	csum = crc(crc(j->seed, &seq, sizeof(seq)), r->data, j->size);
	return j->incompat & J_CSUM_V3 ? csum == t->csum : (csum & 0xffff) == t->csum;
}

static int restore(struct replay *r, uint32_t at, const struct tag *t)
{
	int ret;

	if (is_revoked(r, t->nr))
		return 0;
	ret = read_at(r->b, at, r->data);
	if (ret < 0)
		return ret;
	if (!csum_of_data(r, t) || t->nr >= ext2fs_blocks_count(r->b->fs->super))
		return -EUCLEAN;
	if (t->flags & TAG_ESCAPED)
		put32(r->data, JOURNAL_MAGIC);
	return blockfs_error(io_channel_write_blk64(r->b->fs->io, t->nr, 1, r->data));
}

/* The blocks that a descriptor names. Return: how many, or an error. */
static int walk_tags(struct replay *r)
{
	const struct journal *j = &r->b->journal;
	unsigned end = j->size - (has_csum(j) ? 4 : 0), at = sizeof(struct j_header), n = 0;
	struct tag t = { .flags = 0 };
	int ret = 0;

	if (!csum_of_block(r, j->size - 4))
		return -EUCLEAN;
	while (ret == 0 && !(t.flags & TAG_LAST) && at + tag_size(j) <= end) {
		read_tag(j, r->head + at, &t);
		at += tag_size(j) + (t.flags & TAG_SAME_UUID ? 0 : 16);
		n++;
		if (r->pass == 2)
			ret = restore(r, after(j, r->at, n), &t);
	}
	return ret < 0 ? ret : (int)n;
}

static int commit_valid(struct replay *r)
{
	return csum_of_block(r, offsetof(struct j_commit, csum)) ? 0 : -EUCLEAN;
}

/* Return: blocks that this one and what belongs to it take; 0: the end. */
static int step(struct replay *r)
{
	int ret = read_at(r->b, r->at, r->head);

	if (ret < 0)
		return ret;
	if (get32(r->head) != JOURNAL_MAGIC || get32(r->head + 8) != r->seq)
		return 0;
	switch (get32(r->head + 4)) {
	case J_DESCRIPTOR:
		ret = walk_tags(r);
		return ret < 0 ? ret : ret + 1;
	case J_REVOKE:
		ret = r->pass == 1 ? add_revoked(r) : 0;
		return ret < 0 ? ret : 1;
	case J_COMMIT:
		ret = commit_valid(r);
		r->seq++;
		return ret < 0 ? ret : 1;
	default:
		return 0;
	}
}

static int replay_pass(struct replay *r, const struct j_super *s)
{
	const struct journal *j = &r->b->journal;
	uint32_t used = 0;
	int n = 1;

	r->at = be32toh(s->start);
	r->seq = j->seq;
	while (n > 0 && used < j->n && (r->pass == 0 || r->seq != r->end)) {
		n = step(r);
		/* What is not whole was not committed: its end is the end. */
		if (n < 0 && (n != -EUCLEAN || r->pass == 2))
			return n;
		r->at = after(j, r->at, MAX(n, 0));
		used += MAX(n, 0);
	}
	return 0;
}

static int replay_all(struct replay *r, const struct j_super *s)
{
	int ret = replay_pass(r, s);

	r->end = r->seq;
	for (r->pass = 1; ret == 0 && r->pass < 3; r->pass++) {
		ret = replay_pass(r, s);
		if (r->pass == 1 && r->nrevoked)
			qsort(r->revoked, r->nrevoked, sizeof(*r->revoked), by_nr);
	}
	return ret;
}

int journal_replay(struct blockfs *b, struct blockfs_error *why)
{
	cleanup_free struct j_super *s = NULL;
	struct journal *j = &b->journal;
	struct replay r = { .b = b };
	int ret = read_super(b, &s);

	if (ret < 0 || s->start == 0)
		return ret;
	r.head = aligned_alloc(4096, MAX(j->size, 4096u));
	r.data = aligned_alloc(4096, MAX(j->size, 4096u));
	ret = r.head && r.data ? replay_all(&r, s) : -ENOMEM;
	if (ret == 0) {
		log_info("blockfs: journal: %u transactions were replayed", r.end - j->seq);
		j->seq = r.end + 1;
	}
	free(r.head);
	free(r.data);
	free(r.revoked);
	return ret < 0 ? fail(why, ret, "its journal is damaged: run e2fsck") : 0;
}

/* ---- writing ------------------------------------------------------------- */

static int write_super(struct blockfs *b, uint32_t start)
{
	struct journal *j = &b->journal;
	cleanup_free struct j_super *s = NULL;
	int ret = read_super(b, &s);

	if (ret < 0)
		return ret;
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
		j->seed = crc(~0u, s->uuid, sizeof(s->uuid));
		if (has_csum(j))
			s->csum = htobe32(crc(~0u, s, sizeof(*s)));
	}
	return write_at(b, 0, s);
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
	put32(buf, JOURNAL_MAGIC);
	put32(buf + 4, type);
	put32(buf + 8, seq);
}

static void put_tag(const struct journal *j, char *p, uint64_t nr, uint32_t flags, const char *data)
{
	uint32_t seq = htobe32(j->seq);

	put32(p, nr);
	if (j->incompat & J_CSUM_V3) {
		put32(p + 4, flags);
		put32(p + 8, nr >> 32);
		put32(p + 12, crc(crc(j->seed, &seq, sizeof(seq)), data, j->size));
		return;
	}
	put16(p + 4, 0);
	put16(p + 6, flags);
	if (j->incompat & J_64BIT)
		put32(p + 8, nr >> 32);
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
		if (get32(data) == JOURNAL_MAGIC) {
			put32(data, 0);
			flags |= TAG_ESCAPED;
		}
		put_tag(j, tag, blk[i]->nr, flags, data);
		tag += tag_size(j) + (i ? 0 : 16);
	}
	if (has_csum(j))
		put32(out + j->size - 4, crc(j->seed, out, j->size));
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
		put32(&c->csum[0], crc(j->seed, buf, j->size));
	return write_at(b, at, buf);
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
