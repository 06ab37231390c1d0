/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids_xattr.c - extended attributes, without those that are the guest kernel's own
 *
 * A copy that takes all attributes along (cp -a, tar --xattrs) would else make the
 * owner of the original the owner of the copy.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "kernel/cleanup.h"
#include "kernel/ids/guestids.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define LIST_MAX 65536	/* XATTR_LIST_MAX, listxattr(2) */

/* ---- one by name ------------------------------------------------------------ */

static long by_name(struct kernel *k, struct call *c, long refusal)
{
	char name[sizeof(IDOWNER_PREFIX)] = "";
	ssize_t n = arg_string_in(c, 1, name, sizeof(name));

	/* Longer than the prefix is what most names are. */
	if (n == -ENAMETOOLONG)
		return strncmp(name, IDOWNER_PREFIX, strlen(IDOWNER_PREFIX)) == 0 ? refusal :
										    ids_continue(c);
	return n < 0 ? n : ids_continue(c);
}

#define BY_NAME(name, refusal)                                                                     \
	long ids_##name(struct kernel *k, struct call *c)                                          \
	{                                                                                          \
		return by_name(k, c, refusal);                                                     \
	}

BY_NAME(getxattr, -ENODATA)
BY_NAME(lgetxattr, -ENODATA)
BY_NAME(fgetxattr, -ENODATA)
BY_NAME(setxattr, -EPERM)
BY_NAME(lsetxattr, -EPERM)
BY_NAME(fsetxattr, -EPERM)
BY_NAME(removexattr, -ENODATA)
BY_NAME(lremovexattr, -ENODATA)
BY_NAME(fremovexattr, -ENODATA)

/* ---- the list --------------------------------------------------------------- */

/* Names end with a NUL each. Return: bytes that are left. */
static size_t without_ours(char *list, size_t len)
{
	size_t to = 0;

	for (size_t at = 0; at < len;) {
		size_t n = strnlen(list + at, len - at) + 1;

		if (!str_starts(list + at, IDOWNER_PREFIX)) {
			memmove(list + to, list + at, MIN(n, len - at));
			to += n;
		}
		at += n;
	}
	return to;
}

static long list_of(int fd, char *buf)
{
	char link[32];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return host_result(listxattr(link, buf, LIST_MAX - 1));
}

static long list_by(struct kernel *k, struct call *c, int dirfd, int path_arg, unsigned walk)
{
	cleanup_free char *buf = calloc(1, LIST_MAX), *path = calloc(1, PATH_MAX);
	struct idcred cred;
	struct idwalk w;
	size_t left;
	long ret = buf && path ? 0 : -ENOMEM;

	if (ret == 0 && path_arg >= 0)
		ret = MIN(arg_string_in(c, path_arg, path, PATH_MAX), 0);
	if (ret == 0)
		ret = guestids_caller(k, c, &cred);
	if (ret < 0)
		return ret;
	ret = idwalk_open(k, c, dirfd, path, walk, &cred, &w);
	if (ret == 0 && (S_ISLNK(w.st.st_mode) || w.st.st_ino == 0)) {
		idwalk_close(&w);
		return ids_continue(c);	/* none of ours */
	}
	if (ret == 0)
		ret = list_of(w.fd, buf);
	idwalk_close(&w);
	if (ret < 0)
		return ret;
	left = without_ours(buf, ret);
	if (c->arg[2] == 0)
		return left;
	if (c->arg[2] < left)
		return -ERANGE;
	ret = arg_copy_out(c, 1, buf, left);
	return ret < 0 ? ret : (long)left;
}

long ids_listxattr(struct kernel *k, struct call *c)
{
	return list_by(k, c, AT_FDCWD, 0, IDWALK_FOLLOW);
}

long ids_llistxattr(struct kernel *k, struct call *c)
{
	return list_by(k, c, AT_FDCWD, 0, 0);
}

long ids_flistxattr(struct kernel *k, struct call *c)
{
	return list_by(k, c, arg_int(c, 0), -1, IDWALK_EMPTY);
}
