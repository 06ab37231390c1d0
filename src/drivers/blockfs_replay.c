/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_replay.c - the journal, read after a crash
 *
 * Three passes: up to where it is whole, what of it was revoked, and the blocks that
 * were not, to their places. What it says was written by the guest, or torn.
 */
#include "drivers/blockfs_jbd2.h"

#include <errno.h>
#include <stdlib.h>

#include "kernel/log.h"
#include "kernel/util.h"

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
	return j->first + (at - j->first + n) % (j->n - j->first);
}

static bool csum_of_block(const struct replay *r, unsigned tail)
{
	const struct journal *j = &r->b->journal;
	uint32_t csum;

	if (!has_csum(j))
		return true;
	csum = get_be32(r->head + tail);
	put_be32(r->head + tail, 0);
	return csum == crc32c(j->seed, r->head, j->size);
}

static int add_revoked(struct replay *r)
{
	const struct journal *j = &r->b->journal;
	unsigned size = j->incompat & J_64BIT ? 8 : 4, end = get_be32(r->head + 12);

	if (end > j->size || end < 16 || !csum_of_block(r, j->size - 4))
		return -EUCLEAN;
	for (unsigned at = 16; at + size <= end; at += size) {
		uint64_t nr = get_be32(r->head + at);

		if (r->nrevoked == r->room) {
			size_t room = MAX(2 * r->room, (size_t)256);
			struct revoked *more = realloc(r->revoked, room * sizeof(*more));

			if (!more)
				return -ENOMEM;
			r->revoked = more;
			r->room = room;
		}
		if (size == 8)
			nr = nr << 32 | get_be32(r->head + at + 4);
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
	t->nr = get_be32(p);
	if (j->incompat & J_CSUM_V3) {
		t->flags = get_be32(p + 4);
		t->csum = get_be32(p + 12);
	} else {
		t->flags = get_be32(p + 4) & 0xffff;
		t->csum = get_be32(p + 4) >> 16;
	}
	if (j->incompat & J_64BIT)
		t->nr |= (uint64_t)get_be32(p + 8) << 32;
}

static bool csum_of_data(const struct replay *r, const struct tag *t)
{
	const struct journal *j = &r->b->journal;
	uint32_t csum;

	if (!has_csum(j))
		return true;
	csum = data_csum(j, r->seq, r->data);
	return j->incompat & J_CSUM_V3 ? csum == t->csum : (csum & 0xffff) == t->csum;
}

static int restore(struct replay *r, uint32_t at, const struct tag *t)
{
	int ret;

	if (is_revoked(r, t->nr))
		return 0;
	ret = journal_read_at(r->b, at, r->data);
	if (ret < 0)
		return ret;
	if (!csum_of_data(r, t) || t->nr >= ext2fs_blocks_count(r->b->fs->super))
		return -EUCLEAN;
	if (t->flags & TAG_ESCAPED)
		put_be32(r->data, JOURNAL_MAGIC);
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
	int ret = journal_read_at(r->b, r->at, r->head);

	if (ret < 0)
		return ret;
	if (get_be32(r->head) != JOURNAL_MAGIC || get_be32(r->head + 8) != r->seq)
		return 0;
	switch (get_be32(r->head + 4)) {
	case J_DESCRIPTOR:
		ret = walk_tags(r);
		return ret < 0 ? ret : ret + 1;
	case J_REVOKE:
		ret = r->pass < 2 ? add_revoked(r) : 0;
		return ret < 0 ? ret : 1;
	case J_COMMIT:
		ret = commit_valid(r);
		if (ret < 0)
			return ret;
		r->seq++;
		return 1;
	default:
		return 0;
	}
}

static int replay_pass(struct replay *r)
{
	const struct journal *j = &r->b->journal;
	uint32_t used = 0;
	int n = 1;

	/* Read in the first pass too: what is revoked by a bad one is not known, so that ends the journal. */
	if (r->pass < 2)
		r->nrevoked = 0;
	r->at = be32toh(j->super->start);
	r->seq = j->seq;
	while (n > 0 && used < j->n && (r->pass == 0 || r->seq != r->end)) {
		n = step(r);
		/* What is not whole was not committed: its end is the end. */
		if (n < 0 && (n != -EUCLEAN || r->pass > 0))
			return n;
		r->at = after(j, r->at, MAX(n, 0));
		used += MAX(n, 0);
	}
	return 0;
}

static int replay_all(struct replay *r)
{
	int ret = replay_pass(r);

	r->end = r->seq;
	for (r->pass = 1; ret == 0 && r->pass < 3; r->pass++) {
		ret = replay_pass(r);
		if (r->pass == 1 && r->nrevoked)
			qsort(r->revoked, r->nrevoked, sizeof(*r->revoked), by_nr);
	}
	return ret;
}

int journal_replay(struct blockfs *b, struct disk_error *why)
{
	struct journal *j = &b->journal;
	struct replay r = { .b = b };
	int ret;

	if (j->super->start == 0)
		return 0;
	r.head = aligned_alloc(4096, MAX(j->size, 4096u));
	r.data = aligned_alloc(4096, MAX(j->size, 4096u));
	ret = r.head && r.data ? replay_all(&r) : -ENOMEM;
	if (ret == 0) {
		log_info("blockfs: journal: %u transactions were replayed", r.end - j->seq);
		j->seq = r.end + 1;
	}
	free(r.head);
	free(r.data);
	free(r.revoked);
	return ret < 0 ? disk_fail(why, ret, "its journal is damaged: run e2fsck") : 0;
}
