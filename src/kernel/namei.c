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
 * and so says one of four errors. Then the path is walked here, one name at a
 * time, as the host would do it.
 */
#include "kernel/namei.h"

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
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define MAX_LINKS 40		/* in one path, path_resolution(7) */
#define PROC_ROOT_INO 1
#define SEARCHES (BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH))

/* Where a caller's path begins. Descriptors of ours. */
struct place {
	int root, at;
	uint64_t resolve;	/* that a path stays beneath at, openat2(2) */
};

static int open_of_task(pid_t tid, const char *what)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "/proc/%d/%s", tid, what);
	return host_open(path, O_PATH, 0);
}

/* A directory descriptor of the caller's, or its working directory. */
static int open_base(const struct call *c, int dirfd)
{
	char fd[32];
	int ret;

	if (dirfd == AT_FDCWD)
		return open_of_task(c->tid, "cwd");
	if (dirfd < 0)
		return -EBADF;
	snprintf(fd, sizeof(fd), "fd/%d", dirfd);
	ret = open_of_task(c->tid, fd);
	return ret == -ENOENT ? -EBADF : ret;
}

/* ---- a walk, one name at a time ------------------------------------------ */

struct walk {
	struct kernel *k;
	const struct call *c;
	const struct host_cred *cred;
	int root, at;
	unsigned links;
	bool in_proc;			/* at is in a procfs, and proc is the way there */
	char proc[64];			/* "12/task/13/fd" */
	char name[NAME_MAX + 1];
	char rest[2 * PATH_MAX];
};

static bool is_procfs(int fd)
{
	struct statfs fs;

	return host_result(fstatfs(fd, &fs)) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

static bool same_directory(int a, int b)
{
	struct statx x, y;

	return host_result(statx(a, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &x)) == 0 &&
	       host_result(statx(b, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &y)) == 0 &&
	       x.stx_ino == y.stx_ino && x.stx_mnt_id == y.stx_mnt_id &&
	       x.stx_dev_major == y.stx_dev_major && x.stx_dev_minor == y.stx_dev_minor;
}

/* What is left of @path behind @prefix and a slash; "" if that is all of it. */
static const char *behind(const char *path, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(path, prefix, len) != 0)
		return NULL;
	return path[len] == '/' ? path + len + 1 : path[len] == '\0' ? path + len : NULL;
}

/* "PID/REST" or "PID/task/TID/REST" of the caller in a procfs: REST, and whose it
 * is. NULL: not the caller's. */
static const char *own_rest(const struct walk *w, pid_t *ret_host)
{
	const char *rest;
	char prefix[64];

	if (!w->in_proc)
		return NULL;
	snprintf(prefix, sizeof(prefix), "%d/task/%d", w->cred->guest_tgid, w->cred->guest_tid);
	*ret_host = w->c->tid;
	rest = behind(w->proc, prefix);
	if (rest)
		return rest;
	snprintf(prefix, sizeof(prefix), "%d", w->cred->guest_tgid);
	*ret_host = w->cred->tgid;
	rest = behind(w->proc, prefix);
	/* Another thread's number is not the host's. */
	return rest && !behind(rest, "task") ? rest : NULL;
}

/* Is it open to the caller though its ids alone say no? Its own directory of /proc
 * always, others by a capability. */
static bool may_search(const struct walk *w)
{
	struct stat st;
	pid_t host;

	if (own_rest(w, &host))
		return true;
	return (w->cred->caps & SEARCHES) && fstat(w->at, &st) == 0 &&
	       cred_owns_ids(w->k, st.st_uid, st.st_gid);
}

/* One name, as the caller or else with our own rights. */
static int look_up(const struct walk *w)
{
	const uint64_t flags = O_PATH | O_NOFOLLOW;
	int fd = cred_override(w->cred);

	if (fd < 0)
		return fd;
	fd = host_openat2(w->at, w->name, flags, 0, RESOLVE_NO_MAGICLINKS);
	cred_revert(w->cred);
	if (fd == -EACCES && may_search(w))
		fd = host_openat2(w->at, w->name, flags, 0, RESOLVE_NO_MAGICLINKS);
	return fd;
}

