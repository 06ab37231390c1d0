/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_replace.c - a file written whole or not at all
 *
 * The text goes into a file without a name, which then gets one beside the
 * target and is renamed over it; so a kill before the last two steps leaves
 * nothing behind.
 */
#include "file_replace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

static int name_it(int fd, const char *path)
{
	char from[40], beside[PATH_MAX];
	int r;

	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	if (snprintf(beside, sizeof(beside), "%s.%d~", path, getpid()) >= (int)sizeof(beside))
		return -ENAMETOOLONG;
	r = host_result(linkat(AT_FDCWD, from, AT_FDCWD, beside, AT_SYMLINK_FOLLOW));
	if (r == 0)
		r = host_result(rename(beside, path));
	if (r < 0)
		unlink(beside);
	return r;
}

int file_replace(const char *path, const char *text, size_t len)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	cleanup_fd int fd = -1;
	char dir[PATH_MAX];
	struct stat st;
	int r;

	if (!path)
		return write_all(1, text, len);
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return write_to(path, text, len);
	if (snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1,
		     slash ? path : ".") >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	fd = host_open(dir, O_TMPFILE | O_WRONLY, 0644);
	if (fd == -EOPNOTSUPP || fd == -EISDIR) {
		/* A file system without nameless files. */
		fd = host_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		return fd < 0 ? fd : write_all(fd, text, len);
	}
	if (fd < 0)
		return fd;
	r = write_all(fd, text, len);
	return r < 0 ? r : name_it(fd, path);
}
