/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids_exec.c - execve(2) of a guest user: rights, and set-id programs
 *
 * The host runs the program; to it nothing is set-id. The new credentials count from
 * the moment on at which the program is another one (idcred_set_at_exec()).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

#include "kernel/cleanup.h"
#include "kernel/ids/guestids.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

/* capabilities(7), "Transformation of capabilities during execve()", of a file without
 * capabilities of its own. */
static void exec_caps(struct idcred *c, bool set_id)
{
	bool root = !(c->securebits & SECBIT_NOROOT) &&
		    (c->uid[ID_REAL] == 0 || c->uid[ID_EFFECTIVE] == 0);

	if (set_id)
		c->ambient = 0;
	c->permitted = c->effective = c->ambient;
	if (root) {
		c->permitted = c->inheritable | c->bounding;
		if (c->uid[ID_EFFECTIVE] == 0)
			c->effective = c->permitted;
	}
	c->securebits &= ~SECBIT_KEEP_CAPS;
}

void ids_exec_cred(const struct idcred *old, const struct idowner *own, mode_t mode,
		   bool no_new_privs, struct idcred *ret)
{
	bool set_id = false;

	*ret = *old;
	if (!no_new_privs && (own->bits & S_ISUID)) {
		ret->uid[ID_EFFECTIVE] = own->uid;
		set_id = true;
	}
	if (!no_new_privs && (own->bits & S_ISGID) && (mode & S_IXGRP)) {
		ret->gid[ID_EFFECTIVE] = own->gid;
		set_id = true;
	}
	ret->uid[ID_SAVED] = ret->uid[ID_FS] = ret->uid[ID_EFFECTIVE];
	ret->gid[ID_SAVED] = ret->gid[ID_FS] = ret->gid[ID_EFFECTIVE];
	exec_caps(ret, set_id);
}

static bool no_new_privs(pid_t tid)
{
	char path[64], text[8192], *line;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return true;
	line = strstr(text, "\nNoNewPrivs:");
	return !line || atoi(line + strlen("\nNoNewPrivs:")) != 0;
}

/* Of a script the set-id bits do not count, execve(2). */
static bool is_script(int fd)
{
	char link[32], head[2] = "";
	cleanup_fd int file = -1;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	file = host_open(link, O_RDONLY | O_NONBLOCK, 0);
	return file >= 0 && host_read(file, head, 2) == 2 && head[0] == '#' && head[1] == '!';
}

static long exec_found(struct kernel *k, struct call *c, const struct idwalk *w,
		       const struct idcred *cred)
{
	struct idowner own = w->own;
	struct idcred new;
	bool none = false;

	if (!S_ISREG(w->st.st_mode))
		return -EACCES;
	if (idwalk_may(w, cred, X_OK) < 0)
		return -EACCES;
	if (own.bits && is_script(w->fd))
		own.bits = 0;
	if (own.bits)
		none = no_new_privs(c->tid);
	ids_exec_cred(cred, &own, w->st.st_mode, none, &new);
	if (memcmp(&new, cred, sizeof(new)) != 0) {
		int err = call_valid(c) ? idcred_set_at_exec(k->ids->creds, c->tid, &new) : -ESRCH;

		if (err < 0)
			return err;
	}
	return ids_continue(c);
}

static long exec_path(struct kernel *k, struct call *c, int dirfd, int path_arg, unsigned flags)
{
	cleanup_free char *path = malloc(PATH_MAX);
	struct idcred cred;
	struct idwalk w;
	long ret;

	if (!path)
		return -ENOMEM;
	ret = arg_string_in(c, path_arg, path, PATH_MAX);
	if (ret >= 0)
		ret = guestids_caller(k, c, &cred);
	if (ret >= 0) {
		ret = idwalk_open(k, c, dirfd, path, flags, &cred, &w);
		if (ret == 0)
			ret = exec_found(k, c, &w, &cred);
		idwalk_close(&w);
	}
	/* Root may try anything: the host knows best why it fails. */
	return ret < 0 && idcred_is_initial(c->tid) ? ids_continue(c) : ret;
}

long ids_execve(struct kernel *k, struct call *c)
{
	return exec_path(k, c, AT_FDCWD, 0, IDWALK_FOLLOW);
}

long ids_execveat(struct kernel *k, struct call *c)
{
	unsigned flags = arg_u32(c, 4);

	return exec_path(k, c, arg_int(c, 0), 1,
			 (flags & AT_SYMLINK_NOFOLLOW ? 0 : IDWALK_FOLLOW) |
				 (flags & AT_EMPTY_PATH ? IDWALK_EMPTY : 0));
}
