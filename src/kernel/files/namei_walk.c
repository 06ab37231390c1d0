/* SPDX-License-Identifier: Apache-2.0 */
/*
 * namei_walk.c - a caller's path, one name at a time
 *
 * As the host would do it, with the caller's ids on, and three differences:
 * /proc/self is the caller, a link of its own in /proc is taken from our /proc,
 * and a directory that it may search by a capability is searched with ours.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/openat2.h>
#include <sys/capability.h>
#include <sys/stat.h>

#include "kernel/cleanup.h"
#include "kernel/files/namei_impl.h"
#include "passthrough/hostcall.h"

#define MAX_LINKS 40		/* in one path, path_resolution(7) */
#define PROC_ROOT_INO 1

struct walk {
	struct kernel *k;
	const struct call *c;
	const struct host_cred *cred;
	int root, at;
	unsigned links;
	dev_t dev;			/* at's */
	bool in_proc;			/* at is in a procfs, and proc is the way there */
	char proc[64];			/* "12/task/13/fd" */
	char name[NAME_MAX + 1];
	char rest[2 * PATH_MAX];
};

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
	return (w->cred->caps & NAMEI_SEARCHES) && fstat(w->at, &st) == 0 &&
	       cred_owns_ids(w->k, st.st_uid, st.st_gid);
}

/* One name, as the caller or else with our own rights. */
static int look_up(const struct walk *w)
{
	const uint64_t flags = O_PATH | O_NOFOLLOW;
	int fd = host_openat2(w->at, w->name, flags, 0, RESOLVE_NO_MAGICLINKS), ret;

	if (fd != -EACCES || !may_search(w))
		return fd;
	cred_revert(w->cred);
	fd = host_openat2(w->at, w->name, flags, 0, RESOLVE_NO_MAGICLINKS);
	ret = cred_override(w->cred);
	if (ret < 0 && fd >= 0)
		close(fd);
	return ret < 0 ? ret : fd;
}

/* Is w->at in a procfs, and do we know where? @name led there, NULL: something else. */
static void note_proc(struct walk *w, const struct stat *st, const char *name)
{
	bool same = st->st_dev == w->dev;
	size_t len = strlen(w->proc);

	w->dev = st->st_dev;
	if (same && !w->in_proc && st->st_ino != PROC_ROOT_INO)
		return;
	if (!same && !namei_is_procfs(w->at)) {
		w->in_proc = false;
	} else if (st->st_ino == PROC_ROOT_INO) {
		w->in_proc = namei_is_procfs(w->at);	/* others have that number, too */
		w->proc[0] = '\0';
	} else if (w->in_proc && name && len + strlen(name) + 2 < sizeof(w->proc)) {
		snprintf(w->proc + len, sizeof(w->proc) - len, "%s%s", len ? "/" : "", name);
	} else {
		w->in_proc = false;
	}
}

/* Go to @fd, which is the walk's from now on. */
static int go(struct walk *w, int fd, const char *name)
{
	struct stat st;

	cleanup_fd_p(&w->at);
	w->at = fd;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -EIO;
	note_proc(w, &st, name);
	return 0;
}

static int go_root(struct walk *w)
{
	return go(w, host_result(fcntl(w->root, F_DUPFD_CLOEXEC, 0)), NULL);
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
	int fd, ret;

	rest = own_rest(w, &host);
	if (!rest)
		return NAMEI_INSIDE;
	snprintf(what, sizeof(what), "%s%s%s", rest, rest[0] ? "/" : "", w->name);
	cred_revert(w->cred);
	fd = namei_open_of_task(host, what);
	ret = cred_override(w->cred);
	if (ret == 0 && !call_valid(w->c))
		ret = -ESRCH;
	if (ret < 0 && fd >= 0)
		close(fd);
	return ret < 0 ? ret : fd < 0 ? fd : go(w, fd, NULL);
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
	if (namei_is_procfs(link) && !(w->in_proc && w->proc[0] == '\0'))
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
	return go(w, take_fd(&fd), w->name);
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

/* A walk that begins in a procfs: below the caller's own directory? Our /proc says
 * by what names one comes there. */
static void begin_in_proc(struct walk *w)
{
	char link[64], path[PATH_MAX], number[32], *at = NULL;
	ssize_t n;

	if (w->in_proc || !namei_is_procfs(w->at))
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", w->at);
	n = host_result(readlink(link, path, sizeof(path) - 2));
	if (n < 0)
		return;
	memcpy(path + n, "/", 2);
	snprintf(number, sizeof(number), "/%d/", w->cred->guest_tgid);
	for (char *next = path; (next = strstr(next, number)); next++)
		at = next;
	if (!at || strlen(at) >= sizeof(w->proc))
		return;
	path[n] = '\0';
	w->in_proc = true;
	snprintf(w->proc, sizeof(w->proc), "%s", at + 1);
}

int namei_walk(struct kernel *k, struct call *c, const struct namei_request *rq,
	       const struct host_cred *cred, const struct place *p, int *ret_fd)
{
	cleanup_free struct walk *w = malloc(sizeof(*w));
	int ret;

	if (!w)
		return -ENOMEM;
	*w = (struct walk){ .k = k, .c = c, .cred = cred, .root = p->root, .at = -1, .dev = -1 };
	snprintf(w->rest, sizeof(w->rest), "%s", rq->path);
	ret = cred_override(cred);
	if (ret < 0)
		return ret;
	ret = go(w, host_result(fcntl(p->at, F_DUPFD_CLOEXEC, 0)), NULL);
	begin_in_proc(w);
	if (ret == 0)
		ret = walk(w, !(rq->flags & AT_SYMLINK_NOFOLLOW));
	cred_revert(cred);
	if (ret == 0)
		*ret_fd = take_fd(&w->at);
	cleanup_fd_p(&w->at);
	return ret;
}
