/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_file.c - files that weir disk makes: whole or not at all
 */
#include "disk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define CHUNK (1u << 20)
#define HOLE 4096u		/* zeros of this size and place are left out */
#define SHOW_NS 100000000u

/* ---- new files --------------------------------------------------------- */

static int open_nameless(struct new_file *f)
{
	int fd = host_openat(f->dir, ".", O_TMPFILE | O_RDWR, 0644);

	if (fd != -EOPNOTSUPP && fd != -EISDIR && fd != -EINVAL)
		return fd;
	/* A file system without: then it has another name meanwhile. */
	fd = host_openat(f->dir, f->temp, O_CREAT | O_EXCL | O_RDWR, 0644);
	f->linked = fd >= 0;
	return fd;
}

int new_file_begin(struct new_file *f, const char *path, bool replace, struct disk_error *err)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX] = ".";

	*f = (struct new_file){ .fd = -1, .dir = -1, .replace = replace };
	if (slash)
		snprintf(dir, sizeof(dir), "%.*s", (int)MAX(slash - path, 1), path);
	if (snprintf(f->name, sizeof(f->name), "%s", slash ? slash + 1 : path) >= (int)sizeof(f->name) ||
	    !f->name[0])
		return disk_fail(err, -EINVAL, "%s: is no name of a file", path);
	snprintf(f->temp, sizeof(f->temp), ".%.200s.weir-%d", f->name, getpid());
	f->dir = host_open(dir, O_RDONLY | O_DIRECTORY, 0);
	if (f->dir < 0)
		return disk_fail(err, f->dir, "%s: %s", dir, strerror(-f->dir));
	if (!replace && host_result(faccessat(f->dir, f->name, F_OK, AT_SYMLINK_NOFOLLOW)) == 0)
		return disk_fail(err, -EEXIST, "%s: is there already; --force replaces it", path);
	f->fd = open_nameless(f);
	if (f->fd < 0)
		return disk_fail(err, f->fd, "%s: cannot be made: %s", path, strerror(-f->fd));
	snprintf(f->path, sizeof(f->path), "/proc/%d/fd/%d", getpid(), f->fd);
	return 0;
}

static int give_name(struct new_file *f)
{
	int ret = 0;

	/* A link cannot replace, a rename can; a rename can keep from replacing too. */
	if (!f->linked)
		ret = host_result(linkat(AT_FDCWD, f->path, f->dir, f->temp, AT_SYMLINK_FOLLOW));
	if (ret < 0)
		return ret;
	f->linked = true;
	ret = host_result(renameat2(f->dir, f->temp, f->dir, f->name,
				    f->replace ? 0 : RENAME_NOREPLACE));
	f->linked = ret < 0;
	return ret;
}

int new_file_finish(struct new_file *f, struct disk_error *err)
{
	int ret = host_result(fsync(f->fd));

	if (ret == 0)
		ret = give_name(f);
	if (ret == 0)
		ret = host_result(fsync(f->dir));
	return ret < 0 ? disk_fail(err, ret, "%s: %s", f->name, strerror(-ret)) : 0;
}

void new_file_end(struct new_file *f)
{
	if (f->linked)
		unlinkat(f->dir, f->temp, 0);
	cleanup_fd_p(&f->fd);
	cleanup_fd_p(&f->dir);
	f->fd = f->dir = -1;
}

/* ---- progress ---------------------------------------------------------- */

void progress_begin(struct progress *p, const char *what, uint64_t total)
{
	*p = (struct progress){
		.what = what, .total = total, .begun_ns = host_now(), .tty = isatty(STDERR_FILENO),
	};
}

static void show(struct progress *p)
{
	static const char bar[] = "########################################";
	unsigned percent = p->total ? MIN(p->done * 100 / p->total, 100u) : 100;
	double seconds = (p->shown_ns - p->begun_ns) / 1e9;

	fprintf(stderr, "\r%s [%-40.*s] %3u%% %.0f MiB/s ", p->what, (int)(percent * 40 / 100), bar,
		percent, seconds > 0 ? p->done / 1048576.0 / seconds : 0);
	fflush(stderr);
}

