/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids_stat.c - stat(2) and its family, with the owners that the guest kernel keeps
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/files/stamps.h"
#include "kernel/ids/guestids.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

struct asked {
	int dirfd, path_arg;	/* path_arg -1: dirfd is the file */
	unsigned walk;
};

/* The file, by the caller's rights. Return: 0, or 1 if the host shall answer. */
static int find(struct kernel *k, struct call *c, const struct asked *a, struct idwalk *ret)
{
	cleanup_free char *path = malloc(PATH_MAX);
	struct idcred cred;
	int err = path ? 0 : -ENOMEM;

	ret->fd = ret->dir = -1;
	if (err == 0)
		path[0] = '\0';
	if (err == 0 && a->path_arg >= 0 && c->arg[a->path_arg])
		err = MIN(arg_string_in(c, a->path_arg, path, PATH_MAX), 0);
	if (err == 0)
		err = guestids_caller(k, c, &cred);
	if (err == 0)
		err = idwalk_open(k, c, a->dirfd, path, a->walk, &cred, ret);
	/* Somebody's FUSE, which answers its own alone. */
	if (err == 0 && ret->st.st_ino == 0)
		err = 1;
	return err;
}

static long stat_by(struct kernel *k, struct call *c, int dirfd, int path_arg, unsigned walk,
		    int out_arg)
{
	const struct asked a = { dirfd, path_arg, walk };
	struct idwalk w;
	long ret = find(k, c, &a, &w);

	if (ret == 0) {
		idowner_show(&w.own, &w.st.st_uid, &w.st.st_gid, &w.st.st_mode);
		stamps_show_stat(k, &w.st);
		ret = arg_copy_out(c, out_arg, &w.st, sizeof(w.st));
	}
	idwalk_close(&w);
	return ret == 1 ? ids_continue(c) : ret;
}

static unsigned walk_of(uint32_t flags)
{
	return (flags & AT_SYMLINK_NOFOLLOW ? 0 : IDWALK_FOLLOW) |
	       (flags & AT_EMPTY_PATH ? IDWALK_EMPTY : 0);
}

long ids_stat(struct kernel *k, struct call *c)
{
	return stat_by(k, c, AT_FDCWD, 0, IDWALK_FOLLOW, 1);
}

long ids_lstat(struct kernel *k, struct call *c)
{
	return stat_by(k, c, AT_FDCWD, 0, 0, 1);
}

long ids_fstat(struct kernel *k, struct call *c)
{
	if (arg_int(c, 0) < 0)
		return -EBADF;
	return stat_by(k, c, arg_int(c, 0), -1, IDWALK_EMPTY, 1);
}

long ids_newfstatat(struct kernel *k, struct call *c)
{
	uint32_t flags = arg_u32(c, 3);

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT))
		return -EINVAL;
	return stat_by(k, c, arg_int(c, 0), 1, walk_of(flags), 2);
}

long ids_statx(struct kernel *k, struct call *c)
{
	uint32_t flags = arg_u32(c, 2), mask = arg_u32(c, 3);
	const struct asked a = { arg_int(c, 0), 1, walk_of(flags) };
	struct idwalk w;
	struct statx x = {};
	mode_t mode;
	long ret;

	if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE)) ||
	    (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE || (mask & STATX__RESERVED))
		return -EINVAL;
	ret = find(k, c, &a, &w);
	if (ret == 0)
		ret = host_call(SYS_statx, w.fd, "", AT_EMPTY_PATH | (flags & AT_STATX_SYNC_TYPE), mask,
				&x);
	if (ret == 0) {
		mode = x.stx_mode;
		idowner_show(&w.own, &x.stx_uid, &x.stx_gid, &mode);
		x.stx_mode = mode;
		stamps_show_statx(k, &x);
		ret = arg_copy_out(c, 4, &x, sizeof(x));
	}
	idwalk_close(&w);
	return ret == 1 ? ids_continue(c) : ret;
}
