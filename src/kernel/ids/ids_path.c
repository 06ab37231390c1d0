/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids_path.c - calls of guest users on files, of which only the rights are ours
 *
 * The host does these calls; it would let any user of the guest do them. So the
 * rights are looked at first. Guest root's go straight on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "kernel/cleanup.h"
#include "kernel/files/stamps.h"
#include "kernel/ids/guestids.h"
#include "kernel/syscall.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

/* What one path of a call needs. 0, or a negative errno. */
typedef int (*path_right)(const struct idwalk *w, const struct idcred *cred);

static int right_to_reach(const struct idwalk *w, const struct idcred *cred)
{
	return 0;
}

static int right_to_enter(const struct idwalk *w, const struct idcred *cred)
{
	return idwalk_may(w, cred, X_OK);
}

static int right_to_remove(const struct idwalk *w, const struct idcred *cred)
{
	return w->dir < 0 ? 0 : idwalk_may_remove(w, cred);
}

/* The new name of a file: added, or in the place of another. */
static int right_to_place(const struct idwalk *w, const struct idcred *cred)
{
	if (w->dir < 0)
		return 0;
	return w->fd < 0 ? idwalk_may_add(w, cred) : idwalk_may_remove(w, cred);
}

/* A directory that moves gets another "..": it has to be writable, rename(2). */
static int right_to_move(const struct idwalk *w, const struct idcred *cred)
{
	int err = right_to_remove(w, cred);

	if (err == 0 && S_ISDIR(w->st.st_mode))
		err = idwalk_may(w, cred, W_OK);
	return err;
}

/* Of a file that one could neither write nor owns, no second name: as
 * fs.protected_hardlinks has it, which distributions switch on, proc(5). */
static int right_to_link(const struct idwalk *w, const struct idcred *cred)
{
	bool plain = S_ISREG(w->st.st_mode) && !(w->own.bits & S_ISUID) &&
		     !((w->own.bits & S_ISGID) && (w->st.st_mode & S_IXGRP));

	if (cred->uid[ID_FS] == w->own.uid || idcred_capable(cred, CAP_FOWNER))
		return 0;
	return plain && idwalk_may(w, cred, R_OK | W_OK) == 0 ? 0 : -EPERM;
}

static int right_to_add(const struct idwalk *w, const struct idcred *cred)
{
	if (w->fd >= 0 || w->dir < 0)
		return -EEXIST;
	return idwalk_may_add(w, cred);
}

static int right_to_set_times(const struct idwalk *w, const struct idcred *cred)
{
	if (cred->uid[ID_FS] == w->own.uid || idcred_capable(cred, CAP_FOWNER))
		return 0;
	return -EPERM;
}

/* To the present time: who may write may do that, utimensat(2). */
static int right_to_touch(const struct idwalk *w, const struct idcred *cred)
{
	if (right_to_set_times(w, cred) == 0)
		return 0;
	return idwalk_may(w, cred, W_OK);
}

#define CWD (-1)	/* no directory argument */
#define NONE (-1)	/* no flags argument */

struct path_arg {
	signed char dirfd, path, flags;	/* numbers of arguments */
	unsigned walk;			/* IDWALK_*, before the flags are looked at */
	path_right right;
};

static int look_at(struct kernel *k, struct call *c, const struct path_arg *p,
		   const struct idcred *cred)
{
	cleanup_free char *path = malloc(PATH_MAX);
	unsigned flags = p->flags >= 0 ? arg_u32(c, p->flags) : 0, walk = p->walk;
	struct idwalk w;
	int err;

	if (!path)
		return -ENOMEM;
	path[0] = '\0';
	err = c->arg[p->path] ? MIN(arg_string_in(c, p->path, path, PATH_MAX), 0) : 0;
	if (err < 0)
		return err;
	if (flags & AT_SYMLINK_NOFOLLOW)
		walk &= ~IDWALK_FOLLOW;
	if (flags & AT_SYMLINK_FOLLOW)
		walk |= IDWALK_FOLLOW;
	if (flags & AT_EMPTY_PATH)
		walk |= IDWALK_EMPTY;
	err = idwalk_open(k, c, p->dirfd < 0 ? AT_FDCWD : arg_int(c, p->dirfd), path, walk, cred, &w);
	if (err == 0)
		err = p->right(&w, cred);
	idwalk_close(&w);
	return err;
}

