/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_stat.c - stat and its family, where the guest is not told what the host says
 *
 * They stop only if the policy has something in the answer translated. The file
 * is found as the caller would find it (namei.h), asked about on the descriptor,
 * and the answer goes through the translators on its way to the caller's
 * memory. All five calls are one here: statx(2) says all that the others do.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kernel/cleanup.h"
#include "kernel/files/namei.h"
#include "kernel/files/stamps.h"
#include "kernel/syscall.h"
#include "kernel/time/timekeeper.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

/* ---- translators --------------------------------------------------------- */

static struct timespec plain_time(const struct statx_timestamp *t)
{
	return (struct timespec){ .tv_sec = t->tv_sec, .tv_nsec = t->tv_nsec };
}

bool stamps_are_guest(const struct kernel *k)
{
	return k->time && k->cfg->policy->clock.guest_stamps;
}

static void translate_stamps(struct kernel *k, struct statx *st)
{
	struct statx_timestamp *const stamp[] = {
		&st->stx_atime, &st->stx_mtime, &st->stx_ctime, &st->stx_btime,
	};

	/* A file system without births leaves the last one empty. */
	size_t n = ARRAY_SIZE(stamp) - !(st->stx_mask & STATX_BTIME);
	struct timespec ts[ARRAY_SIZE(stamp)];

	for (size_t i = 0; i < n; i++)
		ts[i] = plain_time(stamp[i]);
	timekeeper_guest_stamps(k->time, ts, n);
	for (size_t i = 0; i < n; i++) {
		stamp[i]->tv_sec = ts[i].tv_sec;
		stamp[i]->tv_nsec = ts[i].tv_nsec;
	}
}

void stamps_show_statx(struct kernel *k, struct statx *st)
{
	if (stamps_are_guest(k))
		translate_stamps(k, st);
}

void stamps_show_stat(struct kernel *k, struct stat *st)
{
	struct timespec ts[] = { st->st_atim, st->st_mtim, st->st_ctim };

	if (!stamps_are_guest(k))
		return;
	timekeeper_guest_stamps(k->time, ts, ARRAY_SIZE(ts));
	st->st_atim = ts[0];
	st->st_mtim = ts[1];
	st->st_ctim = ts[2];
}

static const struct {
	bool (*wanted)(const struct kernel *k);
	void (*translate)(struct kernel *k, struct statx *st);
} translators[] = {
	{ stamps_are_guest, translate_stamps },
};

static void translate(struct kernel *k, struct statx *st)
{
	for (size_t i = 0; i < ARRAY_SIZE(translators); i++)
		if (translators[i].wanted(k))
			translators[i].translate(k, st);
}

/* ---- the question -------------------------------------------------------- */

struct question {
	struct namei_request where;
	unsigned flags;		/* AT_STATX_*, AT_NO_AUTOMOUNT */
	unsigned mask;
};

/* Inside the guest, by a process: what namei_open() leaves to it. */
static long ask_inside(struct kernel *k, struct call *c, const struct question *q, int dirfd_arg,
		       struct statx *st)
{
	struct act act = { .kind = ACT_CALL, .nr = SYS_statx, .out = st, .out_arg = 4 };
	struct caller who;
	long ret = caller_open(k, c, q->where.path[0] == '/' ? -1 : dirfd_arg, &who);

	if (ret < 0)
		return ret;
	act.arg[0] = (uint32_t)AT_FDCWD;
	act.ptr[1] = q->where.path;
	act.len[1] = strlen(q->where.path) + 1;
	act.arg[2] = q->flags | (q->where.flags & AT_SYMLINK_NOFOLLOW);
	act.arg[3] = q->mask;
	act.ptr[4] = st;
	act.len[4] = sizeof(*st);
	caller_act(&who, &act);
	ret = agent_act(&k->agent, &act);
	caller_close(&who);
	return ret;
}

static long ask(struct kernel *k, struct call *c, const struct question *q, int dirfd_arg,
		struct statx *st)
{
	cleanup_free struct host_cred *cred = malloc(sizeof(*cred));
	cleanup_fd int fd = -1;
	long ret = cred ? 0 : -ENOMEM;

	/* Nobody's rights matter for a descriptor. */
	if (ret == 0 && q->where.path[0])
		ret = cred_read(k, c, false, cred);
	if (ret == 0)
		ret = namei_open(k, c, &q->where, cred, &fd);
	if (ret == NAMEI_INSIDE)
		return ask_inside(k, c, q, dirfd_arg, st);
	if (ret == 0)
		ret = host_call(SYS_statx, fd, "", q->flags | AT_EMPTY_PATH, q->mask, st);
	if (ret == 0)
		caller_shown_ids(k, c, &st->stx_uid, &st->stx_gid);
	return ret;
}

