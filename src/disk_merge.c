/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_merge.c - weir disk merge, commit and convert
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "disk_cmd.h"
#include "disk_file.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

/* ---- merge ------------------------------------------------------------- */

static int copy_to_new(const struct disk *d, const char *what, const char *to, bool replace,
		       struct disk_error *err)
{
	struct disk_error why;
	struct progress p;
	struct new_file f;
	int ret = new_file_begin(&f, to, replace, err);

	if (ret == 0) {
		progress_begin(&p, what, d->size);
		ret = disk_copy(d, f.fd, false, &p, &why);
		progress_end(&p);
		if (ret < 0)
			disk_fail(err, ret, "%s: nothing was made: %.300s", to, why.text);
	}
	if (ret == 0)
		ret = new_file_finish(&f, err);
	new_file_end(&f);
	return ret;
}

int disk_merge(const char *cow, const char *base, const char *to, bool replace, struct disk_error *err)
{
	const struct disk_spec spec = { .image = base, .cow = cow, .readonly = true };
	struct disk d;
	int ret = disk_open(&spec, &d, err);

	if (ret < 0)
		return ret;
	ret = copy_to_new(&d, "merge", to, replace, err);
	disk_close(&d);
	return ret;
}

/* ---- commit ------------------------------------------------------------ */

/* The base as a file to write, alone. */
static int open_base(struct disk *d, struct disk_error *err)
{
	struct flock none = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
	cleanup_fd int fd = host_open(d->image_path, O_RDWR, 0);
	struct stat st;
	int ret;

	if (fd < 0)
		return disk_fail(err, fd, "%s: cannot be opened for writing: %s", d->image_path,
				 strerror(-fd));
	/* Ours to read would be in our own way. */
	host_result(fcntl(d->image, F_OFD_SETLK, &none));
	ret = disk_lock(fd, d->image_path, true, err);
	if (ret < 0)
		return ret;
	if (host_result(fstat(fd, &st)) < 0 || st.st_ino != d->image_stat.st_ino || disk_base_changed(d))
		return disk_fail(err, -ESTALE, "%s: was changed just now; try again", d->image_path);
	return take_fd(&fd);
}

/* Have room for all of it before any of it is written. */
static int reserve(const struct disk *d, int base, struct disk_error *err)
{
	for (uint64_t at = 0, n; at < d->size; at += n) {
		uint64_t place;
		bool cow;
		int ret = 0;

		n = disk_place(d, at, d->size - at, &cow, &place);
		if (cow)
			ret = host_result(fallocate(base, FALLOC_FL_KEEP_SIZE, at, MIN(n, d->image_size - at)));
		if (ret == -EOPNOTSUPP)
			return 0;
		if (ret < 0)
			return disk_fail(err, ret, "%s: nothing was changed: %s", d->image_path, strerror(-ret));
	}
	return 0;
}

/* COW files that others have on this base must see that it was changed, and their
 * clock has seconds only. */
static int new_time(const struct disk *d, int base)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	struct stat st;
	int ret = host_result(fstat(base, &st));

	if (ret < 0 || (uint32_t)st.st_mtim.tv_sec != d->header.mtime)
		return ret;
	times[1].tv_sec = st.st_mtim.tv_sec + 1;
	return host_result(futimens(base, times));
}

static int write_base(const struct disk *d, int base, struct disk_error *err)
{
	struct disk_error why;
	struct progress p;
	int ret;

	progress_begin(&p, "commit", d->size);
	ret = disk_copy(d, base, true, &p, &why);
	if (ret == 0) {
		ret = new_time(d, base);
		if (ret == 0)
			ret = host_result(fsync(base));
		snprintf(why.text, sizeof(why.text), "%s", strerror(-ret));
	}
	progress_end(&p);
	return ret < 0 ? disk_fail(err, ret, "%s: %.200s; all is still in %s: commit it again with --again",
				   d->image_path, why.text, d->cow_path) : 0;
}

/* A base that an interrupted commit has changed in part: with the COW file over it
 * it reads as before, so nothing is lost by going on. */
static int forget_time(const char *cow, const char *base, struct disk_error *err)
{
	cleanup_fd int fd = host_open(cow, O_RDWR, 0);
	struct cow_header h;
	struct disk_error why;
	uint8_t raw[COW_HEADER_SIZE];
	struct stat st;
	int ret;

	if (fd < 0)
		return disk_fail(err, fd, "%s: %s", cow, strerror(-fd));
	ret = disk_lock(fd, cow, true, err);
	if (ret < 0)
		return ret;
	ret = disk_read_header(fd, &h, &why);
	if (ret < 0)
		return disk_fail(err, ret, "%s: %.400s", cow, why.text);
	ret = host_result(stat(base ? base : h.backing, &st));
	if (ret < 0)
		return disk_fail(err, ret, "%s: %s", base ? base : h.backing, strerror(-ret));
	h.mtime = st.st_mtim.tv_sec;
	cow_header_format(&h, raw);
	ret = host_result(pwrite(fd, raw, sizeof(raw), 0));
	return ret < 0 ? disk_fail(err, ret, "%s: %s", cow, strerror(-ret)) : 0;
}

