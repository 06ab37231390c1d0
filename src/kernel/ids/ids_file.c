/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids_file.c - open(2) and its family of guest users
 *
 * A file that is there is opened by the host, once its mode allows it. One that is
 * to be made by another user than root is made here, so that its owner is known
 * before anybody can ask. And /proc/PID/status is the host's but for the lines about
 * ids, which the host cannot know.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "kernel/cleanup.h"
#include "kernel/ids/guestids.h"
#include "kernel/machine/text.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

struct opening {
	int dirfd;
	const char *path;
	uint64_t flags;
	mode_t mode;
};

/* ---- /proc/PID/status ----------------------------------------------------- */

static void put_ids(struct text *t, const char *name, const uint32_t id[ID_KINDS])
{
	text_printf(t, "%s:\t%u\t%u\t%u\t%u\n", name, id[ID_REAL], id[ID_EFFECTIVE], id[ID_SAVED],
		 id[ID_FS]);
}

static void put_groups(struct text *t, const struct idcred *c)
{
	text_printf(t, "Groups:\t");
	for (uint32_t i = 0; i < c->ngroups; i++)
		text_printf(t, "%u ", c->group[i]);
	text_printf(t, "%s\n", c->ngroups ? "" : " ");
}

static bool put_own_line(struct text *t, const char *line, const struct idcred *c)
{
	const struct {
		const char *name;
		uint64_t set;
	} caps[] = {
		{ "CapInh:", c->inheritable }, { "CapPrm:", c->permitted },
		{ "CapEff:", c->effective },   { "CapBnd:", c->bounding },
		{ "CapAmb:", c->ambient },
	};

	if (str_starts(line, "Uid:"))
		put_ids(t, "Uid", c->uid);
	else if (str_starts(line, "Gid:"))
		put_ids(t, "Gid", c->gid);
	else if (str_starts(line, "Groups:"))
		put_groups(t, c);
	else {
		for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
			if (!str_starts(line, caps[i].name))
				continue;
			text_printf(t, "%s\t%016llx\n", caps[i].name, (unsigned long long)caps[i].set);
			return true;
		}
		return false;
	}
	return true;
}

/* A file of the text alone, open for reading. */
static int text_file(const struct text *t)
{
	cleanup_fd int fd = host_result(memfd_create("status", MFD_CLOEXEC));
	char link[32];

	if (fd < 0)
		return fd;
	if (host_write(fd, t->buf, t->len) < 0)
		return -EIO;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return host_open(link, O_RDONLY, 0);
}

