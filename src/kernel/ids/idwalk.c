/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idwalk.c - a path of a caller, walked with the rights of a guest user
 */
#include "kernel/ids/idwalk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/vfs.h>

#include "kernel/cleanup.h"
#include "kernel/ids/guestids.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define MAX_LINKS 40		/* path_resolution(7) */
#define PROC_ROOT_INODE 1	/* of every procfs, linux/proc_ns.h */

struct walk {
	struct kernel *k;
	const struct call *c;
	const struct idcred *cred;
	int root, at;		/* ours; root -1: not needed yet */
	struct stat root_st, at_st;
	pid_t proc;		/* as in struct idwalk, of @at */
	pid_t self;		/* the caller, in the guest's numbers; 0: not asked yet */
	unsigned links;
	const char *path;
	bool plain;		/* from the root by names alone: no link, no "..", no process */
	uint64_t key;		/* by which its directory is remembered; 0: not worth it */
	char *rest;		/* PATH_MAX bytes: what is still to be walked */
};

static int open_of(const struct call *c, const char *what)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", c->tid, what);
	return host_open(path, O_PATH, 0);
}

static int open_start(const struct call *c, int dirfd)
{
	char what[32];
	int fd;

	if (dirfd == AT_FDCWD)
		return open_of(c, "cwd");
	if (dirfd < 0)
		return -EBADF;
	snprintf(what, sizeof(what), "fd/%d", dirfd);
	fd = open_of(c, what);
	return fd == -ENOENT ? -EBADF : fd;
}

/* A file of somebody else's FUSE mount does not answer us. */
static int status_of(int fd, struct stat *st)
{
	int err = host_result(fstat(fd, st));

	if (err == -EACCES) {
		memset(st, 0, sizeof(*st));
		st->st_mode = S_IFREG | 0444;
		err = 0;
	}
	return err;
}

