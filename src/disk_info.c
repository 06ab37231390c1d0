/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_info.c - weir disk info and check
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "disk_cmd.h"
#include "disk_file.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define EXT_MAGIC_AT (1024 + 56)	/* of ext2, ext3 and ext4: 0xef53, little-endian */

static void print_json(json_t *o)
{
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(o);
}

/* Sectors in the COW file, out of its bitmap; -1 if that cannot be read. */
static int64_t count_sectors(int fd, const struct cow_header *h)
{
	int64_t n = -1;
	struct cow_map m;

	if (cow_map_init(&m, h) < 0)
		return -1;
	if (host_result(pread(fd, m.bits, m.layout.bitmap_len, m.layout.bitmap_offset)) ==
	    (long)m.layout.bitmap_len)
		n = cow_map_count(&m);
	cow_map_exit(&m);
	return n;
}

static const char *base_state(const struct cow_header *h)
{
	struct stat st;

	if (host_result(stat(h->backing, &st)) < 0)
		return "missing";
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size != h->size)
		return "changed";
	return (uint32_t)st.st_mtim.tv_sec == h->mtime ? "unchanged" : "changed";
}

static json_t *facts(const char *path, int fd, const struct stat *st, const struct cow_header *h)
{
	int64_t size = disk_file_size(fd);
	json_t *o = json_pack("{s:s s:s s:I s:I}", "file", path, "format", h ? "cow" : "raw",
			      "size_bytes", (json_int_t)(h ? (int64_t)h->size : size),
			      "allocated_bytes", (json_int_t)st->st_blocks * 512);

	if (h)
		json_object_update_new(o, json_pack("{s:s s:s s:I s:I s:I s:I}", "backing", h->backing,
			"backing_state", base_state(h), "backing_mtime", (json_int_t)h->mtime,
			"alignment_bytes", (json_int_t)h->alignment,
			"sectors", (json_int_t)((h->size + COW_SECTOR - 1) / COW_SECTOR),
			"cow_sectors", (json_int_t)count_sectors(fd, h)));
	return o;
}

static void print_facts(json_t *o)
{
	long long cow = json_integer_value(json_object_get(o, "cow_sectors"));

	printf("file       %s\nformat     %s\nsize       %lld bytes\nallocated  %lld bytes\n",
	       json_string_value(json_object_get(o, "file")),
	       json_string_value(json_object_get(o, "format")),
	       (long long)json_integer_value(json_object_get(o, "size_bytes")),
	       (long long)json_integer_value(json_object_get(o, "allocated_bytes")));
	if (json_object_get(o, "backing"))
		printf("backing    %s (%s)\nwritten    %lld of %lld sectors\n",
		       json_string_value(json_object_get(o, "backing")),
		       json_string_value(json_object_get(o, "backing_state")), cow,
		       (long long)json_integer_value(json_object_get(o, "sectors")));
	json_decref(o);
}

int disk_is_cow(int fd)
{
	char magic[4] = "";
	int ret = host_result(pread(fd, magic, sizeof(magic), 0));

	return ret < 0 ? ret : !memcmp(magic, "OOOM", sizeof(magic));
}

int disk_info(const char *path, bool json, struct disk_error *err)
{
	cleanup_fd int fd = host_open(path, O_RDONLY | O_NONBLOCK, 0);
	struct disk_error why;
	struct cow_header h;
	struct stat st;
	int ret = fd < 0 ? fd : host_result(fstat(fd, &st));
	bool cow;

	if (ret < 0)
		return disk_fail(err, ret, "%s: %s", path, strerror(-ret));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return disk_fail(err, -EINVAL, "%s: is no file and no block device; a disk is one of the two",
				 path);
	cow = disk_is_cow(fd) > 0;
	if (cow) {
		ret = disk_read_header(fd, &h, &why);
		if (ret < 0)
			return disk_fail(err, ret, "%s: %.400s", path, why.text);
	}
	(json ? print_json : print_facts)(facts(path, fd, &st, cow ? &h : NULL));
	return 0;
}

/* ---- check ------------------------------------------------------------- */

/* Do the sectors that the bitmap names lie within the file? */
static void check_extent(const struct disk *d, struct disk_error *found)
{
	int64_t end = disk_file_size(d->cow);

	for (uint64_t at = 0, n; at < d->size; at += n) {
		uint64_t place;
		bool cow;

		n = disk_place(d, at, d->size - at, &cow, &place);
		if (cow && (int64_t)(place + MIN(n, d->image_size - at)) > end) {
			disk_fail(found, 0, "%s: sector %llu is said to be in the file, which ends before it",
				  d->cow_path, (unsigned long long)(at / COW_SECTOR));
			return;
		}
	}
}

/* The file system of a whole image, by e2fsck, which changes nothing. */
static const char *check_ext(const char *path, int fd, struct disk_error *found)
{
	char *argv[] = { (char *)"e2fsck", (char *)"-fn", (char *)path, NULL };
	uint8_t magic[2] = { 0 };
	char why[256] = "";
	int ret;

	if (host_result(pread(fd, magic, sizeof(magic), EXT_MAGIC_AT)) != sizeof(magic) ||
	    magic[0] != 0x53 || magic[1] != 0xef)
		return "none";
	ret = disk_helper(argv, why, sizeof(why));
	if (ret < 0)
		return "unchecked";
	if (ret)
		disk_fail(found, 0, "%s: its file system is not clean; e2fsck -fn %s says why", path, path);
	return "ext";
}

/* A disk is looked at as what it is: @spec is filled in. Return: is it a COW file? */
static bool look(const char *path, const char *base, struct disk_spec *spec)
{
	cleanup_fd int fd = host_open(path, O_RDONLY | O_NONBLOCK, 0);
	bool cow = fd >= 0 && disk_is_cow(fd) > 0;

	*spec = (struct disk_spec){ .image = cow ? base : path, .cow = cow ? path : NULL, .readonly = true };
	return cow;
}

int disk_check(const char *path, const char *base, bool json, bool *ret_ok, struct disk_error *err)
{
	struct disk_error found = { "" };
	const char *fs = "none";
	struct disk_spec spec;
	bool cow = look(path, base, &spec);
	struct disk d;
	int ret = disk_open(&spec, &d, &found);

	/* What cannot be looked at is not known to be bad. */
	if (ret < 0 && (!cow || (ret != -EINVAL && ret != -ESTALE)))
		return disk_fail(err, ret, "%s", found.text);
	if (ret == 0 && cow)
		check_extent(&d, &found);
	else if (ret == 0)
		fs = check_ext(path, d.image, &found);
	disk_close(&d);
	*ret_ok = !found.text[0];
	if (json)
		print_json(json_pack("{s:s s:b s:s s:s*}", "file", path, "ok", *ret_ok, "file_system", fs,
				     "problem", *ret_ok ? NULL : found.text));
	else if (*ret_ok)
		printf("%s: ok\n", path);
	else
		printf("%s\n", found.text);
	return 0;
}
