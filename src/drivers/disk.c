/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.c - opening, locking and reading the files of a disk
 */
#include "drivers/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define PROBE_ALIGN 4096

int64_t disk_file_size(int fd)
{
	return host_result(lseek(fd, 0, SEEK_END));
}

/* ---- locks ------------------------------------------------------------- */

int disk_lock(int fd, const char *path, bool write, struct disk_error *err)
{
	struct flock want = { .l_type = write ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };
	struct flock has = want;
	int ret = host_result(fcntl(fd, F_OFD_SETLK, &want));

	if (ret != -EAGAIN && ret != -EACCES)
		return ret < 0 ? disk_fail(err, ret, "%s: cannot be locked: %s", path, strerror(-ret)) : 0;
	/* An open file description has no process that could be named. */
	if (host_result(fcntl(fd, F_OFD_GETLK, &has)) == 0 && has.l_type != F_UNLCK && has.l_pid > 0)
		return disk_fail(err, -EBUSY, "%s: in use: process %d %s it; end that first", path,
				 has.l_pid, has.l_type == F_WRLCK ? "writes" : "reads");
	return disk_fail(err, -EBUSY, "%s: in use: another guest %s it; stop that guest, or give each a COW file of its own",
			 path, has.l_type == F_RDLCK ? "reads" : "writes");
}

/* ---- opening ----------------------------------------------------------- */

/* With O_DIRECT a sector must be readable alone: the guest's are 512 bytes. */
static int probe_direct(int fd, const char *path, struct disk_error *err)
{
	cleanup_free void *buf = aligned_alloc(PROBE_ALIGN, PROBE_ALIGN);
	long ret;

	if (!buf)
		return disk_fail(err, -ENOMEM, "no memory for a disk");
	ret = host_result(pread(fd, buf, COW_SECTOR, 0));
	if (ret == -EINVAL)
		return disk_fail(err, -EINVAL, "%s: its host disk has larger blocks than 512 bytes for direct access; write direct = no",
				 path);
	return ret < 0 ? disk_fail(err, ret, "%s: cannot be read: %s", path, strerror(-ret)) : 0;
}

/* Was the file opened for what a disk does with it? */
static int check_given(int fd, int flags)
{
	int has = host_result(fcntl(fd, F_GETFL));

	if (has < 0)
		return has;
	return ((has ^ flags) & (O_ACCMODE | O_DIRECT)) == 0 ? 0 : -EBADF;
}

/* @given: opened by somebody else, -1: by us. */
static int open_file(const char *path, int given, bool write, bool direct, struct disk_error *err)
{
	int flags = (write ? O_RDWR : O_RDONLY) | O_NONBLOCK | (direct ? O_DIRECT : 0);
	cleanup_fd int fd = given >= 0 ? given : host_open(path, flags, 0);
	struct stat st;
	int ret;

	if (given >= 0 && check_given(fd, flags) < 0)
		return disk_fail(err, -EBADF, "%s: was not opened for %s", path, write ? "writing" : "reading");
	if (fd == -EINVAL && direct)
		return disk_fail(err, fd, "%s: its file system has no direct access (O_DIRECT); write direct = no",
				 path);
	if (fd < 0)
		return disk_fail(err, fd, "%s: cannot be opened for %s: %s", path,
				 write ? "writing" : "reading", strerror(-fd));
	ret = host_result(fstat(fd, &st));
	if (ret < 0)
		return disk_fail(err, ret, "%s: %s", path, strerror(-ret));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return disk_fail(err, -EINVAL, "%s: is no file and no block device; a disk is one of the two",
				 path);
	ret = disk_lock(fd, path, write, err);
	if (ret == 0 && direct)
		ret = probe_direct(fd, path, err);
	return ret < 0 ? ret : take_fd(&fd);
}

int disk_read_header(int fd, struct cow_header *ret_h, struct disk_error *err)
{
	size_t room = 2 * PROBE_ALIGN;
	cleanup_free uint8_t *raw = aligned_alloc(PROBE_ALIGN, room);
	long ret;

	if (!raw)
		return disk_fail(err, -ENOMEM, "no memory for a disk");
	ret = host_result(pread(fd, raw, room, 0));
	if (ret < 0)
		return disk_fail(err, ret, "cannot be read: %s", strerror(-ret));
	if (ret < (long)COW_HEADER_SIZE)
		return disk_fail(err, -EINVAL, "too short for a COW file; name it as image instead");
	return cow_header_parse(raw, ret_h, err);
}

static int read_map(struct disk *d, struct disk_error *err)
{
	const struct cow_layout *l = &d->map.layout;
	size_t want = (l->bitmap_len + COW_SECTOR - 1) / COW_SECTOR * COW_SECTOR, done = 0;
	unsigned last = l->sectors % 8;

	while (done < want) {
		long n = host_result(pread(d->cow, d->map.bits + done, want - done,
					   l->bitmap_offset + done));

		if (n < 0)
			return disk_fail(err, n, "%s: cannot be read: %s", d->cow_path, strerror(-n));
		if (n == 0)
			break;
		done += n;
	}
	if (done < l->bitmap_len)
		return disk_fail(err, -EINVAL, "%s: cut off within its bitmap; it cannot be used", d->cow_path);
	/* What other programs left behind the last sector's bit says nothing. */
	memset(d->map.bits + l->bitmap_len, 0, want - l->bitmap_len);
	if (last)
		d->map.bits[l->bitmap_len - 1] &= (1u << last) - 1;
	return 0;
}

