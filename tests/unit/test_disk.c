/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_disk.c - block devices: what is read is what was written, whatever fails
 *
 * Each sector that is written says which sector it is and of which generation,
 * so that foreign and stale data are seen as such.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/ubd.h"
#include "fake_disk.h"
#include "kernel/util.h"

#define SECTOR COW_SECTOR
#define SECTORS 300u		/* of the disks here; the last one is cut off */
#define IMAGE_SIZE (SECTORS * SECTOR - 100)
#define MAX_LEN 20u		/* sectors of one request */
#define DEPTH 6

/* ---- sectors that say what they are ------------------------------------ */

struct stamp {
	uint32_t sector, generation;	/* 0: of the image */
};

static void stamp(char *buf, uint32_t sector, uint32_t generation)
{
	struct stamp s = { sector + 1, generation };

	for (unsigned i = 0; i < SECTOR; i += sizeof(s))
		memcpy(buf + i, &s, sizeof(s));
}

/* Return: its generation; -1: all zero. @len < a sector: behind it there are zeros. */
static int64_t stamped(const char *buf, uint32_t sector)
{
	unsigned len = sector == SECTORS - 1 ? IMAGE_SIZE % SECTOR : SECTOR;
	char want[SECTOR], zero[SECTOR] = { 0 };
	struct stamp s;

	if (!memcmp(buf, zero, SECTOR))
		return -1;
	memcpy(&s, buf, sizeof(s));
	if (s.sector != sector + 1)
		fail_msg("sector %u holds data of sector %u", sector, s.sector - 1);
	stamp(want, sector, s.generation);
	if (s.generation == 0)
		memset(want + len, 0, SECTOR - len);
	if (memcmp(buf, want, SECTOR))
		fail_msg("sector %u is torn", sector);
	return s.generation;
}

/* ---- a disk in memory -------------------------------------------------- */

struct files {
	int image, cow;		/* cow: -1 for a disk without */
	char image_path[32], cow_path[32];
};

static void files_make(struct files *f, bool cow)
{
	struct cow_header h = { .size = IMAGE_SIZE, .alignment = COW_ALIGNMENT, .backing = "/base" };
	uint8_t raw[COW_HEADER_SIZE];
	struct cow_layout l;
	struct stat st;
	char buf[SECTOR];

	f->image = memfd_create("image", 0);
	for (unsigned s = 0; s < SECTORS; s++) {
		stamp(buf, s, 0);
		assert_int_equal(pwrite(f->image, buf, SECTOR, s * SECTOR), SECTOR);
	}
	assert_int_equal(ftruncate(f->image, IMAGE_SIZE), 0);
	snprintf(f->image_path, sizeof(f->image_path), "/proc/self/fd/%d", f->image);
	f->cow = -1;
	if (!cow)
		return;
	f->cow = memfd_create("cow", 0);
	snprintf(f->cow_path, sizeof(f->cow_path), "/proc/self/fd/%d", f->cow);
	assert_int_equal(fstat(f->image, &st), 0);
	h.mtime = st.st_mtim.tv_sec;
	cow_header_format(&h, raw);
	cow_layout(&h, &l);
	assert_int_equal(pwrite(f->cow, raw, sizeof(raw), 0), sizeof(raw));
	assert_int_equal(ftruncate(f->cow, l.end), 0);
}

static void files_free(struct files *f)
{
	close(f->image);
	if (f->cow >= 0)
		close(f->cow);
}

static int copy(int of)
{
	int fd = memfd_create("copy", 0);
	char buf[4096];
	ssize_t n;

	for (off_t at = 0; (n = pread(of, buf, sizeof(buf), at)) > 0; at += n)
		assert_int_equal(pwrite(fd, buf, n, at), n);
	return fd;
}

/* ---- random work on a device ------------------------------------------- */

/* What happened to the guest's sectors, in the order of time. */
struct event {
	uint32_t time;
	uint32_t sector, n, generation;	/* begun: n > 0; else a flush: */
	uint32_t *flushed;		/* the generations that it made durable */
};