static bool is_proc(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

static void owner_of(const struct walk *w, int fd, const struct stat *st, pid_t proc,
		     struct idowner *ret)
{
	struct idcred cred;

	if (proc && guestids_of_pid(w->k, w->c, proc, &cred) == 0) {
		*ret = (struct idowner){ cred.uid[ID_EFFECTIVE], cred.gid[ID_EFFECTIVE], 0 };
		return;
	}
	idowner_get(w->k->ids->owners, fd, st, ret);
}

static bool searches_all(const struct idcred *c)
{
	return idcred_capable(c, CAP_DAC_OVERRIDE) || idcred_capable(c, CAP_DAC_READ_SEARCH);
}

static int may_search(const struct walk *w)
{
	struct idowner o;

	if (!S_ISDIR(w->at_st.st_mode))
		return -ENOTDIR;
	if (searches_all(w->cred))
		return 0;
	owner_of(w, w->at, &w->at_st, w->proc, &o);
	return idcred_may(w->cred, o.uid, o.gid, w->at_st.st_mode, X_OK) ? 0 : -EACCES;
}

/* The walk goes on at @fd, which is its from now on. */
static void go(struct walk *w, int fd, const struct stat *st, pid_t proc)
{
	cleanup_fd_p(&w->at);
	w->at = fd;
	w->at_st = *st;
	w->proc = proc;
}

/* The caller's root, once it is needed. */
static int open_root(struct walk *w)
{
	if (w->root >= 0)
		return 0;
	w->root = open_of(w->c, "root");
	if (w->root < 0)
		return w->root == -ENOENT ? -ESRCH : w->root;
	return host_result(fstat(w->root, &w->root_st)) < 0 || !call_valid(w->c) ? -ESRCH : 0;
}

static int go_to_root(struct walk *w)
{
	int fd = open_root(w);

	if (fd == 0)
		fd = host_result(fcntl(w->root, F_DUPFD_CLOEXEC, 0));

	if (fd >= 0)
		go(w, fd, &w->root_st, 0);
	return MIN(fd, 0);
}

static int go_up(struct walk *w)
{
	struct stat st;
	int fd, err = open_root(w);

	w->plain = false;
	if (err < 0)
		return err;
	if (w->at_st.st_ino == w->root_st.st_ino && w->at_st.st_dev == w->root_st.st_dev)
		return 0;
	fd = host_openat(w->at, "..", O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	err = status_of(fd, &st);
	if (err < 0) {
		close(fd);
		return err;
	}
	go(w, fd, &st, st.st_ino == PROC_ROOT_INODE ? 0 : w->proc);
	return 0;
}

/* Which process a name of the procfs' root is. */
static pid_t proc_of(struct walk *w, const char *name)
{
	if (w->proc)
		return w->proc;
	if (w->at_st.st_ino != PROC_ROOT_INODE || name[0] < '0' || name[0] > '9' || !is_proc(w->at))
		return 0;
	return atoi(name);
}

/* /proc/self is the caller's, and the process that reads the link is not it. */
static int self_link(struct walk *w, const char *name, char *buf, size_t size)
{
	bool thread = streq(name, "thread-self");
	pid_t tid;

	if (w->at_st.st_ino != PROC_ROOT_INODE || !(thread || streq(name, "self")) || !is_proc(w->at))
		return -ENOENT;
	if (!w->self)
		w->self = guestids_guest_pid(w->c->tid, &tid);
	if (w->self <= 0)
		return -ESRCH;
	if (thread && guestids_guest_pid(w->c->tid, &tid) > 0)
		return snprintf(buf, size, "%d/task/%d", w->self, tid);
	return snprintf(buf, size, "%d", w->self);
}

static int prepend(struct walk *w, const char *target, size_t len)
{
	size_t rest = strlen(w->rest);

	if (len + rest + 2 > PATH_MAX)
		return -ENAMETOOLONG;
	memmove(w->rest + len + 1, w->rest, rest + 1);
	memcpy(w->rest, target, len);
	w->rest[len] = '/';
	if (!rest)
		w->rest[len] = '\0';
	return 0;
}

/* Follow the link @fd, the name @name in @at. A link of /proc/PID is none of text:
 * the host goes where it leads. Return: 0, or 1 with what it led to in @ret_fd. */
static int follow(struct walk *w, int fd, const char *name, int *ret_fd)
{
	char target[PATH_MAX];
	ssize_t n;

	w->plain = false;
	if (++w->links > MAX_LINKS)
		return -ELOOP;
	n = self_link(w, name, target, sizeof(target));
	if (n < 0 && w->proc && is_proc(w->at)) {
		*ret_fd = host_openat(w->at, name, O_PATH, 0);
		return *ret_fd < 0 ? *ret_fd : 1;
	}
	if (n < 0)
		n = host_result(readlinkat(fd, "", target, sizeof(target)));
	if (n < 0)
		return n;
	if (n == 0)
		return -ENOENT;
	if (target[0] == '/') {
		int err = go_to_root(w);

		if (err < 0)
			return err;
	}
	return prepend(w, target, n);
}

/* Take the next name off the rest. Return: its length; 0 at the end. */
static ssize_t next_name(struct walk *w, char name[NAME_MAX + 1], bool *ret_slash)
{
	char *p = w->rest + strspn(w->rest, "/");
	size_t n = strcspn(p, "/"), slashes;

	if (n > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, p, n);
	name[n] = '\0';
	slashes = strspn(p + n, "/");
	*ret_slash = slashes > 0;
	p += n + slashes;
	memmove(w->rest, p, strlen(p) + 1);
	return n;
}

/* The end: the place itself, with no name in a directory. */
static int end_here(struct walk *w, struct idwalk *ret)
{
	ret->fd = take_fd(&w->at);
	ret->st = w->at_st;
	ret->proc = w->proc;
	owner_of(w, ret->fd, &ret->st, ret->proc, &ret->own);
	return 0;
}

static int end_in_dir(struct walk *w, const char *name, bool slash, struct idwalk *ret)
{
	owner_of(w, w->at, &w->at_st, w->proc, &ret->dir_own);
	ret->dir_st = w->at_st;
	ret->dir = take_fd(&w->at);
	ret->slash = slash;
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	return 0;
}

/* The bytes of the path that name the directory of its last name; 0: not worth it. */
static size_t dir_len(const char *path)
{
	const char *last = strrchr(path, '/');

	return path[0] == '/' && last[1] ? last - path : 0;
}

/* The last name was looked for in a directory that may be searched. */
static void remember(struct walk *w)
{
	if (w->plain && !w->proc && w->key && !searches_all(w->cred))
		idreach_put(&w->k->ids->reach, w->key);
}

/* Go to the directory of the last name at once, if it is known to be within reach.
 * Return: 1 if that is all there is to know, else 0; the walk begins where it is. */
static int jump(struct walk *w, unsigned flags)
{
	size_t len = dir_len(w->path);
	char dir[PATH_MAX];
	struct stat st;
	int fd;

	if (!idreach_has(&w->k->ids->reach, w->key))
		return 0;
	if (flags & IDWALK_REACH)
		return 1;
	memcpy(dir, w->path, len);
	dir[len] = '\0';
	fd = host_open_beneath(w->root, dir, O_PATH | O_DIRECTORY, 0);
	if (fd < 0 || status_of(fd, &st) < 0) {
		cleanup_fd_p(&fd);
		return 0;
	}
	go(w, fd, &st, 0);
	memmove(w->rest, w->rest + len + 1, strlen(w->rest + len));
	return 0;
}

/* One component. Return: 1 when the walk is over, 0 if it goes on. */
static int step(struct walk *w, unsigned flags, struct idwalk *ret)
{
	char name[NAME_MAX + 1];
	cleanup_fd int fd = -1;
	int led = -1, err;
	struct stat st;
	ssize_t n;
	bool slash, last;
	pid_t proc;

	n = next_name(w, name, &slash);
	if (n <= 0)
		return n < 0 ? n : (end_here(w, ret), 1);
	last = !w->rest[0];
	err = may_search(w);
	if (err < 0)
		return err;
	if (last && !slash)
		remember(w);
	if (streq(name, "."))
		return 0;
	if (streq(name, ".."))
		return go_up(w);
	proc = proc_of(w, name);
	fd = host_openat(w->at, name, O_PATH | O_NOFOLLOW, 0);
	if (fd == -ENOENT && last && (flags & IDWALK_LAST)) {
		end_in_dir(w, name, slash, ret);
		return 1;
	}
	if (fd < 0)
		return fd;
	err = status_of(fd, &st);
	if (err < 0)
		return err;
	if (S_ISLNK(st.st_mode) && (!last || slash || (flags & IDWALK_FOLLOW))) {
		err = follow(w, fd, name, &led);
		if (err <= 0)
			return err;
		close(fd);
		fd = led;
		proc = 0;
		err = status_of(fd, &st);
		if (err < 0)
			return err;
		if (last) {
			go(w, take_fd(&fd), &st, proc);
			end_here(w, ret);
			return 1;
		}
	}
	if (last) {
		if (slash && !S_ISDIR(st.st_mode))
			return -ENOTDIR;
		ret->proc = proc;
		owner_of(w, fd, &st, proc, &ret->own);
		ret->st = st;
		ret->fd = take_fd(&fd);
		end_in_dir(w, name, slash, ret);
		return 1;
	}
	go(w, take_fd(&fd), &st, proc);
	return 0;
}

static int begin(struct walk *w, int dirfd, const char *path, unsigned flags)
{
	if (!*path && !(flags & IDWALK_EMPTY))
		return -ENOENT;
	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(w->rest, path, strlen(path) + 1);
	if (path[0] == '/') {
		uint64_t generation = idreach_now(&w->k->ids->reach);
		size_t len = dir_len(path);
		int err = open_root(w);

		if (err == 0 && len)
			w->key = idreach_key(generation, w->cred, &w->root_st, path, len);
		if (err == 0)
			err = jump(w, flags);
		if (err != 0 || w->at >= 0)
			return err;
		w->plain = true;
		return go_to_root(w);
	}
	w->at = open_start(w->c, dirfd);
	return w->at < 0 ? w->at : status_of(w->at, &w->at_st);
}

int idwalk_open(struct kernel *k, const struct call *c, int dirfd, const char *path,
		unsigned flags, const struct idcred *cred, struct idwalk *ret)
{
	cleanup_free char *rest = malloc(PATH_MAX);
	struct walk w = {
		.k = k, .c = c, .cred = cred, .root = -1, .at = -1, .path = path, .rest = rest,
	};
	int err;

	memset(ret, 0, sizeof(*ret));
	ret->fd = ret->dir = -1;
	if (!rest)
		return -ENOMEM;
	err = begin(&w, dirfd, path, flags);
	if (err == 0 && !call_valid(c))
		err = -ESRCH;
	if (err == 0 && !*path)
		end_here(&w, ret);
	while (err == 0 && *path)
		err = step(&w, flags, ret);
	cleanup_fd_p(&w.root);
	cleanup_fd_p(&w.at);
	return MIN(err, 0);
}

void idwalk_close(struct idwalk *w)
{
	cleanup_fd_p(&w->fd);
	cleanup_fd_p(&w->dir);
	w->fd = w->dir = -1;
}

int idwalk_may(const struct idwalk *w, const struct idcred *cred, int want)
{
	return idcred_may(cred, w->own.uid, w->own.gid, w->st.st_mode, want) ? 0 : -EACCES;
}

int idwalk_may_add(const struct idwalk *w, const struct idcred *cred)
{
	bool ok = idcred_may(cred, w->dir_own.uid, w->dir_own.gid, w->dir_st.st_mode, W_OK | X_OK);

	return ok ? 0 : -EACCES;
}

int idwalk_may_remove(const struct idwalk *w, const struct idcred *cred)
{
	int err = idwalk_may_add(w, cred);

	if (err == 0 && (w->dir_st.st_mode & S_ISVTX) && cred->uid[ID_FS] != w->own.uid &&
	    cred->uid[ID_FS] != w->dir_own.uid && !idcred_capable(cred, CAP_FOWNER))
		err = -EPERM;
	return err;
}
