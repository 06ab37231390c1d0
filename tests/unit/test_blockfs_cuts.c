/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_blockfs_cuts.c - power fails under a file system that is at work
 *
 * Random calls on a disk that logs what is written; then, for moments all over the log,
 * the disk as it may be after power failed there, with any sectors lost that no flush
 * covers. Replayed by us and by e2fsck it must be consistent, and hold what was synced.
 * Each sector says of which file it is, where in it and of which generation, so that
 * foreign and stale data are seen as such.
 *
 * WEIR_CUTS=1000 in the environment: so many moments, instead of 100.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/blockfs_impl.h"
#include "kernel/util.h"
#include "memory_disk.h"

#define DISK_SIZE (8u << 20)
#define CALLS 900
#define DIRS 3u
#define SLOTS 18u		/* names */
#define SECTORS 96u		/* of a file, at most */
#define CUTS 100

/* ---- the model ------------------------------------------------------------- */

struct file {
	uint32_t id, ino;		/* id 0: there is none */
	unsigned size;			/* sectors */
	uint32_t generation[SECTORS];	/* 0: zeros */
};

/* A call after a commit: what it may have changed. */
struct event {
	unsigned at;			/* operations of the log when it began */
	bool name;			/* slot */
	bool size;			/* of file id, or a hole in it */
	unsigned slot;
	uint32_t id;
	unsigned first, n;		/* sectors written */
	uint32_t generation;
};

struct commit {
	unsigned at;			/* operations of the log when it had returned */
	unsigned event;			/* the first that is later */
	struct file file[SLOTS];
};

struct work {
	struct memory_disk disk;
	struct blockfs *b;
	uint32_t dir[DIRS];
	struct file file[SLOTS];
	struct event event[2 * CALLS];
	unsigned nevents;
	struct commit *commit;
	unsigned ncommits;
	uint32_t next_id, generation;
	unsigned seed;
};

struct stamp {
	uint32_t id, sector, generation, zero;
};

static void stamp(char *p, uint32_t id, uint32_t sector, uint32_t generation)
{
	struct stamp s = { id, sector, generation, 0 };

	for (unsigned at = 0; at < DISK_SECTOR; at += sizeof(s))
		memcpy(p + at, &s, sizeof(s));
}

static unsigned below(struct work *w, unsigned n)
{
	return (unsigned)rand_r(&w->seed) / 8 % n;
}

static const char *name_of(unsigned slot)
{
	static char name[2][40];
	static unsigned turn;

	turn = !turn;
	snprintf(name[turn], sizeof(name[turn]), "a file with a name %u", slot);
	return name[turn];
}

static struct event *add_event(struct work *w, struct event e)
{
	e.at = w->disk.n;
	w->event[w->nevents] = e;
	return &w->event[w->nevents++];
}

/* ---- calls ------------------------------------------------------------------- */

static void make_file(struct work *w, unsigned slot)
{
	const struct new_inode n = { .mode = S_IFREG | 0644 };
	struct file *f = &w->file[slot];

	add_event(w, (struct event){ .name = true, .slot = slot });
	*f = (struct file){ .id = 0 };
	if (blockfs_create(w->b, w->dir[slot % DIRS], name_of(slot), &n, &f->ino) == 0)
		f->id = ++w->next_id;
}

static void remove_file(struct work *w, unsigned slot)
{
	add_event(w, (struct event){ .name = true, .slot = slot });
	/* Open, as it were: it becomes an orphan. */
	if (below(w, 2))
		node_know(w->b, w->file[slot].ino);
	assert_int_equal(link_remove(w->b, w->dir[slot % DIRS], name_of(slot), false), 0);
	w->file[slot].id = 0;
}