struct work {
	struct fake_disk fake;
	struct files files;
	struct disk disk;
	struct ubd *u;
	uint32_t generation, ended[SECTORS];
	uint32_t after;					/* the last request's end */
	bool zero[1 << 16];				/* of this generation */
	unsigned busy[SECTORS];				/* readers and writers now */
	struct event *event;
	unsigned nevents, errors, flushes;
	bool torn;		/* errors are injected: a write may be there in part */
};

struct job {
	struct ubd_request rq;
	struct work *w;
	uint32_t sector, n, generation;
	uint32_t seen[SECTORS];		/* a flush: ended[] when it began */
	char buf[MAX_LEN * SECTOR];
};

static void note(struct work *w, struct event e)
{
	w->event = realloc(w->event, (w->nevents + 1) * sizeof(e));
	assert_non_null(w->event);
	e.time = w->fake.now;
	w->event[w->nevents++] = e;
}

static void check_read(struct work *w, const struct job *j)
{
	for (uint32_t i = 0; i < j->n; i++) {
		uint32_t want = w->ended[j->sector + i];
		int64_t got = stamped(j->buf + i * SECTOR, j->sector + i);

		if (w->torn ? got > (int64_t)w->generation : got != (w->zero[want] ? -1 : (int64_t)want))
			fail_msg("sector %u: generation %lld was read, %u was written",
				 j->sector + i, (long long)got, want);
	}
}

static void done(struct ubd_request *rq, int ret)
{
	struct job *j = (struct job *)rq;
	struct work *w = j->w;

	w->errors += ret < 0;
	assert_true(ret == 0 || w->torn);
	for (uint32_t i = 0; i < j->n; i++)
		w->busy[j->sector + i]--;
	if (rq->op == UBD_READ && ret == 0)
		check_read(w, j);
	if ((rq->op == UBD_WRITE || rq->op == UBD_DISCARD) && ret == 0)
		for (uint32_t i = 0; i < j->n; i++)
			w->ended[j->sector + i] = j->generation;
	if (rq->fua && ret == 0)
		for (uint32_t i = 0; i < j->n; i++)
			j->seen[j->sector + i] = j->generation;
	if ((rq->op == UBD_FLUSH || rq->fua) && ret == 0) {
		uint32_t *flushed = malloc(sizeof(j->seen));

		memcpy(flushed, j->seen, sizeof(j->seen));
		note(w, (struct event){ .flushed = flushed });
		w->flushes++;
	}
	free(j);
}

static bool free_sectors(const struct work *w, uint32_t sector, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (w->busy[sector + i])
			return false;
	return true;
}

static enum ubd_op choose(struct work *w)
{
	unsigned r = fake_random(&w->fake, 20);

	return r < 6 ? UBD_READ : r < 17 ? UBD_WRITE : r < 18 ? UBD_DISCARD : UBD_FLUSH;
}

static void submit(struct work *w)
{
	struct job *j = calloc(1, sizeof(*j));
	uint32_t at = fake_random(&w->fake, 2) ? w->after : fake_random(&w->fake, SECTORS);
	uint32_t n = 1 + fake_random(&w->fake, MAX_LEN);

	assert_non_null(j);
	j->w = w;
	j->rq.op = choose(w);
	j->rq.done = done;
	memcpy(j->seen, w->ended, sizeof(j->seen));
	if (j->rq.op != UBD_FLUSH) {
		n = MIN(n, SECTORS - at);
		if (!free_sectors(w, at, n)) {
			free(j);
			return;
		}
		j->sector = at;
		j->n = n;
		w->after = (at + n) % SECTORS;
		j->rq.offset = at * SECTOR;
		j->rq.len = n * SECTOR;
		j->rq.buf = j->buf;
	}
	for (uint32_t i = 0; i < j->n; i++)
		w->busy[at + i]++;
	if (j->rq.op == UBD_WRITE || j->rq.op == UBD_DISCARD) {
		j->generation = ++w->generation;
		assert_true(w->generation < ARRAY_SIZE(w->zero));
		w->zero[j->generation] = j->rq.op == UBD_DISCARD;
		j->rq.fua = j->rq.op == UBD_WRITE && fake_random(&w->fake, 8) == 0;
		for (uint32_t i = 0; i < n; i++)
			stamp(j->buf + i * SECTOR, at + i, j->generation);
		note(w, (struct event){ .sector = at, .n = n, .generation = j->generation });
	}
	ubd_submit(w->u, &j->rq);
}

