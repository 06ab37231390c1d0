/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller.c - who makes a trapped call: its rights and its place
 */
#include "kernel/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/stat.h>

#include "kernel/cleanup.h"
#include "kernel/files/cred.h"
#include "kernel/ids/guestids.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define PIDFD_THREAD O_EXCL	/* Linux 6.9 */
#define OVERFLOW_ID 65534	/* /proc/sys/kernel/overflowuid, unless somebody changed it */
#define STATUS_BYTES 16384	/* /proc/TID/status with many groups */

/* A task that made itself another user namespace has capabilities there, not
 * over the guest. Only asked where the policy lets one be made. */
static bool in_guest_userns(const struct kernel *k, pid_t tid)
{
	char path[64];
	struct stat st;

	if (!k->nested_userns)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", tid);
	return stat(path, &st) == 0 && st.st_ino == k->userns_inode;
}

uint64_t caller_capabilities(const struct kernel *k, const struct call *c)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, c->tid };
	struct __user_cap_data_struct d[2] = {};
	struct idcred own;
	uint64_t caps;

	if (k->ids)
		return guestids_caller((struct kernel *)k, c, &own) == 0 && in_guest_userns(k, c->tid) ?
			       own.effective : 0;
	if (host_call(SYS_capget, &h, d) < 0)
		return 0;
	caps = (uint64_t)d[1].effective << 32 | d[0].effective;
	return caps && in_guest_userns(k, c->tid) ? caps : 0;
}

bool caller_capable(const struct kernel *k, const struct call *c, int cap)
{
	return caller_capabilities(k, c) >> cap & 1;
}

static const char *field(const char *status, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = status; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, name, len) == 0 && p[len] == ':')
			return p + len + 1;
	}
	return "";
}

/* "Uid:	real effective saved fs", seen from our user namespace. An id that is
 * not the guest's becomes the overflow id, as the host itself shows it. */
static uint32_t guest_id(const struct id_map *map, char **pos)
{
	int64_t id = ids_to_inner(map, strtoul(*pos, pos, 10));

	return id < 0 ? OVERFLOW_ID : id;
}

static pid_t last_number(const char *line)
{
	long n = 0;
	char *end;

	for (;;) {
		long next = strtol(line, &end, 10);

		if (end == line || *line == '\n')
			return n;
		n = next;
		line = end;
		if (*line == '\n')
			return n;
	}
}

pid_t caller_tgid(pid_t tid)
{
	char path[48], text[256];
	cleanup_fd int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	fd = host_open(path, O_RDONLY, 0);
	if (fd < 0)
		return 0;
	/* Name, Umask, State, Tgid: at its beginning. */
	n = host_read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return 0;
	text[n] = '\0';
	return strtol(field(text, "Tgid"), NULL, 10);
}

int caller_fd(pid_t tid, pid_t tgid, int fd)
{
	cleanup_fd int pidfd = host_pidfd_open(tid, tid == tgid ? 0 : PIDFD_THREAD);

	if (pidfd == -EINVAL)
		pidfd = host_pidfd_open(tgid, 0);
	return pidfd < 0 ? pidfd : host_pidfd_getfd(pidfd, fd);
}

static void parse_groups(const char *line, const struct id_map *map, struct act_cred *cred)
{
	char *pos = (char *)line;

	while (cred->ngroups < AGENT_MAX_GROUPS) {
		while (*pos == ' ' || *pos == '\t')
			pos++;
		if (*pos < '0' || *pos > '9')
			return;
		cred->group[cred->ngroups++] = guest_id(map, &pos);
	}
}

static int status_text(pid_t tid, char *status)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	n = host_read_file(AT_FDCWD, path, status, STATUS_BYTES);
	if (n < 0)
		return n == -EFBIG ? -E2BIG : -ESRCH;
	return 0;
}

/* "real effective saved fs" */
static uint32_t fourth_number(const char *line)
{
	char *pos = (char *)line;

	for (int i = 0; i < 3; i++)
		strtoul(pos, &pos, 10);
	return strtoul(pos, NULL, 10);
}

/* /proc/TID/uid_map or gid_map: "inner outer count" by line, outer in our numbers. */
static int read_map(pid_t tid, const char *which, struct id_map *ret)
{
	char path[64], text[4096], *pos = text;

	snprintf(path, sizeof(path), "/proc/%d/%s", tid, which);
	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -ESRCH;
	for (ret->n = 0; ret->n < ID_EXTENTS_MAX; ret->n++) {
		struct id_extent *e = &ret->e[ret->n];

		e->inner = strtoul(pos, &pos, 10);
		e->outer = strtoul(pos, &pos, 10);
		e->count = strtoul(pos, &pos, 10);
		if (e->count == 0)
			break;
	}
	return 0;
}

void caller_shown_ids(const struct kernel *k, const struct call *c, uint32_t *uid, uint32_t *gid)
{
	const struct id_map *uids = &k->guest_uid, *gids = &k->guest_gid;
	struct id_map own_uid, own_gid;
	int64_t u, g;

	if (!in_guest_userns(k, c->tid) && read_map(c->tid, "uid_map", &own_uid) == 0 &&
	    read_map(c->tid, "gid_map", &own_gid) == 0) {
		uids = &own_uid;
		gids = &own_gid;
	}
	u = ids_to_inner(uids, *uid);
	g = ids_to_inner(gids, *gid);
	*uid = u < 0 ? OVERFLOW_ID : u;
	*gid = g < 0 ? OVERFLOW_ID : g;
}

