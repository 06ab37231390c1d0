/* SPDX-License-Identifier: Apache-2.0 */
/*
 * namei.c - the file that a path of a caller's names
 *
 * Nearly always one openat2(2) with the caller's ids: beneath its root for an
 * absolute path, beneath its directory for a relative one. That cannot do
 *
 *   - a relative path that leaves the directory: "..", a link to an absolute path
 *   - /proc/self, which is ours there and not the caller's
 *   - a link of /proc that leads to a file and not to a name (/proc/self/fd/0)
 *   - a directory that only a capability of the caller's opens
 *
 * and so says one of a few errors. Then the path is walked one name at a time
 * (namei_walk.c).
 */
#include "kernel/files/namei.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "kernel/cleanup.h"
#include "kernel/files/namei_impl.h"
#include "passthrough/hostcall.h"

int namei_open_of_task(pid_t tid, const char *what)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "/proc/%d/%s", tid, what);
	return host_open(path, O_PATH, 0);
}

bool namei_is_procfs(int fd)
{
	struct statfs fs;

	return host_result(fstatfs(fd, &fs)) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* A directory descriptor of the caller's, or its working directory. */
static int open_base(const struct call *c, int dirfd)
{
	char fd[32];
	int ret;

	if (dirfd == AT_FDCWD)
		return namei_open_of_task(c->tid, "cwd");
	if (dirfd < 0)
		return -EBADF;
	snprintf(fd, sizeof(fd), "fd/%d", dirfd);
	ret = namei_open_of_task(c->tid, fd);
	return ret == -ENOENT ? -EBADF : ret;
}

/* Cut the last name off. Return: was there one behind a slash? */
static bool cut_name(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash || slash[1] == '\0')
		return false;
	slash[slash == path] = '\0';
	return true;
}

/* Is it sure that a path leads nowhere? It is if it leads somewhere up to a name,
 * and nothing there has that name, not even a link. */
static bool surely_absent(const struct namei_request *rq, const struct place *p)
{
	char path[PATH_MAX];
	bool up;
	int fd;

	snprintf(path, sizeof(path), "%s", rq->path);
	do {
		fd = host_openat2(p->at, path, O_PATH | O_NOFOLLOW, 0, p->resolve);
		up = cut_name(path);
		if (fd >= 0)
			close(fd);
		if (fd != -ENOENT || !up)
			return fd == -ENOENT && !strchr(path, '/');
		fd = host_openat2(p->at, path, O_PATH | O_DIRECTORY, 0, p->resolve);
		if (fd >= 0)
			close(fd);
	} while (fd == -ENOENT);
	return fd >= 0;
}

/* As the caller. *@ret_absent: a path that leads nowhere, and not for our reasons. */
static int open_at_once(struct call *c, const struct namei_request *rq,
			const struct host_cred *cred, const struct place *p, bool *ret_absent)
{
	uint64_t flags = O_PATH | (rq->flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0);
	int fd = cred_override(cred);

	if (fd < 0)
		return fd;
	fd = host_openat2(p->at, rq->path, flags, 0, p->resolve | RESOLVE_CACHED);
	if (fd == -EAGAIN) {
		/* Not with the caller's ids: a new thread is as its maker. */
		cred_revert(cred);
		call_slow(c);
		fd = cred_override(cred);
		if (fd < 0)
			return fd;
		fd = host_openat2(p->at, rq->path, flags, 0, p->resolve);
	}
	*ret_absent = fd == -ENOENT && surely_absent(rq, p);
	cred_revert(cred);
	return fd;
}

/* Errors that may be due to how we look, and not to the path. A task may be
 * closed to all of its ids but itself (EACCES). */
static bool ours(int err)
{
	return err == -EXDEV || err == -ELOOP || err == -ENOENT || err == -EAGAIN || err == -EACCES;
}

/* What a walk needs and the one call did not. Return: 0 or a negative errno. */
static int prepare_walk(struct kernel *k, const struct call *c, struct host_cred *cred,
			struct place *p)
{
	int ret = cred->tgid ? 0 : cred_read(k, c, true, cred);

	if (ret == 0 && p->root < 0)
		p->root = namei_open_of_task(c->tid, "root");
	if (ret == 0 && p->root < 0)
		ret = p->root;
	return ret == 0 && !call_valid(c) ? -ESRCH : ret;
}

static int find(struct kernel *k, struct call *c, const struct namei_request *rq,
		struct host_cred *cred, struct place *p, int *ret_fd)
{
	bool absent = false;
	int fd = open_at_once(c, rq, cred, p, &absent), ret;

	if (fd >= 0 && k->cfg->policy->ns[POLICY_NS_PID].mode != NS_MODE_NEW && namei_is_procfs(fd)) {
		/* There /proc/self leads to us, without an error. */
		close(fd);
		fd = -ENOENT;
	}
	if (fd >= 0)
		*ret_fd = fd;
	if (fd >= 0 || absent || !ours(fd))
		return MIN(fd, 0);
	ret = prepare_walk(k, c, cred, p);
	return ret < 0 ? ret : namei_walk(k, c, rq, cred, p, ret_fd);
}

/* The caller's root if the path begins there, else the place where it does. */
static int open_place(const struct call *c, const struct namei_request *rq, struct place *ret)
{
	bool absolute = rq->path[0] == '/';

	*ret = (struct place){
		.root = -1,
		.at = absolute ? namei_open_of_task(c->tid, "root") : open_base(c, rq->dirfd),
		.resolve = (absolute ? RESOLVE_IN_ROOT : RESOLVE_BENEATH) | RESOLVE_NO_MAGICLINKS,
	};
	if (ret->at < 0)
		return ret->at;
	if (call_valid(c))
		return 0;
	close(ret->at);
	return -ESRCH;
}

int namei_open(struct kernel *k, struct call *c, const struct namei_request *rq,
	       struct host_cred *cred, int *ret_fd)
{
	struct place p;
	int ret;

	if (rq->path[0] == '\0' && !(rq->flags & AT_EMPTY_PATH))
		return -ENOENT;
	ret = open_place(c, rq, &p);
	if (ret < 0)
		return ret;
	if (rq->path[0] == '\0') {
		*ret_fd = p.at;
		return 0;
	}
	ret = find(k, c, rq, cred, &p, ret_fd);
	close(p.at);
	cleanup_fd_p(&p.root);
	return ret;
}