static long allow(struct kernel *k, struct call *c, const struct path_arg *first,
		  const struct path_arg *second, long (*then)(struct kernel *k, struct call *c))
{
	struct idcred cred;
	int err = 0;

	if (first->right == right_to_move)
		idreach_forget(&k->ids->reach);
	if (!idcred_is_initial(c->tid)) {
		err = guestids_caller(k, c, &cred);
		if (err == 0)
			err = look_at(k, c, first, &cred);
		if (err == 0 && second)
			err = look_at(k, c, second, &cred);
	}
	if (err < 0)
		return err;
	return then ? then(k, c) : ids_continue(c);
}

/* A call with one path, and one with two. */
#define ONE(name, ...)                                                                             \
	long ids_##name(struct kernel *k, struct call *c)                                          \
	{                                                                                          \
		static const struct path_arg p = __VA_ARGS__;                                      \
		return allow(k, c, &p, NULL, NULL);                                                \
	}
#define TWO(name, one, two)                                                                        \
	long ids_##name(struct kernel *k, struct call *c)                                          \
	{                                                                                          \
		static const struct path_arg p[] = { one, two };                                   \
		return allow(k, c, &p[0], &p[1], NULL);                                            \
	}
#define ARG(...) { __VA_ARGS__ }

/* clang-format off */
ONE(chdir,	{ CWD, 0, NONE, IDWALK_FOLLOW, right_to_enter })
ONE(rmdir,	{ CWD, 0, NONE, 0, right_to_remove })
ONE(unlink,	{ CWD, 0, NONE, 0, right_to_remove })
ONE(unlinkat,	{ 0, 1, NONE, 0, right_to_remove })
ONE(readlink,	{ CWD, 0, NONE, IDWALK_REACH, right_to_reach })
ONE(readlinkat,	{ 0, 1, NONE, IDWALK_EMPTY | IDWALK_REACH, right_to_reach })
TWO(rename,	ARG(CWD, 0, NONE, 0, right_to_move), ARG(CWD, 1, NONE, IDWALK_LAST, right_to_place))
TWO(renameat,	ARG(0, 1, NONE, 0, right_to_move), ARG(2, 3, NONE, IDWALK_LAST, right_to_place))
TWO(renameat2,	ARG(0, 1, NONE, 0, right_to_move), ARG(2, 3, NONE, IDWALK_LAST, right_to_place))
TWO(link,	ARG(CWD, 0, NONE, 0, right_to_link), ARG(CWD, 1, NONE, IDWALK_LAST, right_to_add))
TWO(linkat,	ARG(0, 1, 4, 0, right_to_link), ARG(2, 3, NONE, IDWALK_LAST, right_to_add))
/* clang-format on */

/* truncate(2) writes, which may end a set-id program. */
long ids_truncate(struct kernel *k, struct call *c)
{
	cleanup_free char *path = malloc(PATH_MAX);
	struct idcred cred;
	struct idwalk w;
	long ret;

	if (idcred_is_initial(c->tid))
		return ids_continue(c);
	ret = path ? arg_string_in(c, 0, path, PATH_MAX) : -ENOMEM;
	if (ret >= 0)
		ret = guestids_caller(k, c, &cred);
	if (ret < 0)
		return ret;
	ret = idwalk_open(k, c, AT_FDCWD, path, IDWALK_FOLLOW, &cred, &w);
	if (ret == 0)
		ret = idwalk_may(&w, &cred, W_OK);
	if (ret == 0)
		ret = ids_written(k, &w, &cred);
	idwalk_close(&w);
	return ret < 0 ? ret : ids_continue(c);
}

/* chroot(2) asks for a capability besides. */
long ids_chroot(struct kernel *k, struct call *c)
{
	static const struct path_arg p = { CWD, 0, NONE, IDWALK_FOLLOW, right_to_enter };

	if (!caller_capable(k, c, CAP_SYS_CHROOT))
		return -EPERM;
	return allow(k, c, &p, NULL, NULL);
}

/* ---- times ----------------------------------------------------------------- */

/* @translated: who sets them by the guest's clock, if that is wanted. */
static long set_times(struct kernel *k, struct call *c, int dirfd, int path, int flags,
		      bool now, long (*translated)(struct kernel *k, struct call *c))
{
	const struct path_arg p = {
		dirfd, path, flags, IDWALK_FOLLOW | (c->arg[path] ? 0 : IDWALK_EMPTY),
		now ? right_to_touch : right_to_set_times,
	};

	return allow(k, c, &p, NULL, stamps_are_guest(k) ? translated : NULL);
}