static void rename_file(struct work *w, unsigned slot)
{
	unsigned to = below(w, SLOTS);
	int ret;

	if (to == slot)
		return;
	add_event(w, (struct event){ .name = true, .slot = slot });
	add_event(w, (struct event){ .name = true, .slot = to });
	ret = link_rename(w->b, w->dir[slot % DIRS], name_of(slot), w->dir[to % DIRS], name_of(to), 0);
	if (ret == -ENOSPC)
		return;
	assert_int_equal(ret, 0);
	w->file[to] = w->file[slot];
	w->file[slot].id = 0;
}

static void read_inode(struct work *w, const struct file *f, struct inode *i)
{
	assert_int_equal(inode_read(w->b, f->ino, i), 0);
}

static void write_file(struct work *w, unsigned slot)
{
	static char data[SECTORS * DISK_SECTOR];
	struct file *f = &w->file[slot];
	unsigned first = below(w, SECTORS), n = 1 + below(w, below(w, 3) ? 6 : SECTORS);
	struct inode i;
	ssize_t done;

	n = MIN(n, SECTORS - first);
	w->generation++;
	for (unsigned k = 0; k < n; k++)
		stamp(data + k * DISK_SECTOR, f->id, first + k, w->generation);
	add_event(w, (struct event){ .slot = slot, .id = f->id, .first = first, .n = n, .generation = w->generation });
	read_inode(w, f, &i);
	done = file_write(w->b, &i, first * DISK_SECTOR, data, n * DISK_SECTOR);
	if (done < 0) {
		assert_int_equal(done, -ENOSPC);
		return;
	}
	assert_int_equal(inode_write(w->b, &i), 0);
	n = done / DISK_SECTOR;
	for (unsigned k = 0; k < n; k++)
		f->generation[first + k] = w->generation;
	f->size = MAX(f->size, first + n);
}

static void cut_file(struct work *w, unsigned slot)
{
	struct file *f = &w->file[slot];
	unsigned size = below(w, SECTORS);
	struct inode i;

	add_event(w, (struct event){ .size = true, .slot = slot, .id = f->id });
	read_inode(w, f, &i);
	assert_int_equal(file_truncate(w->b, &i, size * DISK_SECTOR), 0);
	for (unsigned k = size; k < SECTORS; k++)
		f->generation[k] = 0;
	f->size = size;
}

static void punch_file(struct work *w, unsigned slot)
{
	struct file *f = &w->file[slot];
	unsigned first = below(w, SECTORS), n = 1 + below(w, SECTORS - first);
	struct inode i;

	add_event(w, (struct event){ .size = true, .slot = slot, .id = f->id });
	read_inode(w, f, &i);
	assert_int_equal(file_punch(w->b, &i, first * DISK_SECTOR, n * DISK_SECTOR), 0);
	for (unsigned k = first; k < first + n; k++)
		f->generation[k] = 0;
}

static void reserve_file(struct work *w, unsigned slot)
{
	struct inode i;

	add_event(w, (struct event){ .slot = slot, .id = w->file[slot].id });
	read_inode(w, &w->file[slot], &i);
	if (file_reserve(w->b, &i, below(w, SECTORS) * DISK_SECTOR, 20000) == 0)
		assert_int_equal(inode_write(w->b, &i), 0);
}

/* Others come and go, whose contents nobody asks for. */
static void disturb(struct work *w)
{
	static const mode_t mode[] = { S_IFDIR | 0755, S_IFLNK | 0777, S_IFIFO | 0600 };
	struct new_inode n = { .mode = mode[below(w, ARRAY_SIZE(mode))], .target = "a target that does not fit an inode, and so has a block" };
	uint32_t dir = w->dir[below(w, DIRS)], ino;
	char name[40];

	snprintf(name, sizeof(name), "something else that is %u", below(w, 40));
	if (dir_find(w->b, dir, name, &ino) < 0) {
		if (blockfs_create(w->b, dir, name, &n, &ino) == 0)
			xattr_set(w->b, ino, "user.key", name, sizeof(name), 0);
		return;
	}
	if (link_remove(w->b, dir, name, true) == -ENOTDIR)
		assert_int_equal(link_remove(w->b, dir, name, false), 0);
}