int caller_file_ids(const struct call *c, struct host_cred *ret)
{
	static const struct id_map same = { .n = 1, .e = { { 0, 0, UINT32_MAX } } };
	char status[STATUS_BYTES];
	struct act_cred groups = { .ngroups = 0 };
	int err = status_text(c->tid, status);

	if (err < 0)
		return err;
	ret->tgid = strtol(field(status, "Tgid"), NULL, 10);
	ret->guest_tgid = last_number(field(status, "NStgid"));
	ret->guest_tid = last_number(field(status, "NSpid"));
	ret->uid = fourth_number(field(status, "Uid"));
	ret->gid = fourth_number(field(status, "Gid"));
	parse_groups(field(status, "Groups"), &same, &groups);
	ret->ngroups = groups.ngroups;
	for (unsigned i = 0; i < groups.ngroups; i++)
		ret->group[i] = groups.group[i];
	return 0;
}

static int read_status(const struct kernel *k, pid_t tid, struct caller *ret)
{
	cleanup_free char *status = malloc(STATUS_BYTES);
	struct act_cred *cred = &ret->cred;
	char *pos;
	int err = status ? status_text(tid, status) : -ENOMEM;

	if (err < 0)
		return err;
	ret->tgid = strtol(field(status, "Tgid"), NULL, 10);
	ret->guest_tid = last_number(field(status, "NSpid"));
	pos = (char *)field(status, "Uid");
	cred->ruid = guest_id(&k->guest_uid, &pos);
	cred->euid = guest_id(&k->guest_uid, &pos);
	cred->suid = guest_id(&k->guest_uid, &pos);
	cred->fsuid = guest_id(&k->guest_uid, &pos);
	pos = (char *)field(status, "Gid");
	cred->rgid = guest_id(&k->guest_gid, &pos);
	cred->egid = guest_id(&k->guest_gid, &pos);
	cred->sgid = guest_id(&k->guest_gid, &pos);
	cred->fsgid = guest_id(&k->guest_gid, &pos);
	parse_groups(field(status, "Groups"), &k->guest_gid, cred);
	cred->caps = strtoull(field(status, "CapEff"), NULL, 16);
	cred->umask = strtoul(field(status, "Umask"), NULL, 8);
	if (k->ids) {
		struct idcred own;

		/* The host has one id for all, but what it asks are capabilities. */
		if (idcred_get(k->ids->creds, tid, &own) < 0)
			return -ESRCH;
		cred->caps &= own.effective;
	}
	return 0;
}

static int open_link(pid_t tid, const char *what, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", tid, what);
	return host_open(path, flags, 0);
}

static int open_cwd(const struct call *c, int dirfd_arg)
{
	int dirfd = dirfd_arg >= 0 ? (int)(uint32_t)c->arg[dirfd_arg] : AT_FDCWD;
	char fd[32];
	int ret;

	if (dirfd == AT_FDCWD)
		return open_link(c->tid, "cwd", O_PATH | O_DIRECTORY);
	if (dirfd < 0)
		return -EBADF;
	snprintf(fd, sizeof(fd), "fd/%d", dirfd);
	ret = open_link(c->tid, fd, O_PATH | O_DIRECTORY);
	return ret == -ENOENT ? -EBADF : ret;
}

/* -1 for the guest's own, which the agent is in already. */
static int open_mntns(const struct kernel *k, pid_t tid)
{
	cleanup_fd int fd = open_link(tid, "ns/mnt", O_RDONLY);
	struct stat st;

	if (fd < 0)
		return fd == -ENOENT ? -ESRCH : fd;
	if (fstat(fd, &st) == 0 && st.st_ino == k->mntns_inode)
		return -1;
	return take_fd(&fd);
}

int caller_open(const struct kernel *k, struct call *c, int dirfd_arg, struct caller *ret)
{
	struct caller who = { .root = -1, .cwd = -1, .mntns = -1 };
	int err;

	call_slow(c);
	err = read_status(k, c->tid, &who);

	if (err == 0) {
		who.root = open_link(c->tid, "root", O_PATH | O_DIRECTORY);
		who.cwd = open_cwd(c, dirfd_arg);
		who.mntns = open_mntns(k, c->tid);
		if (who.root < 0)
			err = who.root;
		else if (who.cwd < 0)
			err = who.cwd;
		else if (who.mntns < -1)
			err = who.mntns;
	}
	if (err == 0 && !call_valid(c))
		err = -ESRCH;
	if (err < 0) {
		caller_close(&who);
		return err;
	}
	*ret = who;
	return 0;
}

void caller_close(struct caller *who)
{
	cleanup_fd_p(&who->root);
	cleanup_fd_p(&who->cwd);
	cleanup_fd_p(&who->mntns);
}

void caller_act(const struct caller *who, struct act *act)
{
	act->cred = &who->cred;
	act->root = who->root;
	act->cwd = who->cwd;
	act->mntns = who->mntns;
}