void progress_add(struct progress *p, uint64_t n)
{
	uint64_t now;

	p->done += n;
	if (!p->tty)
		return;
	now = host_now();
	if (now - p->shown_ns < SHOW_NS)
		return;
	p->shown_ns = now;
	show(p);
}

void progress_end(struct progress *p)
{
	if (p->tty && p->shown_ns)
		fputs("\r\033[K", stderr);
}

int disk_helper(char *argv[], char *why, size_t size)
{
	char path[64], *name = argv[0];
	int ret = host_run(argv, why, size);

	if (ret != -ENOENT)
		return ret;
	snprintf(path, sizeof(path), "/usr/sbin/%s", name);
	argv[0] = path;
	ret = host_run(argv, why, size);
	argv[0] = name;
	return ret;
}

/* ---- copying ----------------------------------------------------------- */

static bool all_zero(const char *buf, size_t len)
{
	return len == 0 || (buf[0] == 0 && memcmp(buf, buf + 1, len - 1) == 0);
}

static int write_at(int fd, const char *buf, size_t len, uint64_t at)
{
	while (len > 0) {
		long n = host_result(pwrite(fd, buf, len, at));

		if (n < 0)
			return n;
		buf += n;
		at += n;
		len -= n;
	}
	return 0;
}

/* Write what is not zero of @buf, in blocks that follow each other. */
static int write_sparse(int fd, const char *buf, size_t len, uint64_t at)
{
	size_t from = 0, to = 0;

	while (to < len) {
		size_t n = MIN(HOLE - (at + to) % HOLE, len - to);
		int ret = 0;

		if (all_zero(buf + to, n)) {
			ret = write_at(fd, buf + from, to - from, at + from);
			from = to + n;
		}
		if (ret < 0)
			return ret;
		to += n;
	}
	return write_at(fd, buf + from, to - from, at + from);
}

/* Bytes at @at that the host's file has no data for. */
static uint64_t hole(int fd, uint64_t at, uint64_t len)
{
	int64_t data = host_result(lseek(fd, at, SEEK_DATA));

	if (data == -ENXIO)
		return len;
	return data > (int64_t)at ? MIN(data - at, len) : 0;
}

struct copy {
	const struct disk *d;
	int to;
	bool only_cow;
	char *buf;
};

/* Copy some of the @len bytes at @at. Return: how many, or a negative errno. */
static int64_t copy_some(struct copy *c, uint64_t at, uint64_t len)
{
	uint64_t place, skip, n;
	bool cow;
	int ret;

	n = disk_place(c->d, at, len, &cow, &place);
	if (c->only_cow && !cow)
		return n;
	skip = c->only_cow ? 0 : hole(cow ? c->d->cow : c->d->image, place, n);
	if (skip)
		return skip;
	n = MIN(n, CHUNK);
	ret = disk_read(c->d, at, c->buf, n);
	/* The last sector may be no whole one; the file ends where the image does. */
	len = MIN(n, c->d->image_size - at);
	if (ret == 0)
		ret = (c->only_cow ? write_at : write_sparse)(c->to, c->buf, len, at);
	return ret < 0 ? ret : (int64_t)n;
}

int disk_copy(const struct disk *d, int to, bool only_cow, struct progress *p,
	      struct disk_error *err)
{
	cleanup_free char *buf = aligned_alloc(HOLE, CHUNK);
	struct copy c = { d, to, only_cow, buf };
	int ret = buf ? 0 : -ENOMEM;

	if (ret == 0 && !only_cow)
		ret = host_result(ftruncate(to, d->image_size));
	for (uint64_t at = 0; ret == 0 && at < d->size;) {
		int64_t n = copy_some(&c, at, d->size - at);

		ret = n < 0 ? n : 0;
		at += MAX(n, 0);
		progress_add(p, MAX(n, 0));
	}
	return ret < 0 ? disk_fail(err, ret, "%s", strerror(-ret)) : 0;
}