static void commit(struct work *w)
{
	struct commit *c;

	assert_int_equal(blockfs_commit(w->b), 0);
	w->commit = realloc(w->commit, (w->ncommits + 1) * sizeof(*w->commit));
	assert_non_null(w->commit);
	c = &w->commit[w->ncommits++];
	*c = (struct commit){ .at = w->disk.n, .event = w->nevents };
	memcpy(c->file, w->file, sizeof(c->file));
}

static void call(struct work *w)
{
	static void (*const calls[])(struct work *w, unsigned slot) = {
		write_file, write_file, write_file, write_file, cut_file, punch_file, reserve_file,
		rename_file, rename_file, remove_file,
	};
	unsigned slot = below(w, SLOTS);

	if (below(w, 8) == 0)
		commit(w);
	else if (below(w, 5) == 0)
		disturb(w);
	else if (!w->file[slot].id)
		make_file(w, slot);
	else
		calls[below(w, ARRAY_SIZE(calls))](w, slot);
	blockfs_settle(w->b);
}

static struct blockfs *open_disk(int fd)
{
	struct blockfs_options opt = { .type = "ext4", .disk = fd };
	struct disk_error why;
	struct blockfs *b;

	if (blockfs_open(&opt, &b, &why) < 0)
		fail_msg("after a power cut: %s", why.text);
	return b;
}

static void work(struct work *w, const char *const options[], unsigned seed)
{
	const struct new_inode n = { .mode = S_IFDIR | 0755 };

	*w = (struct work){ .seed = seed };
	if (!memory_disk_make(&w->disk, DISK_SIZE, options))
		skip();
	w->b = open_disk(w->disk.fd);
	for (unsigned i = 0; i < DIRS; i++)
		assert_int_equal(blockfs_create(w->b, EXT2_ROOT_INO, (char[]){ 'd', '0' + i, 0 }, &n, &w->dir[i]), 0);
	assert_int_equal(blockfs_commit(w->b), 0);
	memory_disk_mark(&w->disk);
	commit(w);
	for (unsigned i = 0; i < CALLS; i++)
		call(w);
	assert_true(w->ncommits > 20);
	w->b->broken = true;
	blockfs_close(w->b);
}

/* ---- after a cut ----------------------------------------------------------------- */

/* What may have happened after the last commit that was over. */
struct since {
	const struct work *w;
	const struct commit *last;
	const struct event *begin, *end;
};

static struct since since(const struct work *w, unsigned cut)
{
	struct since s = { .w = w, .last = w->commit };

	for (unsigned i = 0; i < w->ncommits && w->commit[i].at <= cut; i++)
		s.last = &w->commit[i];
	s.begin = s.end = &w->event[s.last->event];
	while (s.end < w->event + w->nevents && s.end->at < cut)
		s.end++;
	return s;
}

static bool name_changed(const struct since *s, unsigned slot)
{
	for (const struct event *e = s->begin; e < s->end; e++)
		if (e->name && e->slot == slot)
			return true;
	return false;
}

static bool size_changed(const struct since *s, uint32_t id)
{
	for (const struct event *e = s->begin; e < s->end; e++)
		if (e->size && e->id == id)
			return true;
	return false;
}

static bool may_be(const struct since *s, const struct file *f, uint32_t sector, uint32_t generation)
{
	if (generation == f->generation[sector])
		return true;
	for (const struct event *e = s->begin; e < s->end; e++)
		if (e->n && e->id == f->id && sector >= e->first && sector < e->first + e->n &&
		    generation == e->generation)
			return true;
	return false;
}