static int open_cow(struct disk *d, const struct disk_spec *spec, struct disk_error *err)
{
	struct disk_error why;
	int ret;

	d->cow = open_file(spec->cow, take_fd(&d->cow), !spec->readonly, spec->direct, err);
	if (d->cow < 0)
		return d->cow;
	ret = disk_read_header(d->cow, &d->header, &why);
	if (ret < 0)
		return disk_fail(err, ret, "%s: %.400s", spec->cow, why.text);
	ret = cow_map_init(&d->map, &d->header);
	if (ret < 0)
		return disk_fail(err, ret, "%s: no memory for the bitmap of %llu bytes", spec->cow,
				 (unsigned long long)d->header.size);
	return read_map(d, err);
}

static int check_base(const struct disk *d, struct disk_error *err)
{
	if (d->image_size != d->header.size)
		return disk_fail(err, -ESTALE, "%s: has %llu bytes, but %s was made for %llu; the base of a COW file must not change",
				 d->image_path, (unsigned long long)d->image_size, d->cow_path,
				 (unsigned long long)d->header.size);
	if ((uint32_t)d->image_stat.st_mtim.tv_sec != d->header.mtime)
		return disk_fail(err, -ESTALE, "%s: was changed since %s was made on it; if only its time is another: touch -d @%u %s",
				 d->image_path, d->cow_path, d->header.mtime, d->image_path);
	return 0;
}

/* A guest that writes to a COW file as if it were an image destroys it. */
static int check_plain(struct disk *d, struct disk_error *err)
{
	cleanup_free uint8_t *head = aligned_alloc(PROBE_ALIGN, PROBE_ALIGN);
	long n = head ? host_result(pread(d->image, head, PROBE_ALIGN, 0)) : -ENOMEM;

	if (n < 0)
		return disk_fail(err, n, "%s: cannot be read: %s", d->image_path, strerror(-n));
	if (n >= 8 && !memcmp(head, "OOOM\0\0\0\3", 8))
		return disk_fail(err, -EINVAL, "%s: is a COW file and no image; name it as cow", d->image_path);
	return 0;
}

static int open_image(struct disk *d, const struct disk_spec *spec, struct disk_error *err)
{
	const char *path = spec->image ? spec->image : d->header.backing;
	int64_t size;
	int ret;

	d->image_path = strdup(path);
	if (!d->image_path)
		return disk_fail(err, -ENOMEM, "no memory for a disk");
	d->image = open_file(path, take_fd(&d->image), !spec->cow && !spec->readonly, spec->direct, err);
	if (d->image < 0)
		return d->image;
	ret = host_result(fstat(d->image, &d->image_stat));
	size = ret < 0 ? ret : disk_file_size(d->image);
	if (size < 0)
		return disk_fail(err, size, "%s: its size cannot be had: %s", path, strerror(-size));
	if (size == 0 || (uint64_t)size > COW_MAX_SIZE)
		return disk_fail(err, -EINVAL, "%s: has %lld bytes; a disk has from 1 to 64T", path,
				 (long long)size);
	d->image_size = size;
	d->size = (size + COW_SECTOR - 1) / COW_SECTOR * COW_SECTOR;
	return spec->cow ? check_base(d, err) : check_plain(d, err);
}

int disk_open(const struct disk_spec *spec, struct disk *d, struct disk_error *err)
{
	int ret = 0;

	*d = (struct disk){ .image = -1, .cow = -1, .readonly = spec->readonly };
	if (spec->given) {
		d->image = spec->given->image;
		d->cow = spec->given->cow;
	}
	if (spec->cow) {
		d->cow_path = strdup(spec->cow);
		ret = d->cow_path ? open_cow(d, spec, err) :
				    disk_fail(err, -ENOMEM, "no memory for a disk");
	}
	if (ret == 0)
		ret = open_image(d, spec, err);
	if (ret < 0)
		disk_close(d);
	return ret;
}

void disk_close(struct disk *d)
{
	cow_map_exit(&d->map);
	cleanup_fd_p(&d->image);
	cleanup_fd_p(&d->cow);
	free(d->image_path);
	free(d->cow_path);
	*d = (struct disk){ .image = -1, .cow = -1 };
}

/* ---- reading ----------------------------------------------------------- */

bool disk_base_changed(const struct disk *d)
{
	struct stat st;

	if (d->cow < 0)
		return false;
	return host_result(fstat(d->image, &st)) < 0 || st.st_size != d->image_stat.st_size ||
	       st.st_mtim.tv_sec != d->image_stat.st_mtim.tv_sec ||
	       st.st_mtim.tv_nsec != d->image_stat.st_mtim.tv_nsec;
}

uint64_t disk_place(const struct disk *d, uint64_t offset, uint64_t len, bool *cow, uint64_t *place)
{
	uint64_t n;

	*cow = false;
	*place = offset;
	if (d->cow < 0)
		return len;
	n = cow_map_run(&d->map, offset / COW_SECTOR, len / COW_SECTOR, cow) * COW_SECTOR;
	if (*cow)
		*place = d->map.layout.data_offset + offset;
	return n;
}

static int read_piece(int fd, uint64_t place, char *buf, uint64_t len)
{
	while (len > 0) {
		long n = host_result(pread(fd, buf, len, place));

		if (n < 0)
			return n;
		/* With O_DIRECT, what is left after an odd end cannot be asked for. */
		if (n == 0 || n % COW_SECTOR) {
			memset(buf + n, 0, len - n);
			break;
		}
		buf += n;
		place += n;
		len -= n;
	}
	return 0;
}

int disk_read(const struct disk *d, uint64_t offset, void *buf, uint64_t len)
{
	for (uint64_t done = 0, n; done < len; done += n) {
		uint64_t place;
		bool cow;
		int ret;

		n = disk_place(d, offset + done, len - done, &cow, &place);
		ret = read_piece(cow ? d->cow : d->image, place, (char *)buf + done, n);
		if (ret < 0)
			return ret;
	}
	return 0;
}
