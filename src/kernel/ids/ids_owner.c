/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids_owner.c - chown(2), chmod(2) and their families
 *
 * An owner is only written down. A mode is the file's on the host, but for the
 * set-id bits: there they would make programs of the host's user.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

#include "kernel/cleanup.h"
#include "kernel/ids/guestids.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define NO_ID UINT32_MAX

struct change {
	int dirfd, path_arg;	/* path_arg -1: dirfd is the file */
	unsigned walk;
	uint32_t uid, gid, mode;
	int (*apply)(struct kernel *k, const struct idwalk *w, const struct idcred *cred,
		     const struct change *ch);
};

static long change_file(struct kernel *k, struct call *c, const struct change *ch)
{
	cleanup_free char *path = malloc(PATH_MAX);
	struct idcred cred;
	struct idwalk w;
	long ret = path ? 0 : -ENOMEM;

	if (ret == 0)
		path[0] = '\0';
	if (ret == 0 && ch->path_arg >= 0)
		ret = MIN(arg_string_in(c, ch->path_arg, path, PATH_MAX), 0);
	if (ret == 0)
		ret = guestids_caller(k, c, &cred);
	if (ret < 0)
		return ret;
	ret = idwalk_open(k, c, ch->dirfd, path, ch->walk, &cred, &w);
	if (ret == 0 && !call_valid(c))
		ret = -ESRCH;
	if (ret == 0)
		ret = ch->apply(k, &w, &cred, ch);
	if (S_ISDIR(w.st.st_mode))
		idreach_forget(&k->ids->reach);
	idwalk_close(&w);
	return ret;
}

/* ---- chown ---------------------------------------------------------------- */

static bool may_give(const struct idwalk *w, const struct idcred *cred, uint32_t uid, uint32_t gid)
{
	if (idcred_capable(cred, CAP_CHOWN))
		return true;
	if (cred->uid[ID_FS] != w->own.uid)
		return uid == NO_ID && gid == NO_ID;
	return (uid == NO_ID || uid == w->own.uid) &&
	       (gid == NO_ID || gid == w->own.gid || idcred_in_group(cred, gid));
}

static bool owns(const struct idwalk *w, const struct idcred *cred)
{
	return cred->uid[ID_FS] == w->own.uid || idcred_capable(cred, CAP_FOWNER);
}

/* The set-id bits that are left when a file is written to or given away. */
static uint32_t harmless_bits(const struct idwalk *w)
{
	if (S_ISDIR(w->st.st_mode))
		return w->own.bits;
	return w->st.st_mode & S_IXGRP ? 0 : w->own.bits & S_ISGID;
}

int ids_written(struct kernel *k, const struct idwalk *w, const struct idcred *cred)
{
	struct idowner own = w->own;

	if (!S_ISREG(w->st.st_mode) || idcred_capable(cred, CAP_FSETID))
		return 0;
	own.bits = harmless_bits(w);
	return own.bits == w->own.bits ? 0 : idowner_set(k->ids->owners, w->fd, &w->st, &own);
}

static int give(struct kernel *k, const struct idwalk *w, const struct idcred *cred,
		const struct change *ch)
{
	struct idowner own = w->own;
	char link[32];
	int err;

	if (!may_give(w, cred, ch->uid, ch->gid) || w->proc)
		return -EPERM;
	own.uid = ch->uid == NO_ID ? own.uid : ch->uid;
	own.gid = ch->gid == NO_ID ? own.gid : ch->gid;
	/* chown(2): a program of somebody else is not set-id any more, and that is a
	 * change of its mode */
	own.bits = harmless_bits(w);
	if (own.bits != w->own.bits && !owns(w, cred))
		return -EPERM;
	if (memcmp(&own, &w->own, sizeof(own)) == 0)
		return 0;
	if (S_ISREG(w->st.st_mode) && (w->st.st_mode & IDOWNER_BITS)) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", w->fd);
		err = host_result(chmod(link, w->st.st_mode & 01777));
		if (err < 0)
			return err;
	}
	return idowner_set(k->ids->owners, w->fd, &w->st, &own);
}

static long chown_by(struct kernel *k, struct call *c, int dirfd, int path_arg, int uid_arg,
		     unsigned walk)
{
	const struct change ch = {
		.dirfd = dirfd, .path_arg = path_arg, .walk = walk, .apply = give,
		.uid = arg_u32(c, uid_arg), .gid = arg_u32(c, uid_arg + 1),
	};

	return change_file(k, c, &ch);
}

long ids_chown(struct kernel *k, struct call *c)
{
	return chown_by(k, c, AT_FDCWD, 0, 1, IDWALK_FOLLOW);
}

long ids_lchown(struct kernel *k, struct call *c)
{
	return chown_by(k, c, AT_FDCWD, 0, 1, 0);
}

long ids_fchown(struct kernel *k, struct call *c)
{
	if (arg_int(c, 0) < 0)
		return -EBADF;
	return chown_by(k, c, arg_int(c, 0), -1, 1, IDWALK_EMPTY);
}

long ids_fchownat(struct kernel *k, struct call *c)
{
	uint32_t flags = arg_u32(c, 4);

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return chown_by(k, c, arg_int(c, 0), 1, 2,
			(flags & AT_SYMLINK_NOFOLLOW ? 0 : IDWALK_FOLLOW) |
				(flags & AT_EMPTY_PATH ? IDWALK_EMPTY : 0));
}

/* ---- chmod ---------------------------------------------------------------- */

static int set_mode(struct kernel *k, const struct idwalk *w, const struct idcred *cred,
		    const struct change *ch)
{
	struct idowner own = w->own;
	uint32_t bits = ch->mode & IDOWNER_BITS;
	char link[32];
	int err;

	if (w->proc || !owns(w, cred))
		return -EPERM;
	if (S_ISLNK(w->st.st_mode))
		return -EOPNOTSUPP;
	/* inode(7) */
	if (!idcred_in_group(cred, own.gid) && !idcred_capable(cred, CAP_FSETID))
		bits &= ~(uint32_t)S_ISGID;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", w->fd);
	err = host_result(chmod(link, ch->mode & 01777));
	if (err < 0 || (bits == own.bits && !(w->st.st_mode & IDOWNER_BITS)))
		return err;
	own.bits = bits;
	return idowner_set(k->ids->owners, w->fd, &w->st, &own);
}

static long chmod_by(struct kernel *k, struct call *c, int dirfd, int path_arg, uint32_t mode,
		     unsigned walk)
{
	const struct change ch = {
		.dirfd = dirfd, .path_arg = path_arg, .walk = walk, .apply = set_mode,
		.mode = mode & 07777,
	};

	return change_file(k, c, &ch);
}

long ids_chmod(struct kernel *k, struct call *c)
{
	return chmod_by(k, c, AT_FDCWD, 0, arg_u32(c, 1), IDWALK_FOLLOW);
}

long ids_fchmod(struct kernel *k, struct call *c)
{
	if (arg_int(c, 0) < 0)
		return -EBADF;
	return chmod_by(k, c, arg_int(c, 0), -1, arg_u32(c, 1), IDWALK_EMPTY);
}

long ids_fchmodat(struct kernel *k, struct call *c)
{
	return chmod_by(k, c, arg_int(c, 0), 1, arg_u32(c, 2), IDWALK_FOLLOW);
}