int disk_commit(const char *cow, const char *base, bool again, struct disk_error *err)
{
	const struct disk_spec spec = { .image = base, .cow = cow };
	cleanup_free char *path = NULL;
	cleanup_fd int fd = -1;
	struct disk d;
	int ret = again ? forget_time(cow, base, err) : 0;

	if (ret == 0)
		ret = disk_open(&spec, &d, err);
	if (ret < 0)
		return ret;
	fd = open_base(&d, err);
	ret = fd < 0 ? fd : reserve(&d, fd, err);
	if (ret == 0)
		ret = write_base(&d, fd, err);
	path = strdup(d.image_path);
	if (ret == 0 && !path)
		ret = disk_fail(err, -ENOMEM, "no memory");
	/* The base is free for the new COW file, and the old one still locked. */
	cleanup_fd_p(&fd);
	fd = -1;
	if (ret == 0)
		ret = disk_make_cow(path, cow, true, err);
	disk_close(&d);
	return ret;
}

/* ---- convert ----------------------------------------------------------- */

#define HEAD 512

/* Formats by their first bytes. */
static const struct format {
	const char *name, *magic;
	size_t len;
} formats[] = {
	{ "qcow2", "QFI\xfb\0\0\0", 7 },	/* and a version of 2 or 3 */
	{ "vmdk", "KDMV", 4 },
	{ "vhdx", "vhdxfile", 8 },
	{ "vdi", "<<< ", 4 },
	{ "cow", "OOOM", 4 },
};

static const char *look(const uint8_t *head)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (!memcmp(head, formats[i].magic, formats[i].len))
			return formats[i].name;
	return "raw";
}

/* A file that names others would have us read those, whoever made it: bytes 8 to
 * 15 of a qcow2 file say where the name of its backing file is, bit 2 of byte 79
 * that its data is elsewhere. */
static int check_qcow2(const uint8_t *head, const char *from, struct disk_error *err)
{
	static const uint8_t none[8];

	if (memcmp(head + 8, none, sizeof(none)))
		return disk_fail(err, -EINVAL, "%s: has a backing file; make it whole first: qemu-img convert -O qcow2",
				 from);
	if (head[7] >= 3 && (head[79] & 4))
		return disk_fail(err, -EINVAL, "%s: has its data in another file; make it whole first: qemu-img convert -O qcow2",
				 from);
	return 0;
}

static int run_qemu_img(const char *from, const char *format, struct new_file *f, struct disk_error *err)
{
	char why[256] = "";
	char *argv[] = { (char *)"qemu-img", (char *)"convert", (char *)"-f", (char *)format,
			 (char *)"-O", (char *)"raw", (char *)from, f->path, NULL };
	int ret = disk_helper(argv, why, sizeof(why));

	if (ret == -ENOENT)
		return disk_fail(err, ret, "there is no qemu-img, which reads %s; install qemu-utils", format);
	if (ret < 0)
		return disk_fail(err, ret, "qemu-img: %s", strerror(-ret));
	return ret ? disk_fail(err, -EIO, "%s: nothing was made: %s", from, why) : 0;
}

static int convert_other(const char *from, const char *format, const char *to, bool replace,
			 struct disk_error *err)
{
	struct new_file f;
	int ret = new_file_begin(&f, to, replace, err);

	if (ret == 0)
		ret = run_qemu_img(from, format, &f, err);
	if (ret == 0)
		ret = new_file_finish(&f, err);
	new_file_end(&f);
	return ret;
}

int disk_convert(const char *from, const char *format, const char *to, bool replace,
		 struct disk_error *err)
{
	const struct disk_spec spec = { .image = from, .readonly = true };
	cleanup_fd int fd = host_open(from, O_RDONLY, 0);
	uint8_t head[HEAD] = { 0 };
	struct disk d;
	long ret = fd < 0 ? fd : host_result(pread(fd, head, sizeof(head), 0));

	if (ret < 0)
		return disk_fail(err, ret, "%s: %s", from, strerror(-ret));
	if (!format)
		format = look(head);
	/* What a guest has written to its disk must not make us read other files. */
	if (streq(format, "cow"))
		return disk_fail(err, -EINVAL, "%s: is a COW file; weir disk merge makes an image of it and its backing file",
				 from);
	if (!streq(format, "raw")) {
		ret = streq(format, "qcow2") ? check_qcow2(head, from, err) : 0;
		return ret < 0 ? (int)ret : convert_other(from, format, to, replace, err);
	}
	ret = disk_open(&spec, &d, err);
	if (ret < 0)
		return ret;
	ret = copy_to_new(&d, "convert", to, replace, err);
	disk_close(&d);
	return ret;
}
