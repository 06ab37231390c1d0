/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_use.c - the groups of a guest in use, and their removal
 *
 * Removal works from the paths alone, so that whoever finds a guest whose
 * kernel was killed can do it.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/cgroup.h"
#include "passthrough/hostcall.h"

#define REMOVE_TRIES 100	/* with 10 ms between them */
#define MAX_DEPTH 16		/* of groups that the guest made in its own */

int cgroup_attach(const struct cgroup *cg, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	for (unsigned i = 0; i < cg->n; i++) {
		int ret = host_write_file(cg->g[i].fd, "cgroup.procs", text);

		if (ret < 0)
			return ret;
	}
	return 0;
}

int cgroup_fd(const struct cgroup *cg)
{
	return cg->n == 1 && cg->g[0].v2 ? cg->g[0].fd : -1;
}

/* v1 cannot kill: signal what is listed until nothing is. A fork bomb may win
 * a round, not twenty, with its forks failing on the dead. What is frozen there
 * dies when it is thawed. */
static int kill_listed(int dir)
{
	char buf[65536], *line, *save;

	for (int round = 0; round < 20; round++) {
		bool any = false;

		if (host_read_file(dir, "cgroup.procs", buf, sizeof(buf)) < 0)
			return -EIO;
		for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
			any |= atoi(line) > 1 && host_result(kill(atoi(line), SIGKILL)) == 0;
		if (!any)
			return 0;
		host_write_file(dir, "freezer.state", "THAWED");
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return -EBUSY;
}

static int group_kill(int dir, bool v2)
{
	int ret = v2 ? host_write_file(dir, "cgroup.kill", "1") : -ENOENT;

	return ret == 0 ? 0 : kill_listed(dir);
}

int cgroup_kill(const struct cgroup *cg)
{
	for (unsigned i = 0; i < cg->n; i++)
		if (cg->g[i].v2)
			return group_kill(cg->g[i].fd, true);
	return cg->n ? group_kill(cg->g[0].fd, false) : -EOPNOTSUPP;
}

/* ---- removal ----------------------------------------------------------- */

/* The groups that the guest made in its own, deepest first. */
static void remove_children(int dir, int depth)
{
	int copy = host_openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d) {
		cleanup_fd_p(&copy);
		return;
	}
	while ((e = readdir(d))) {
		cleanup_fd int child = -1;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		child = host_openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (child >= 0 && depth < MAX_DEPTH)
			remove_children(child, depth + 1);
		host_result(unlinkat(dir, e->d_name, AT_REMOVEDIR));
	}
	closedir(d);
}

static int remove_group(const char *path, int fd)
{
	int ret;

	for (int try = 0;; try++) {
		ret = host_result(rmdir(path));
		if (ret == 0 || ret == -ENOENT)
			return 0;
		if (ret != -EBUSY || try == REMOVE_TRIES)
			return ret;
		remove_children(fd, 0);
		if (try)
			nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
}

static int destroy_group(struct cgroup_group *g)
{
	int ret = g->path ? remove_group(g->path, g->fd) : 0;

	if (ret < 0)
		log_warn("cgroup: %s is left: %s", g->path, strerror(-ret));
	if (g->path)
		close(g->fd);
	free(g->path);
	return ret;
}

int cgroup_destroy(struct cgroup *cg)
{
	int ret = destroy_group(&cg->freezer);

	for (unsigned i = 0; i < cg->n; i++) {
		int r = destroy_group(&cg->g[i]);

		ret = ret < 0 ? ret : r;
	}
	free(cg->home);
	*cg = (struct cgroup){};
	return ret;
}

int cgroup_describe(const struct cgroup *cg, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i <= cg->n; i++) {
		const char *path = i < cg->n ? cg->g[i].path : cg->freezer.path;
		int n = path ? snprintf(buf + len, size - len, "%s\n", path) : 0;

		if (n < 0 || (size_t)n >= size - len)
			return -ENOSPC;
		len += n;
	}
	return len;
}

int cgroup_record(const struct cgroup *cg, int state_dir)
{
	char text[4096];
	int len = cgroup_describe(cg, text, sizeof(text));
	cleanup_fd int fd = -1;

	if (len <= 0)
		return len;
	fd = host_openat(state_dir, "cgroup", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	return fd < 0 ? fd : MIN(host_write(fd, text, len), 0);
}

/* The text comes from a file: touch nothing that is not a group of weir's. */
static int open_described(const char *path, bool *ret_v2)
{
	cleanup_fd int fd = -1;
	const char *last = strrchr(path, '/');
	struct statfs fs;

	if (!last || !str_starts(last, "/weir-") || strstr(path, "/../"))
		return -EINVAL;
	fd = host_open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	if (host_result(fstatfs(fd, &fs)) < 0 || (fs.f_type != CGROUP2_SUPER_MAGIC &&
						  fs.f_type != CGROUP_SUPER_MAGIC))
		return -EINVAL;
	*ret_v2 = fs.f_type == CGROUP2_SUPER_MAGIC;
	return take_fd(&fd);
}

int cgroup_destroy_described(const char *text)
{
	char path[PATH_MAX];
	int ret = 0;

	for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
		cleanup_fd int fd = -1;
		bool v2;
		int r;

		if (snprintf(path, sizeof(path), "%.*s", (int)strcspn(text, "\n"), text) >=
		    (int)sizeof(path))
			return -ENAMETOOLONG;
		fd = open_described(path, &v2);
		if (fd == -ENOENT)
			continue;
		if (fd >= 0)
			group_kill(fd, v2);
		r = fd < 0 ? fd : remove_group(path, fd);
		ret = ret < 0 ? ret : r;
	}
	return ret;
}
