/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_utimes.c - setting the stamps of a file, by the guest's clock
 *
 * They stop only where stamps are the guest's. A time that is given is made one
 * of the host's, so that a later stat(2) shows what was set; "now" is the
 * host's, which the guest's clock shows as its own.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <utime.h>

#include "kernel/cleanup.h"
#include "kernel/files/namei.h"
#include "kernel/syscall.h"
#include "kernel/time/timekeeper.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

/* A file and its stamps-to-be. */
struct setting {
	struct namei_request where;
	struct timespec time[2];	/* accessed, modified; of the guest, then of the host */
	int dirfd_arg;			/* -1: none */
	bool by_fd;			/* the file is where.dirfd itself */
};

static bool is_given(const struct timespec *ts)
{
	return ts->tv_nsec >= 0 && ts->tv_nsec < (long)NSEC_PER_SEC;
}

/* What is no time the host finds out. */
static void to_host(struct kernel *k, struct timespec time[2])
{
	for (int i = 0; k->time && i < 2; i++)
		if (is_given(&time[i]))
			timekeeper_host_stamps(k->time, &time[i], 1);
}

static long set_inside(struct kernel *k, struct call *c, const struct setting *s)
{
	struct act act = { .kind = ACT_CALL, .nr = SYS_utimensat, .out_arg = -1 };
	struct caller who;
	long ret = caller_open(k, c, s->where.path[0] == '/' ? -1 : s->dirfd_arg, &who);

	if (ret < 0)
		return ret;
	act.arg[0] = (uint32_t)AT_FDCWD;
	act.ptr[1] = s->where.path;
	act.len[1] = strlen(s->where.path) + 1;
	act.ptr[2] = s->time;
	act.len[2] = sizeof(s->time);
	act.arg[3] = s->where.flags & AT_SYMLINK_NOFOLLOW;
	caller_act(&who, &act);
	ret = agent_act(&k->agent, &act);
	caller_close(&who);
	return ret;
}

/* Is it a capability of the caller's that lets it, where its ids do not? */
static bool may_by_capability(const struct kernel *k, const struct host_cred *cred, int fd, long err)
{
	int cap = err == -EPERM ? CAP_FOWNER : CAP_DAC_OVERRIDE;
	struct stat st;

	return (err == -EPERM || err == -EACCES) && cred_has(cred, cap) && fstat(fd, &st) == 0 &&
	       cred_owns_ids(k, st.st_uid, st.st_gid);
}

static long set_found(struct kernel *k, const struct host_cred *cred, int fd,
		      const struct timespec time[2])
{
	long ret = cred_override(cred);

	if (ret < 0)
		return ret;
	ret = host_call(SYS_utimensat, fd, "", time, AT_EMPTY_PATH);
	cred_revert(cred);
	if (may_by_capability(k, cred, fd, ret))
		ret = host_call(SYS_utimensat, fd, "", time, AT_EMPTY_PATH);
	return ret;
}

/* A descriptor that is no open file cannot be used so. */
static bool is_path_only(const struct call *c, int fd)
{
	char path[64], text[512];
	const char *flags;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", c->tid, fd);
	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return false;
	flags = strstr(text, "flags:");
	return flags && (strtoul(flags + strlen("flags:"), NULL, 8) & O_PATH);
}

static long set_times(struct kernel *k, struct call *c, struct setting *s)
{
	cleanup_free struct host_cred *cred = malloc(sizeof(*cred));
	cleanup_fd int fd = -1;
	long ret;

	/* utimensat(2): then not even the file is looked for. */
	if (s->time[0].tv_nsec == UTIME_OMIT && s->time[1].tv_nsec == UTIME_OMIT)
		return 0;
	to_host(k, s->time);
	ret = cred ? cred_read(k, c, true, cred) : -ENOMEM;
	if (ret == 0)
		ret = namei_open(k, c, &s->where, cred, &fd);
	if (ret == NAMEI_INSIDE)
		return set_inside(k, c, s);
	if (ret == 0 && s->by_fd && is_path_only(c, s->where.dirfd))
		ret = -EBADF;
	return ret < 0 ? ret : set_found(k, cred, fd, s->time);
}

/* The file: a path, or none and a descriptor. @buf holds it from here on. */
static long read_where(struct call *c, int dirfd_arg, int path_arg, unsigned flags,
		       char buf[PATH_MAX], struct setting *ret)
{
	ssize_t n = 0;

	buf[0] = '\0';
	ret->dirfd_arg = dirfd_arg;
	ret->where = (struct namei_request){
		.dirfd = dirfd_arg >= 0 ? arg_int(c, dirfd_arg) : AT_FDCWD,
		.path = buf,
		.flags = flags,
	};
	ret->by_fd = dirfd_arg >= 0 && c->arg[path_arg] == 0 && ret->where.dirfd != AT_FDCWD;
	if (ret->by_fd) {
		if (flags)
			return -EINVAL;
		ret->where.flags = AT_EMPTY_PATH;
		return 0;
	}
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	n = arg_string_in(c, path_arg, buf, PATH_MAX);
	return MIN(n, 0);
}

static long read_timevals(struct call *c, int arg, struct timespec time[2])
{
	struct timeval tv[2];
	int ret = arg_copy_in(c, arg, tv, sizeof(tv));

	for (int i = 0; i < 2 && ret == 0; i++) {
		if (tv[i].tv_usec < 0 || tv[i].tv_usec > 999999)
			return -EINVAL;
		time[i] = (struct timespec){ tv[i].tv_sec, tv[i].tv_usec * 1000 };
	}
	return ret;
}

long sys_utime(struct kernel *k, struct call *c)
{
	struct setting s = {};
	struct utimbuf times;
	char path[PATH_MAX];
	long ret;

	if (c->arg[1] == 0)
		return call_continue(c, "without times the stamps become the host's now, which "
					"no memory of the task decides");
	ret = arg_copy_in(c, 1, &times, sizeof(times));
	s.time[0].tv_sec = times.actime;
	s.time[1].tv_sec = times.modtime;
	if (ret == 0)
		ret = read_where(c, -1, 0, 0, path, &s);
	return ret < 0 ? ret : set_times(k, c, &s);
}

static long by_timevals(struct kernel *k, struct call *c, int dirfd_arg, int path_arg)
{
	struct setting s = {};
	char path[PATH_MAX];
	long ret = read_timevals(c, path_arg + 1, s.time);

	if (ret == 0)
		ret = read_where(c, dirfd_arg, path_arg, 0, path, &s);
	return ret < 0 ? ret : set_times(k, c, &s);
}

long sys_utimes(struct kernel *k, struct call *c)
{
	if (c->arg[1] == 0)
		return call_continue(c, "without times the stamps become the host's now, which "
					"no memory of the task decides");
	return by_timevals(k, c, -1, 0);
}

long sys_futimesat(struct kernel *k, struct call *c)
{
	if (c->arg[2] == 0)
		return call_continue(c, "without times the stamps become the host's now, which "
					"no memory of the task decides");
	return by_timevals(k, c, 0, 1);
}

long sys_utimensat(struct kernel *k, struct call *c)
{
	struct setting s = {};
	char path[PATH_MAX];
	long ret;

	if (c->arg[2] == 0)
		return call_continue(c, "without times the stamps become the host's now, which "
					"no memory of the task decides");
	ret = arg_copy_in(c, 2, s.time, sizeof(s.time));
	if (ret == 0)
		ret = read_where(c, 0, 1, arg_u32(c, 3), path, &s);
	return ret < 0 ? ret : set_times(k, c, &s);
}