long ids_utime(struct kernel *k, struct call *c)
{
	return set_times(k, c, CWD, 0, NONE, !c->arg[1], sys_utime);
}

long ids_utimes(struct kernel *k, struct call *c)
{
	return set_times(k, c, CWD, 0, NONE, !c->arg[1], sys_utimes);
}

long ids_futimesat(struct kernel *k, struct call *c)
{
	return set_times(k, c, 0, 1, NONE, !c->arg[2], sys_futimesat);
}

long ids_utimensat(struct kernel *k, struct call *c)
{
	struct timespec t[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_NOW } };
	int err = c->arg[2] && !idcred_is_initial(c->tid) ? arg_copy_in(c, 2, t, sizeof(t)) : 0;

	if (err < 0)
		return err;
	return set_times(k, c, 0, 1, 3, t[0].tv_nsec == UTIME_NOW && t[1].tv_nsec == UTIME_NOW,
			 sys_utimensat);
}

/* ---- access(2) ------------------------------------------------------------- */

/* By the real ids, and root's rights only if the real user is root. */
static void by_real_ids(struct idcred *c)
{
	c->uid[ID_FS] = c->uid[ID_REAL];
	c->gid[ID_FS] = c->gid[ID_REAL];
	c->effective = c->uid[ID_REAL] ? 0 : c->permitted;
}

static long may_access(struct kernel *k, struct call *c, int dirfd, int path_arg, uint32_t want,
		       uint32_t flags)
{
	cleanup_free char *path = NULL;
	struct idcred cred;
	struct idwalk w;
	long ret;

	if (idcred_is_initial(c->tid))
		return ids_continue(c);
	if ((want & ~(R_OK | W_OK | X_OK)) ||
	    (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)))
		return -EINVAL;
	path = malloc(PATH_MAX);
	ret = path ? arg_string_in(c, path_arg, path, PATH_MAX) : -ENOMEM;
	if (ret >= 0)
		ret = guestids_caller(k, c, &cred);
	if (ret < 0)
		return ret;
	if (!(flags & AT_EACCESS))
		by_real_ids(&cred);
	ret = idwalk_open(k, c, dirfd, path,
			  (flags & AT_SYMLINK_NOFOLLOW ? 0 : IDWALK_FOLLOW) |
				  (flags & AT_EMPTY_PATH ? IDWALK_EMPTY : 0),
			  &cred, &w);
	if (ret == 0 && want)
		ret = idwalk_may(&w, &cred, want);
	idwalk_close(&w);
	/* The host knows of what cannot be written by anybody. */
	return ret < 0 ? ret : ids_continue(c);
}

long ids_access(struct kernel *k, struct call *c)
{
	return may_access(k, c, AT_FDCWD, 0, arg_u32(c, 1), 0);
}

long ids_faccessat(struct kernel *k, struct call *c)
{
	return may_access(k, c, arg_int(c, 0), 1, arg_u32(c, 2), 0);
}

long ids_faccessat2(struct kernel *k, struct call *c)
{
	return may_access(k, c, arg_int(c, 0), 1, arg_u32(c, 2), arg_u32(c, 3));
}

/* ---- connect(2) ------------------------------------------------------------ */

/* To a named local socket, unix(7): it has to be writable. */
long ids_connect(struct kernel *k, struct call *c)
{
	uint32_t len = arg_u32(c, 2);
	struct sockaddr_un a = {};
	char path[sizeof(a.sun_path) + 1] = "";
	struct idcred cred;
	struct idwalk w;
	int err;

	if (idcred_is_initial(c->tid) || len <= offsetof(struct sockaddr_un, sun_path) ||
	    len > sizeof(a))
		return ids_continue(c);
	err = arg_copy_in(c, 1, &a, len);
	if (err < 0)
		return err;
	if (a.sun_family != AF_UNIX || !a.sun_path[0])
		return ids_continue(c);
	memcpy(path, a.sun_path, sizeof(a.sun_path));
	err = guestids_caller(k, c, &cred);
	if (err < 0)
		return err;
	err = idwalk_open(k, c, AT_FDCWD, path, IDWALK_FOLLOW, &cred, &w);
	if (err == 0)
		err = idwalk_may(&w, &cred, W_OK);
	idwalk_close(&w);
	return err < 0 ? err : ids_continue(c);
}