/* ---- the answer ---------------------------------------------------------- */

static long answer_stat(struct kernel *k, struct call *c, int out_arg, struct statx *x)
{
	struct stat st;

	translate(k, x);
	memset(&st, 0, sizeof(st));	/* it goes to the guest, padding and all */
	st.st_dev = makedev(x->stx_dev_major, x->stx_dev_minor);
	st.st_ino = x->stx_ino;
	st.st_nlink = x->stx_nlink;
	st.st_mode = x->stx_mode;
	st.st_uid = x->stx_uid;
	st.st_gid = x->stx_gid;
	st.st_rdev = makedev(x->stx_rdev_major, x->stx_rdev_minor);
	st.st_size = x->stx_size;
	st.st_blksize = x->stx_blksize;
	st.st_blocks = x->stx_blocks;
	st.st_atim = plain_time(&x->stx_atime);
	st.st_mtim = plain_time(&x->stx_mtime);
	st.st_ctim = plain_time(&x->stx_ctime);
	return arg_copy_out(c, out_arg, &st, sizeof(st));
}

/* ---- the calls ----------------------------------------------------------- */

/* What stat(2) and its relatives look like. Numbers of arguments; -1: none. */
struct shape {
	int dirfd, path, out, flags;
	unsigned fixed;		/* flags that the call has without being told */
};

#define STAT_FLAGS (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE)

/* Return: 0, or a negative errno. @buf holds the path from here on. */
static long read_question(struct call *c, const struct shape *s, char buf[PATH_MAX],
			  struct question *ret)
{
	unsigned flags = s->fixed | (s->flags >= 0 ? arg_u32(c, s->flags) : 0);
	ssize_t n = 0;

	buf[0] = '\0';
	/* Linux 6.11 takes no path for an empty one. */
	if (s->path >= 0 && !((flags & AT_EMPTY_PATH) && c->arg[s->path] == 0))
		n = arg_string_in(c, s->path, buf, PATH_MAX);
	if (n < 0)
		return n;
	if (flags & ~STAT_FLAGS)
		return -EINVAL;
	ret->where = (struct namei_request){
		.dirfd = s->dirfd >= 0 ? arg_int(c, s->dirfd) : AT_FDCWD,
		.path = buf,
		.flags = flags,
	};
	ret->flags = flags & (AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE);
	return 0;
}

static long stat_by(struct kernel *k, struct call *c, const struct shape *s)
{
	struct question q = { .mask = STATX_BASIC_STATS };
	char path[PATH_MAX];
	struct statx x;
	long ret = read_question(c, s, path, &q);

	if (ret == 0)
		ret = ask(k, c, &q, s->dirfd, &x);
	return ret < 0 ? ret : answer_stat(k, c, s->out, &x);
}

long sys_stat(struct kernel *k, struct call *c)
{
	static const struct shape s = { -1, 0, 1, -1, AT_NO_AUTOMOUNT };

	return stat_by(k, c, &s);
}

long sys_lstat(struct kernel *k, struct call *c)
{
	static const struct shape s = { -1, 0, 1, -1, AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW };

	return stat_by(k, c, &s);
}

long sys_fstat(struct kernel *k, struct call *c)
{
	static const struct shape s = { 0, -1, 1, -1, AT_EMPTY_PATH };

	/* AT_FDCWD is a directory to the others and no descriptor here. */
	return arg_int(c, 0) < 0 ? -EBADF : stat_by(k, c, &s);
}

long sys_newfstatat(struct kernel *k, struct call *c)
{
	static const struct shape s = { 0, 1, 2, 3, AT_NO_AUTOMOUNT };

	return stat_by(k, c, &s);
}

long sys_statx(struct kernel *k, struct call *c)
{
	static const struct shape s = { 0, 1, 4, 2, 0 };
	struct question q = { .mask = arg_u32(c, 3) };
	char path[PATH_MAX];
	struct statx x;
	long ret;

	/* In the host's order. */
	if ((q.mask & STATX__RESERVED) || (arg_u32(c, 2) & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	memset(&x, 0, sizeof(x));
	ret = read_question(c, &s, path, &q);
	if (ret == 0)
		ret = ask(k, c, &q, s.dirfd, &x);
	if (ret < 0)
		return ret;
	translate(k, &x);
	return arg_copy_out(c, 4, &x, sizeof(x));
}