long ids_proc_status(struct kernel *k, struct call *c, const struct idwalk *w, bool cloexec)
{
	char status[16384], *save = NULL;
	struct idcred cred;
	struct text t = {};
	int fd;

	if (guestids_of_pid(k, c, w->proc, &cred) < 0 ||
	    host_read_file(w->dir, "status", status, sizeof(status)) < 0)
		return 1;
	for (char *line = strtok_r(status, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!put_own_line(&t, line, &cred))
			text_printf(&t, "%s\n", line);
	fd = text_file(&t);
	text_free(&t);
	return fd < 0 ? fd : call_fd(c, fd, cloexec);
}

/* ---- opening -------------------------------------------------------------- */

static int wanted(const struct opening *o)
{
	static const int by_mode[] = { R_OK, W_OK, R_OK | W_OK, R_OK | W_OK };
	int want = by_mode[o->flags & O_ACCMODE];

	return o->flags & O_TRUNC ? want | W_OK : want;
}

static bool is_status(const struct idwalk *w)
{
	return w->proc && w->dir >= 0 && streq(w->name, "status");
}

/* The other end of a pseudo-terminal is whose who asks: its maker's, in most cases. */
static bool is_pty(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && major(st->st_rdev) >= 136 && major(st->st_rdev) <= 143;
}

static long open_found(struct kernel *k, struct call *c, const struct opening *o,
		       const struct idwalk *w, const struct idcred *cred)
{
	if ((o->flags & O_CREAT) && (o->flags & O_EXCL))
		return -EEXIST;
	if (o->flags & O_PATH)
		return ids_continue(c);
	if (!is_pty(&w->st) && !S_ISLNK(w->st.st_mode) && idwalk_may(w, cred, wanted(o)) < 0)
		return -EACCES;
	if ((o->flags & O_NOATIME) && cred->uid[ID_FS] != w->own.uid &&
	    !idcred_capable(cred, CAP_FOWNER))
		return -EPERM;
	if (is_status(w)) {
		long ret = ids_proc_status(k, c, w, o->flags & O_CLOEXEC);

		if (ret != 1)
			return ret;
	}
	if (wanted(o) & W_OK) {
		int err = ids_written(k, w, cred);

		if (err < 0)
			return err;
	}
	return ids_continue(c);
}

/* @fd is new and ours: its mode and owner. */
static int own_file(struct kernel *k, int fd, const struct idwalk *w, const struct idcred *cred,
		    mode_t mode)
{
	struct idowner own;
	struct stat st;
	int err = host_result(fchmod(fd, mode & 01777));

	if (err == 0)
		err = host_result(fstat(fd, &st));
	ids_new_owner(w, cred, mode, &own);
	return err < 0 ? err : idowner_set(k->ids->owners, fd, &st, &own);
}

static long open_new(struct kernel *k, struct call *c, const struct opening *o,
		     const struct idwalk *w, const struct idcred *cred)
{
	mode_t mode = S_IFREG | (o->mode & 07777);
	cleanup_fd int fd = -1;
	int err;

	if (w->slash)
		return -EISDIR;
	err = idwalk_may_add(w, cred);
	if (err < 0)
		return err;
	mode &= ~guestids_umask(c);
	if (!call_valid(c))
		return -ESRCH;
	fd = host_openat(w->dir, w->name, (int)o->flags | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	/* Somebody else has made it meanwhile. */
	if (fd == -EEXIST && !(o->flags & O_EXCL))
		return ids_continue(c);
	if (fd < 0)
		return fd;
	err = own_file(k, fd, w, cred, mode);
	if (err < 0) {
		unlinkat(w->dir, w->name, 0);
		return err;
	}
	return call_fd(c, take_fd(&fd), o->flags & O_CLOEXEC);
}

/* O_TMPFILE: a file without a name, in a directory. */
static long open_unnamed(struct kernel *k, struct call *c, const struct opening *o,
			 struct idwalk *w, const struct idcred *cred)
{
	mode_t mode = S_IFREG | (o->mode & 07777 & ~guestids_umask(c));
	cleanup_fd int fd = -1;
	char link[32];
	int err = idwalk_may(w, cred, W_OK | X_OK);

	if (err < 0)
		return err;
	w->dir_own = w->own;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", w->fd);
	fd = host_open(link, (int)o->flags, 0600);
	err = fd < 0 ? fd : own_file(k, fd, w, cred, mode);
	return err < 0 ? err : call_fd(c, take_fd(&fd), o->flags & O_CLOEXEC);
}

static unsigned walk_flags(uint64_t flags)
{
	bool exclusive = (flags & O_CREAT) && (flags & O_EXCL);

	return (flags & O_NOFOLLOW || exclusive ? 0 : IDWALK_FOLLOW) |
	       (flags & O_CREAT ? IDWALK_LAST : 0);
}

static long open_as_user(struct kernel *k, struct call *c, const struct opening *o)
{
	struct idcred cred;
	struct idwalk w;
	long ret = guestids_caller(k, c, &cred);

	if (ret < 0)
		return ret;
	ret = idwalk_open(k, c, o->dirfd, o->path, walk_flags(o->flags), &cred, &w);
	if (ret == 0 && w.fd < 0)
		ret = open_new(k, c, o, &w, &cred);
	else if (ret == 0 && (o->flags & O_TMPFILE) == O_TMPFILE)
		ret = open_unnamed(k, c, o, &w, &cred);
	else if (ret == 0)
		ret = open_found(k, c, o, &w, &cred);
	idwalk_close(&w);
	return ret;
}

static bool may_be_status(const char *path)
{
	size_t len = strlen(path);

	return len >= 6 && streq(path + len - 6, "status");
}

/* Root may open what there is. A status file has to be looked for, and a new file in a
 * directory that gives its group on. */
static long open_as_root(struct kernel *k, struct call *c, const struct opening *o)
{
	struct idcred cred;
	struct idwalk w = { .fd = -1, .dir = -1 };
	long ret = 1;

	if (!(o->flags & O_CREAT) && !may_be_status(o->path))
		return ids_continue(c);
	if (guestids_caller(k, c, &cred) == 0 &&
	    idwalk_open(k, c, o->dirfd, o->path, walk_flags(o->flags), &cred, &w) == 0) {
		if (w.fd >= 0 && is_status(&w) && !(o->flags & O_PATH))
			ret = ids_proc_status(k, c, &w, o->flags & O_CLOEXEC);
		else if (w.fd < 0 && (w.dir_own.bits & S_ISGID))
			ret = open_new(k, c, o, &w, &cred);
	}
	idwalk_close(&w);
	return ret == 1 ? ids_continue(c) : ret;
}

static long open_by(struct kernel *k, struct call *c, int dirfd, int path_arg, uint64_t flags,
		    mode_t mode)
{
	cleanup_free char *path = malloc(PATH_MAX);
	struct opening o = { .dirfd = dirfd, .path = path, .flags = flags, .mode = mode };
	ssize_t n = path ? arg_string_in(c, path_arg, path, PATH_MAX) : -ENOMEM;

	if (n < 0)
		return n;
	return idcred_is_initial(c->tid) ? open_as_root(k, c, &o) : open_as_user(k, c, &o);
}

long ids_open(struct kernel *k, struct call *c)
{
	return open_by(k, c, AT_FDCWD, 0, arg_u32(c, 1), arg_u32(c, 2));
}

long ids_creat(struct kernel *k, struct call *c)
{
	return open_by(k, c, AT_FDCWD, 0, O_CREAT | O_WRONLY | O_TRUNC, arg_u32(c, 1));
}

long ids_openat(struct kernel *k, struct call *c)
{
	return open_by(k, c, arg_int(c, 0), 1, arg_u32(c, 2), arg_u32(c, 3));
}

/* What resolve forbids is asked of the host, as root; a user has no such opening of a
 * new file, which would be made here. */
long ids_openat2(struct kernel *k, struct call *c)
{
	struct open_how how;
	int err;

	if (c->arg[3] < sizeof(how))
		return -EINVAL;
	err = arg_copy_in(c, 2, &how, sizeof(how));
	if (err < 0)
		return err;
	if (how.resolve && (idcred_is_initial(c->tid) || (how.flags & O_CREAT)))
		return idcred_is_initial(c->tid) ? ids_continue(c) : -ENOSYS;
	return open_by(k, c, arg_int(c, 0), 1, how.flags, how.mode);
}