/* Is w->at in a procfs, and do we know where? @name led there, NULL: something else. */
static void note_proc(struct walk *w, const char *name)
{
	struct stat st;
	size_t len = strlen(w->proc);

	if (!is_procfs(w->at)) {
		w->in_proc = false;
	} else if (fstat(w->at, &st) == 0 && st.st_ino == PROC_ROOT_INO) {
		w->in_proc = true;
		w->proc[0] = '\0';
	} else if (w->in_proc && name && len + strlen(name) + 2 < sizeof(w->proc)) {
		snprintf(w->proc + len, sizeof(w->proc) - len, "%s%s", len ? "/" : "", name);
	} else {
		w->in_proc = false;
	}
}

/* Go to @fd, which is the walk's from now on. */
static void go(struct walk *w, int fd, const char *name)
{
	close(w->at);
	w->at = fd;
	note_proc(w, name);
}

static int go_root(struct walk *w)
{
	int fd = host_result(fcntl(w->root, F_DUPFD_CLOEXEC, 0));

	if (fd < 0)
		return fd;
	go(w, fd, NULL);
	return 0;
}

/* Take the next name off the path. Return: 1, 0 at its end, -ENAMETOOLONG. */
static int next_name(struct walk *w)
{
	const char *from = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(from, "/");

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(w->name, from, len);
	w->name[len] = '\0';
	memmove(w->rest, from + len, strlen(from + len) + 1);
	return len > 0;
}

/* The text of a link takes the place of its name. */
static int put_text(struct walk *w, const char *text)
{
	size_t len = strlen(text), rest = strlen(w->rest);

	if (len == 0)
		return -ENOENT;
	if (len + rest >= sizeof(w->rest))
		return -ENAMETOOLONG;
	memmove(w->rest + len, w->rest, rest + 1);
	memcpy(w->rest, text, len);
	return text[0] == '/' ? go_root(w) : 0;
}

/* What /proc/self and /proc/thread-self say to the caller. */
static bool self_text(const struct walk *w, char *text, size_t size)
{
	bool thread = streq(w->name, "thread-self");

	if (!w->in_proc || w->proc[0] || !(thread || streq(w->name, "self")))
		return false;
	if (thread)
		snprintf(text, size, "%d/task/%d", w->cred->guest_tgid, w->cred->guest_tid);
	else
		snprintf(text, size, "%d", w->cred->guest_tgid);
	return true;
}

/* A link of /proc that leads to a file: our own /proc has the same for the host's
 * number of the caller, who may always follow its own. */
static int follow_magic(struct walk *w)
{
	char what[sizeof(w->proc) + NAME_MAX + 2];
	const char *rest;
	pid_t host;
	int fd;

	rest = own_rest(w, &host);
	if (!rest)
		return NAMEI_INSIDE;
	snprintf(what, sizeof(what), "%s%s%s", rest, rest[0] ? "/" : "", w->name);
	fd = open_of_task(host, what);
	if (fd < 0)
		return fd;
	if (!call_valid(w->c)) {
		close(fd);
		return -ESRCH;
	}
	go(w, fd, NULL);
	return 0;
}

static int follow_link(struct walk *w, int link)
{
	char text[PATH_MAX];
	ssize_t n;

	if (++w->links > MAX_LINKS)
		return -ELOOP;
	if (self_text(w, text, sizeof(text)))
		return put_text(w, text);
	/* In its root directory procfs has links that are text, elsewhere none. */
	if (is_procfs(link) && !(w->in_proc && w->proc[0] == '\0'))
		return follow_magic(w);
	n = host_result(readlinkat(link, "", text, sizeof(text) - 1));
	if (n < 0)
		return n;
	text[n] = '\0';
	return put_text(w, text);
}