/* Return: its generation; 0: zeros. */
static uint32_t look(const char *p, unsigned slot, uint32_t sector, uint32_t *id)
{
	char want[DISK_SECTOR], zero[DISK_SECTOR] = { 0 };
	struct stamp s;

	if (!memcmp(p, zero, DISK_SECTOR))
		return 0;
	memcpy(&s, p, sizeof(s));
	stamp(want, s.id, s.sector, s.generation);
	if (memcmp(p, want, DISK_SECTOR) || s.sector != sector || (*id && s.id != *id))
		fail_msg("slot %u, sector %u: holds sector %u of file %u, not of %u", slot, sector, s.sector, s.id, *id);
	*id = s.id;
	return s.generation;
}

static void check_file(const struct since *s, struct blockfs *b, unsigned slot, uint32_t ino)
{
	const struct file *f = &s->last->file[slot];
	bool same = f->id && !name_changed(s, slot), exact = same && !size_changed(s, f->id);
	uint32_t id = same ? f->id : 0;
	struct inode i;
	char *data;
	ssize_t n;

	assert_int_equal(inode_read(b, ino, &i), 0);
	n = file_read(b, &i, 0, SECTORS * DISK_SECTOR, &data) / DISK_SECTOR;
	if (exact)
		assert_true(n >= f->size);
	for (uint32_t k = 0; k < n; k++) {
		uint32_t generation = look(data + k * DISK_SECTOR, slot, k, &id);

		if (exact && !may_be(s, f, k, generation))
			fail_msg("slot %u, sector %u: generation %u, and %u was synced", slot, k, generation,
				 f->generation[k]);
	}
}

static void check_files(const struct since *s, int fd)
{
	struct blockfs *b = open_disk(fd);

	for (unsigned slot = 0; slot < SLOTS; slot++) {
		uint32_t ino;
		int ret = dir_find(b, s->w->dir[slot % DIRS], name_of(slot), &ino);

		if (ret == 0)
			check_file(s, b, slot, ino);
		else if (s->last->file[slot].id && !name_changed(s, slot))
			fail_msg("slot %u: was synced, and is not there: %d", slot, ret);
	}
	assert_int_equal(blockfs_close(b), 0);
}

static void check_disk(int fd, const char *option, int most)
{
	static char text[20000];
	int status = memory_disk_e2fsck(fd, option, text, sizeof(text));

	if (status > most)
		fail_msg("e2fsck %s: %s", option, text);
}

static void check_cut(const struct work *w, unsigned cut, unsigned seed)
{
	struct since s = since(w, cut);
	int ours = memory_disk_cut(&w->disk, cut, DISK_SECTOR, seed);
	/* e2fsck gives up on half a super block; ours is in the journal. */
	int theirs = memory_disk_cut(&w->disk, cut, 1024, seed);

	check_files(&s, ours);
	check_disk(ours, "-fn", 0);
	check_disk(theirs, "-fp", 1);
	check_disk(theirs, "-fn", 0);
	check_files(&s, theirs);
	close(ours);
	close(theirs);
}

static void cuts(const char *const options[], unsigned seed)
{
	const char *wanted = getenv("WEIR_CUTS");
	unsigned n = MAX((wanted ? (unsigned)atoi(wanted) : CUTS) / 2, 1u);
	static struct work w;

	work(&w, options, seed);
	for (unsigned i = 0; i < n; i++) {
		unsigned cut = (uint64_t)(i + 1) * w.disk.n / n;

		/* Every third loses nothing that was written. */
		check_cut(&w, cut, i % 3 ? seed + i : 0);
	}
	free(w.commit);
	memory_disk_free(&w.disk);
}

static void test_cuts_ext4(void **state)
{
	static const char *const options[] = { "-t", "ext4", "-b", "1024", "-J", "size=1", NULL };

	cuts(options, 1);
}

static void test_cuts_without_checksums(void **state)
{
	static const char *const options[] = { "-t", "ext4", "-b", "2048", "-J", "size=2", "-O", "^metadata_csum,^extents,^64bit", NULL };

	cuts(options, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts_ext4),
		cmocka_unit_test(test_cuts_without_checksums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
