/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_replace.c - a file written whole or not at all
 *
 * The text goes into a file without a name, which then gets one beside the
 * target and is renamed over it; so a kill before the last two steps leaves
 * nothing behind. Where the file system knows no such file it has that name
 * while it is written.
 */
#include "file_replace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/cleanup.h"
#include "passthrough/hostcall.h"

static int write_all(int fd, const char *text, size_t len)
{
	ssize_t n = host_write(fd, text, len);

	return n < 0 ? n : 0;
}

static int write_to(const char *path, const char *text, size_t len)
{
	cleanup_fd int fd = host_open(path, O_WRONLY | O_NOCTTY, 0);

	return fd < 0 ? fd : write_all(fd, text, len);
}

/* A file in @dir that nobody sees yet; on a file system without nameless ones it
 * is called @beside from the start. */
static int open_new(const char *dir, const char *beside, bool *ret_named)
{
	int fd = host_open(dir, O_TMPFILE | O_WRONLY, 0644);

	*ret_named = fd == -EOPNOTSUPP || fd == -EISDIR;
	return *ret_named ? host_open(beside, O_WRONLY | O_CREAT | O_EXCL, 0644) : fd;
}

static int give_name(int fd, const char *beside)
{
	char from[40];

	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	return host_result(linkat(AT_FDCWD, from, AT_FDCWD, beside, AT_SYMLINK_FOLLOW));
}

static int replace(const char *path, const char *dir, const char *text, size_t len)
{
	cleanup_fd int fd = -1;
	char beside[PATH_MAX];
	bool named;
	int r;

	if (snprintf(beside, sizeof(beside), "%s.%d~", path, getpid()) >= (int)sizeof(beside))
		return -ENAMETOOLONG;
	fd = open_new(dir, beside, &named);
	if (fd < 0)
		return fd;
	r = write_all(fd, text, len);
	if (r == 0 && !named)
		r = give_name(fd, beside);
	if (r == 0)
		r = host_result(rename(beside, path));
	if (r < 0)
		unlink(beside);
	return r;
}

int file_replace(const char *path, const char *text, size_t len)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	char dir[PATH_MAX];
	struct stat st;

	if (!path)
		return write_all(1, text, len);
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return write_to(path, text, len);
	if (snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1,
		     slash ? path : ".") >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	return replace(path, dir, text, len);
}