/* Go on by w->name. */
static int step(struct walk *w, bool follow)
{
	cleanup_fd int fd = -1;
	bool more = w->rest[0] == '/';
	struct stat st;

	if (streq(w->name, "..") && same_directory(w->at, w->root))
		return 0;
	fd = look_up(w);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -EIO;
	if (S_ISLNK(st.st_mode) && (follow || more))
		return follow_link(w, fd);
	if (more && !S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (streq(w->name, "..") || streq(w->name, "."))
		w->in_proc = false;	/* the way there is not what proc says */
	go(w, take_fd(&fd), w->name);
	return 0;
}

static int walk(struct walk *w, bool follow)
{
	int ret;

	while ((ret = next_name(w)) > 0) {
		ret = step(w, follow);
		if (ret != 0)
			return ret;
	}
	return ret;
}

static int walk_from(struct kernel *k, struct call *c, const struct namei_request *rq,
		     const struct host_cred *cred, const struct place *p, int *ret_fd)
{
	cleanup_free struct walk *w = malloc(sizeof(*w));
	int ret;

	if (!w)
		return -ENOMEM;
	*w = (struct walk){ .k = k, .c = c, .cred = cred, .root = p->root, .at = -1 };
	w->at = host_result(fcntl(rq->path[0] == '/' ? p->root : p->at, F_DUPFD_CLOEXEC, 0));
	if (w->at < 0)
		return w->at;
	note_proc(w, NULL);
	snprintf(w->rest, sizeof(w->rest), "%s", rq->path);
	ret = walk(w, !(rq->flags & AT_SYMLINK_NOFOLLOW));
	if (ret == 0)
		*ret_fd = w->at;
	else
		close(w->at);
	return ret;
}

/* ---- in one call --------------------------------------------------------- */

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

/* Errors that may be due to how we look, and not to the path. */
static bool ours(int err, const struct host_cred *cred)
{
	return err == -EXDEV || err == -ELOOP || err == -ENOENT || err == -EAGAIN ||
	       (err == -EACCES && (cred->caps & SEARCHES));
}

static int find(struct kernel *k, struct call *c, const struct namei_request *rq,
		struct host_cred *cred, const struct place *p, int *ret_fd)
{
	bool absent = false;
	int fd = open_at_once(c, rq, cred, p, &absent), ret;

	if (fd >= 0 && k->cfg->policy->ns[POLICY_NS_PID].mode != NS_MODE_NEW && is_procfs(fd)) {
		/* There /proc/self leads to us, without an error. */
		close(fd);
		fd = -ENOENT;
	}
	if (fd >= 0)
		*ret_fd = fd;
	if (fd >= 0 || absent || !ours(fd, cred))
		return MIN(fd, 0);
	if (!cred->tgid) {
		ret = cred_read(k, c, true, cred);
		if (ret == 0 && !call_valid(c))
			ret = -ESRCH;
		if (ret < 0)
			return ret;
	}
	return walk_from(k, c, rq, cred, p, ret_fd);
}

int namei_open(struct kernel *k, struct call *c, const struct namei_request *rq,
	       struct host_cred *cred, int *ret_fd)
{
	cleanup_fd int root = -1, base = -1;
	struct place p;

	if (rq->path[0] == '\0' && !(rq->flags & AT_EMPTY_PATH))
		return -ENOENT;
	if (rq->path[0] != '/') {
		base = open_base(c, rq->dirfd);
		if (base < 0)
			return base;
	}
	if (rq->path[0] != '\0')
		root = open_of_task(c->tid, "root");
	if (!call_valid(c))
		return -ESRCH;
	if (rq->path[0] == '\0') {
		*ret_fd = take_fd(&base);
		return 0;
	}
	if (root < 0)
		return root;
	p = (struct place){
		.root = root,
		.at = base >= 0 ? base : root,
		.resolve = (base >= 0 ? RESOLVE_BENEATH : RESOLVE_IN_ROOT) | RESOLVE_NO_MAGICLINKS,
	};
	return find(k, c, rq, cred, &p, ret_fd);
}
