/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mountinfo.c - the mounts of a mount namespace
 *
 * One line of /proc/PID/mountinfo:
 *   36 35 98:0 /root /mount/point rw,noatime shared:1 - ext4 /dev/sda rw
 * with any number of tags before the dash, and \040 and the like in paths.
 */
#include "ns/mountinfo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define MOUNTINFO_MAX (16 << 20)

/* The file has no size; read until it ends. */
static int read_whole(const char *file, char **ret)
{
	cleanup_fd int fd = host_open(file, O_RDONLY, 0);
	cleanup_free char *buf = NULL;
	size_t size = 16384, len = 0;

	if (fd < 0)
		return fd;
	for (;;) {
		char *more = realloc(buf, size);
		ssize_t n;

		if (!more)
			return -ENOMEM;
		buf = more;
		n = host_read(fd, buf + len, size - len - 1);
		if (n < 0)
			return n;
		len += n;
		if (len < size - 1)
			break;
		if (size >= MOUNTINFO_MAX)
			return -EFBIG;
		size *= 2;
	}
	buf[len] = '\0';
	*ret = take_ptr(buf);
	return 0;
}

static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to++ = (s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0');
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static bool parse_line(char *line, struct mount_entry *e)
{
	char *word, *save;
	int nr = 0, dash = -1;

	*e = (struct mount_entry){};
	for (word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save), nr++) {
		if (nr == 3)
			e->root = word;
		else if (nr == 4)
			e->point = word;
		else if (dash < 0 && nr > 5 && streq(word, "-"))
			dash = nr;
		else if (dash < 0 && nr > 5)
			e->propagates |= str_starts(word, "shared:") ||
					 str_starts(word, "master:");
		else if (dash >= 0 && nr == dash + 1)
			e->type = word;
		else if (dash >= 0 && nr == dash + 3)
			e->options = word;
	}
	if (!e->point || !e->type)
		return false;
	if (!e->options)
		e->options = (char *)"";
	unescape(e->point);
	unescape(e->root);
	return true;
}

static int by_point(const void *a, const void *b)
{
	return strcmp(((const struct mount_entry *)a)->point,
		      ((const struct mount_entry *)b)->point);
}

int mount_table_read(const char *file, struct mount_table *ret)
{
	struct mount_table t = {};
	unsigned lines = 0;
	char *line, *next;
	int err = read_whole(file, &t.text);

	if (err < 0)
		return err;
	for (char *p = t.text; *p; p++)
		lines += *p == '\n';
	t.v = calloc(lines + 1, sizeof(*t.v));
	if (!t.v) {
		free(t.text);
		return -ENOMEM;
	}
	for (line = t.text; line && *line && t.n < lines; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (parse_line(line, &t.v[t.n]))
			t.n++;
	}
	qsort(t.v, t.n, sizeof(*t.v), by_point);
	*ret = t;
	return 0;
}

void mount_table_destroy(struct mount_table *t)
{
	free(t->v);
	free(t->text);
	*t = (struct mount_table){};
}

bool path_below(const char *path, const char *dir, bool or_same)
{
	size_t len = strlen(dir);

	if (len == 1) /* "/" */
		return path[1] || or_same;
	if (strncmp(path, dir, len) != 0)
		return false;
	return path[len] == '/' || (or_same && path[len] == '\0');
}

bool mount_table_has_below(const struct mount_table *t, const char *dir)
{
	for (unsigned i = 0; i < t->n; i++)
		if (path_below(t->v[i].point, dir, false))
			return true;
	return false;
}
