/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_make.c - weir disk create: an empty disk, a COW file, an image of a directory
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "disk_cmd.h"
#include "disk_file.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define MIB (UINT64_C(1) << 20)
#define MIN_SIZE 4096u
#define ROUND_UP(v, to) (((v) + (to) - 1) / (to) * (to))

static int set_size(const struct new_file *f, uint64_t size, struct disk_error *err)
{
	int ret = host_result(ftruncate(f->fd, size));

	return ret < 0 ? disk_fail(err, ret, "%s: cannot have %llu bytes: %s", f->name,
				   (unsigned long long)size, strerror(-ret)) : 0;
}

/* ---- a COW file -------------------------------------------------------- */

static int write_cow(const struct new_file *f, const struct cow_header *h, struct disk_error *err)
{
	uint8_t raw[COW_HEADER_SIZE];
	struct cow_layout l;
	ssize_t n;
	int ret;

	cow_header_format(h, raw);
	cow_layout(h, &l);
	n = host_write(f->fd, raw, sizeof(raw));
	ret = n < 0 ? n : host_result(ftruncate(f->fd, l.end));
	/* Room for the bitmap, so that a flush does not find the host's disk full. A
	 * file system that cannot is no reason to fail. */
	if (ret == 0)
		ret = host_result(fallocate(f->fd, FALLOC_FL_KEEP_SIZE, 0, l.data_offset));
	if (ret == -EOPNOTSUPP)
		ret = 0;
	return ret < 0 ? disk_fail(err, ret, "%s: cannot be written: %s", f->name, strerror(-ret)) : 0;
}

static int base_header(const char *path, struct cow_header *h, struct disk_error *err)
{
	const struct disk_spec spec = { .image = path, .readonly = true };
	struct disk d;
	char *real;
	int ret = disk_open(&spec, &d, err);

	if (ret < 0)
		return ret;
	*h = (struct cow_header){
		.mtime = d.image_stat.st_mtim.tv_sec, .size = d.image_size, .alignment = COW_ALIGNMENT,
	};
	disk_close(&d);
	real = realpath(path, NULL);
	if (!real || strlen(real) >= COW_PATH_SIZE)
		ret = disk_fail(err, -ENAMETOOLONG, "%s: its absolute path does not fit a COW file", path);
	else
		strcpy(h->backing, real);
	free(real);
	return ret;
}

int disk_make_cow(const char *base, const char *path, bool replace, struct disk_error *err)
{
	struct cow_header h;
	struct new_file f;
	int ret = base_header(base, &h, err);

	if (ret < 0)
		return ret;
	ret = new_file_begin(&f, path, replace, err);
	if (ret == 0)
		ret = write_cow(&f, &h, err);
	if (ret == 0)
		ret = new_file_finish(&f, err);
	new_file_end(&f);
	return ret;
}

/* ---- an image of a directory ------------------------------------------- */

static uint64_t tree_bytes, tree_files;

static int add_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	tree_files++;
	if (!S_ISBLK(st->st_mode) && !S_ISCHR(st->st_mode))
		tree_bytes += ROUND_UP((uint64_t)st->st_size, MIN_SIZE);
	return 0;
}

/* Room for the files, an eighth more for where they are and what they are called,
 * for the inodes (256 bytes each) and a journal, and some to live in. */
static int tree_size(const char *dir, uint64_t *ret_size, struct disk_error *err)
{
	int ret;

	tree_bytes = tree_files = 0;
	ret = host_result(nftw(dir, add_file, 32, FTW_PHYS | FTW_MOUNT));
	if (ret < 0)
		return disk_fail(err, ret, "%s: %s", dir, strerror(-ret));
	*ret_size = ROUND_UP(tree_bytes / 8 * 9 + tree_files * 512 + 96 * MIB, MIB);
	return 0;
}

static int run_mke2fs(const struct disk_create *c, const char *to, struct disk_error *err)
{
	char why[256] = "", inodes[32] = "";
	char *argv[16] = { (char *)"mke2fs", (char *)"-q", (char *)"-F", (char *)"-t",
			   (char *)"ext4", (char *)"-L", (char *)"weir-root" };
	int n = 7, ret;

	if (c->from) {
		snprintf(inodes, sizeof(inodes), "%llu", (unsigned long long)(tree_files + tree_files / 4 + 4096));
		argv[n++] = (char *)"-N";
		argv[n++] = inodes;
		argv[n++] = (char *)"-d";
		argv[n++] = (char *)c->from;
	}
	argv[n++] = (char *)to;
	ret = disk_helper(argv, why, sizeof(why));
	if (ret == -ENOENT)
		return disk_fail(err, ret, "there is no mke2fs, which makes file systems; install e2fsprogs");
	if (ret < 0)
		return disk_fail(err, ret, "mke2fs: %s", strerror(-ret));
	if (ret > 0)
		return disk_fail(err, -EIO, "mke2fs has failed: %s%s", why[0] ? why : "it does not say why",
				 c->from ? "; if it is the room, write a larger --size" : "");
	return 0;
}

int disk_make(const struct disk_create *c, struct disk_error *err)
{
	uint64_t size = c->size, needed = 0;
	struct new_file f;
	int ret = c->from ? tree_size(c->from, &needed, err) : 0;

	if (ret < 0)
		return ret;
	size = size ? size : needed;
	if (size < MIN_SIZE || size > COW_MAX_SIZE)
		return disk_fail(err, -EINVAL, "a disk has from 4K to 64T, not %llu bytes", (unsigned long long)size);
	ret = new_file_begin(&f, c->path, c->replace, err);
	if (ret == 0)
		ret = set_size(&f, ROUND_UP(size, COW_SECTOR), err);
	if (ret == 0 && c->file_system)
		ret = run_mke2fs(c, f.path, err);
	if (ret == 0)
		ret = new_file_finish(&f, err);
	new_file_end(&f);
	return ret;
}