static void work_begin(struct work *w, bool cow, unsigned seed)
{
	struct disk_spec spec = { 0 };
	struct disk_error err;

	memset(w, 0, sizeof(*w));
	fake_init(&w->fake, seed);
	files_make(&w->files, cow);
	spec.image = w->files.image_path;
	spec.cow = cow ? w->files.cow_path : NULL;
	if (disk_open(&spec, &w->disk, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(ubd_create(&w->disk, &w->fake.aio, DEPTH, &w->u), 0);
}

static void work_run(struct work *w, unsigned requests)
{
	for (unsigned i = 0; i < requests; i++) {
		unsigned some = 1 + fake_random(&w->fake, 4);

		while (some--)
			submit(w);
		ubd_run(w->u);
		for (some = fake_random(&w->fake, 5); some--;)
			fake_step(&w->fake);
	}
	while (fake_step(&w->fake))
		;
	assert_int_equal(ubd_pending(w->u), 0);
}

static void work_end(struct work *w)
{
	for (unsigned i = 0; i < w->nevents; i++)
		free(w->event[i].flushed);
	free(w->event);
	ubd_destroy(w->u);
	disk_close(&w->disk);
	files_free(&w->files);
	fake_exit(&w->fake);
}

/* All that the device says it has written is read from the files. */
static void check_files(struct work *w, const struct disk *d)
{
	static char buf[SECTORS * SECTOR];

	assert_int_equal(disk_read(d, 0, buf, sizeof(buf)), 0);
	for (uint32_t s = 0; s < SECTORS; s++) {
		int64_t got = stamped(buf + s * SECTOR, s), want = w->ended[s];

		assert_int_equal(got, w->zero[want] ? -1 : want);
	}
}

static void random_work(bool cow)
{
	for (unsigned seed = 1; seed <= 20; seed++) {
		static struct work w;

		work_begin(&w, cow, seed);
		work_run(&w, 300);
		check_files(&w, &w.disk);
		assert_true(ubd_stats(w.u)->merged > 0);
		assert_true(ubd_stats(w.u)->reads > 0 && w.flushes > 0);
		work_end(&w);
	}
}

static void test_random_cow(void **state)
{
	random_work(true);
}

static void test_random_image(void **state)
{
	random_work(false);
}

/* Requests that lie apart wait for few others, those that follow each other go out as one. */
static void test_begin(void **state)
{
	for (unsigned apart = 0; apart < 2; apart++) {
		static struct work w;

		work_begin(&w, false, 1);
		for (uint32_t i = 0; i < 4; i++) {
			struct job *j = calloc(1, sizeof(*j));

			assert_non_null(j);
			*j = (struct job){ .w = &w, .sector = i * (1 + apart), .n = 1 };
			j->rq = (struct ubd_request){
				.op = UBD_READ, .offset = j->sector * SECTOR, .len = SECTOR, .buf = j->buf, .done = done,
			};
			w.busy[j->sector]++;
			ubd_submit(w.u, &j->rq);
		}
		assert_int_equal(fake_step(&w.fake), apart);
		ubd_run(w.u);
		while (fake_step(&w.fake))
			;
		assert_int_equal(ubd_pending(w.u), 0);
		assert_int_equal(ubd_stats(w.u)->merged, apart ? 0 : 3);
		work_end(&w);
	}
}

/* ---- power cuts -------------------------------------------------------- */

/* What the guest knows at some time. */
struct known {
	uint32_t flushed[SECTORS];
	uint32_t next;		/* event */
};

static void know(const struct work *w, struct known *k, uint32_t time)
{
	for (; k->next < w->nevents && w->event[k->next].time <= time; k->next++) {
		const struct event *e = &w->event[k->next];

		for (uint32_t s = 0; e->flushed && s < SECTORS; s++)
			k->flushed[s] = MAX(k->flushed[s], e->flushed[s]);
	}
}

/* May sector @s hold @got (-1: zeros): the flushed generation or a later one? */
static bool may_hold(const struct work *w, const struct known *k, uint32_t s, int64_t got)
{
	if (got == (w->zero[k->flushed[s]] ? -1 : (int64_t)k->flushed[s]))
		return true;
	for (uint32_t i = 0; i < k->next; i++) {
		const struct event *e = &w->event[i];

		if (e->n && e->generation > k->flushed[s] && s >= e->sector && s < e->sector + e->n &&
		    got == (w->zero[e->generation] ? -1 : (int64_t)e->generation))
			return true;
	}
	return false;
}

static void check_cut(struct work *w, const struct known *k, int written, const char *image)
{
	static char buf[SECTORS * SECTOR];
	char path[32];
	struct disk_spec spec = { .image = image, .cow = image ? path : NULL, .readonly = true };
	struct disk_error err;
	struct disk d;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", written);
	if (!image)
		spec.image = path;
	if (disk_open(&spec, &d, &err) < 0)
		fail_msg("after a power cut: %s", err.text);
	assert_int_equal(disk_read(&d, 0, buf, sizeof(buf)), 0);
	for (uint32_t s = 0; s < SECTORS; s++) {
		int64_t got = stamped(buf + s * SECTOR, s);

		if (!may_hold(w, k, s, got))
			fail_msg("sector %u holds generation %lld; %u was flushed", s, (long long)got,
				 k->flushed[s]);
	}
	disk_close(&d);
}

static unsigned power_cuts(bool cow, unsigned seed)
{
	static struct work w;
	struct known k = { 0 };
	unsigned cuts = 0;
	int before, of;

	work_begin(&w, cow, seed);
	of = cow ? w.disk.cow : w.disk.image;
	before = copy(of);
	work_run(&w, 120);
	assert_true(w.flushes > 5);
	for (uint32_t t = 0; t <= w.fake.now; t++, cuts++) {
		int fd = copy(before);

		know(&w, &k, t);
		fake_cut(&w.fake, t, of, fd);
		check_cut(&w, &k, fd, cow ? w.files.image_path : NULL);
		close(fd);
	}
	close(before);
	work_end(&w);
	return cuts;
}

static void test_cuts_cow(void **state)
{
	unsigned cuts = 0;

	for (unsigned seed = 1; seed <= 8; seed++)
		cuts += power_cuts(true, seed);
	assert_true(cuts > 2000);
}

static void test_cuts_image(void **state)
{
	unsigned cuts = 0;

	for (unsigned seed = 1; seed <= 4; seed++)
		cuts += power_cuts(false, seed);
	assert_true(cuts > 1000);
}

/* ---- failing hosts ----------------------------------------------------- */

static int fail_some_writes(struct fake_disk *f, const struct fake_op *op)
{
	return op->op == AIO_WRITE && fake_random(f, 5) == 0 ? (int)f->limit : 0;
}

/* A write that fails leaves the sectors what they were, or what was to be
 * written; it is no reason for others to fail. */
static void test_failed_writes(void **state)
{
	static const int errors[] = { -ENOSPC, -EIO };

	for (unsigned i = 0; i < ARRAY_SIZE(errors); i++) {
		static struct work w;

		work_begin(&w, true, 7 + i);
		w.torn = true;
		w.fake.inject = fail_some_writes;
		w.fake.limit = errors[i];
		work_run(&w, 200);
		assert_true(w.errors > 10);
		assert_true(w.flushes > 0);
		w.fake.inject = NULL;
		w.torn = false;
		work_end(&w);
	}
}

struct one {
	struct ubd_request rq;
	int ret;
	char buf[SECTOR] __attribute__((aligned(SECTOR)));
};

static void one_done(struct ubd_request *rq, int ret)
{
	((struct one *)rq)->ret = ret;
}

static int one(struct work *w, enum ubd_op op, uint32_t sector, uint32_t generation)
{
	static struct one o;

	o = (struct one){ .rq = { .op = op, .done = one_done, .buf = o.buf }, .ret = 1 };
	if (op != UBD_FLUSH) {
		o.rq.offset = (uint64_t)sector * SECTOR;
		o.rq.len = SECTOR;
	}
	stamp(o.buf, sector, generation);
	ubd_submit(w->u, &o.rq);
	ubd_run(w->u);
	while (fake_step(&w->fake))
		;
	assert_int_not_equal(o.ret, 1);
	if (o.ret == 0 && op == UBD_READ)
		return stamped(o.buf, sector);
	return o.ret;
}

static int fail_sync(struct fake_disk *f, const struct fake_op *op)
{
	return op->op == AIO_SYNC ? -EIO : 0;
}

/* After a failed fdatasync(2) the next one may succeed without the data. */
static void test_failed_flush_stays(void **state)
{
	static struct work w;

	work_begin(&w, true, 1);
	assert_int_equal(one(&w, UBD_WRITE, 5, 1), 0);
	w.fake.inject = fail_sync;
	assert_int_equal(one(&w, UBD_FLUSH, 0, 0), -EIO);
	w.fake.inject = NULL;
	assert_int_equal(one(&w, UBD_FLUSH, 0, 0), -EIO);
	work_end(&w);
}

static int fail_bitmap(struct fake_disk *f, const struct fake_op *op)
{
	return op->op == AIO_WRITE && op->offset < f->limit ? -ENOSPC : 0;
}

/* No room for a block of the bitmap: the flush fails, and the next one writes it. */
static void test_bitmap_without_room(void **state)
{
	static struct work w;
	struct known k = { 0 };
	int written;

	work_begin(&w, true, 1);
	w.fake.limit = w.disk.map.layout.data_offset;
	w.fake.inject = fail_bitmap;
	assert_int_equal(one(&w, UBD_WRITE, 5, 1), 0);
	assert_int_equal(one(&w, UBD_FLUSH, 0, 0), -ENOSPC);
	assert_int_equal(one(&w, UBD_READ, 5, 0), 1);
	w.fake.inject = NULL;
	assert_int_equal(one(&w, UBD_FLUSH, 0, 0), 0);
	k.flushed[5] = 1;
	written = copy(w.files.cow);
	check_cut(&w, &k, written, w.files.image_path);
	close(written);
	work_end(&w);
}

static void test_refused(void **state)
{
	static struct work w;
	struct one o = { .rq = { .op = UBD_READ, .done = one_done, .buf = o.buf, .len = 100 } };

	work_begin(&w, true, 1);
	assert_int_equal(one(&w, UBD_WRITE, SECTORS, 1), -ENOSPC);
	assert_int_equal(one(&w, UBD_READ, SECTORS, 1), -EIO);
	assert_int_equal(one(&w, UBD_READ, UINT32_MAX, 1), -EIO);
	ubd_submit(w.u, &o.rq);
	assert_int_equal(o.ret, -EINVAL);
	w.disk.readonly = true;
	assert_int_equal(one(&w, UBD_WRITE, 1, 1), -EROFS);
	assert_int_equal(one(&w, UBD_DISCARD, 1, 1), -EROFS);
	work_end(&w);
}

/* Nobody keeps root from changing an image that lies below a COW file. */
static void test_changed_base(void **state)
{
	const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	struct disk_spec spec = { 0 };
	struct disk_error err;
	static struct work w;
	struct disk d;

	work_begin(&w, true, 1);
	assert_int_equal(one(&w, UBD_WRITE, 5, 1), 0);
	assert_int_equal(futimens(w.files.image, times), 0);
	assert_int_equal(one(&w, UBD_FLUSH, 0, 0), -EIO);
	assert_int_equal(one(&w, UBD_READ, 1, 0), -EIO);
	disk_close(&w.disk);
	spec = (struct disk_spec){ .image = w.files.image_path, .cow = w.files.cow_path };
	assert_int_equal(disk_open(&spec, &d, &err), -ESTALE);
	assert_non_null(strstr(err.text, "changed"));
	work_end(&w);
}

/* ---- the format -------------------------------------------------------- */

static void header_bad(size_t at, uint32_t be, const char *why)
{
	struct cow_header h = { .size = 4096, .alignment = 4096, .backing = "/base" }, got;
	uint8_t raw[COW_HEADER_SIZE];
	struct disk_error err = { "" };

	cow_header_format(&h, raw);
	assert_int_equal(cow_header_parse(raw, &got, &err), 0);
	for (int i = 0; i < 4; i++)
		raw[at + i] = be >> (24 - 8 * i);
	assert_int_equal(cow_header_parse(raw, &got, &err), -EINVAL);
	if (!strstr(err.text, why))
		fail_msg("'%s' does not say '%s'", err.text, why);
}

static void test_header(void **state)
{
	header_bad(0, 0x4d4f4f4f, "little-endian");
	header_bad(0, 0x51464900, "not a COW file");
	header_bad(4, 4, "version 4");
	header_bad(4, 2, "version 2");
	header_bad(12, 0x80000000, "bytes");
	header_bad(16, 0, "bytes");
	header_bad(20, 4096, "sector size");
	header_bad(24, 0, "alignment of 0");
	header_bad(24, 1000, "alignment");
	header_bad(28, 1, "format 1");
	header_bad(32, 0, "absolute");
}

/* As the description of the format works it out. */
static void test_layout(void **state)
{
	struct cow_header h = { .size = 100 * 512 + 1, .alignment = 4096 };
	struct cow_layout l;

	cow_layout(&h, &l);
	assert_int_equal(l.sectors, 101);
	assert_int_equal(l.bitmap_offset, 8192);
	assert_int_equal(l.bitmap_len, 13);
	assert_int_equal(l.data_offset, 12288);
	h.alignment = 512;
	cow_layout(&h, &l);
	assert_int_equal(l.bitmap_offset, 4608);
	assert_int_equal(l.data_offset, 5120);
}

/* ---- locks ------------------------------------------------------------- */

static int try(const char *image, const char *cow, bool readonly)
{
	struct disk_spec spec = { .image = image, .cow = cow, .readonly = readonly };
	struct disk_error err;
	struct disk d;
	int ret = disk_open(&spec, &d, &err);

	if (ret == -EBUSY && !strstr(err.text, "in use: another guest"))
		fail_msg("%s", err.text);
	disk_close(&d);
	return ret;
}

static void test_locks(void **state)
{
	struct disk_error err;
	struct disk_spec spec;
	struct files f;
	struct disk d;

	files_make(&f, true);
	spec = (struct disk_spec){ .image = f.image_path, .cow = f.cow_path };
	assert_int_equal(disk_open(&spec, &d, &err), 0);
	assert_int_equal(try(f.image_path, f.cow_path, false), -EBUSY);
	assert_int_equal(try(f.image_path, f.cow_path, true), -EBUSY);
	assert_int_equal(try(f.image_path, NULL, false), -EBUSY);
	assert_int_equal(try(f.image_path, NULL, true), 0);
	disk_close(&d);
	assert_int_equal(try(f.image_path, f.cow_path, false), 0);
	files_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_locks),
		cmocka_unit_test(test_random_cow),
		cmocka_unit_test(test_random_image),
		cmocka_unit_test(test_begin),
		cmocka_unit_test(test_cuts_cow),
		cmocka_unit_test(test_cuts_image),
		cmocka_unit_test(test_failed_writes),
		cmocka_unit_test(test_failed_flush_stays),
		cmocka_unit_test(test_bitmap_without_room),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_changed_base),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
