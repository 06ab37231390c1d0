/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nsproxy.c - which namespaces a guest has
 */
#include "ns/nsproxy.h"

#include <errno.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/feature.h"
#include "passthrough/hostcall.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static const struct {
	const char *name, *feature;
	unsigned flag;
} ns_kinds[NUM_NS] = {
	[NS_USER] = { "user", "userns", CLONE_NEWUSER },
	[NS_PID] = { "pid", "pidns", CLONE_NEWPID },
	[NS_MNT] = { "mnt", "mntns", CLONE_NEWNS },
	[NS_UTS] = { "uts", "utsns", CLONE_NEWUTS },
	[NS_IPC] = { "ipc", "ipcns", CLONE_NEWIPC },
	[NS_NET] = { "net", "netns", CLONE_NEWNET },
	[NS_TIME] = { "time", "timens", CLONE_NEWTIME },
	[NS_CGROUP] = { "cgroup", "cgroupns", CLONE_NEWCGROUP },
};

const char *ns_name(enum ns_kind kind)
{
	return ns_kinds[kind].name;
}

unsigned ns_flag(enum ns_kind kind)
{
	return ns_kinds[kind].flag;
}

void nsproxy_init(struct nsproxy *p)
{
	*p = (struct nsproxy){};
	for (int i = 0; i < NUM_NS; i++)
		p->ns[i].fd = -1;
}

void nsproxy_destroy(struct nsproxy *p)
{
	for (int i = 0; i < NUM_NS; i++) {
		cleanup_fd_p(&p->ns[i].fd);
		p->ns[i].fd = -1;
	}
}

static bool host_has(enum ns_kind kind)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", ns_kinds[kind].name);
	return host_result(access(path, F_OK)) == 0;
}

static bool already_in(enum ns_kind kind, int fd)
{
	struct stat a, b;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/ns/%s%s", ns_kinds[kind].name,
		 kind == NS_TIME ? "_for_children" : "");
	return host_result(stat(path, &a)) == 0 && host_result(fstat(fd, &b)) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int fail_absent(enum ns_kind kind, struct ns_error *err)
{
	const char *name = ns_kinds[kind].name;

	return ns_fail(err, -ENOSYS, "namespaces: %s: this host has no %s namespaces (%s = host "
		       "goes without)", name, name, name);
}

static int open_joined(enum ns_kind kind, struct ns_choice *c, struct ns_error *err)
{
	cleanup_fd int fd = host_open(c->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	long type;

	if (fd < 0)
		return ns_fail(err, fd, "namespaces: %s = %s: %s", ns_kinds[kind].name, c->path,
			       strerror(-fd));
	type = host_result(ioctl(fd, NS_GET_NSTYPE));
	if (type < 0)
		return ns_fail(err, -EINVAL, "namespaces: %s = %s: not a namespace (a file like "
			       "/proc/PID/ns/%s or /run/netns/NAME is)", ns_kinds[kind].name,
			       c->path, ns_kinds[kind].name);
	for (int i = 0; i < NUM_NS; i++)
		if (i != (int)kind && (unsigned)type == ns_kinds[i].flag)
			return ns_fail(err, -EINVAL, "namespaces: %s = %s: a %s namespace, not "
				       "a %s one", ns_kinds[kind].name, c->path, ns_kinds[i].name,
				       ns_kinds[kind].name);
	if (kind == NS_USER && already_in(kind, fd))
		return ns_fail(err, -EINVAL, "namespaces: user = %s: the one that weir runs in; "
			       "write host for that", c->path);
	c->fd = take_fd(&fd);
	return 0;
}

int nsproxy_open(struct nsproxy *p, struct ns_error *err)
{
	int ret;

	for (int i = 0; i < NUM_NS; i++) {
		struct ns_choice *c = &p->ns[i];

		if (c->mode != NS_HOST && host_feature_masked(ns_kinds[i].feature))
			return fail_absent(i, err);
		/* Most that are new are asked for together, and tell of themselves. */
		if ((i == NS_USER || i == NS_PID) && c->mode == NS_NEW && !host_has(i))
			return fail_absent(i, err);
		if (c->mode != NS_JOIN)
			continue;
		ret = open_joined(i, c, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

unsigned nsproxy_flags(const struct nsproxy *p, unsigned flags)
{
	unsigned ret = 0;

	for (int i = 0; i < NUM_NS; i++)
		if (p->ns[i].mode == NS_NEW)
			ret |= ns_kinds[i].flag & flags;
	return ret;
}

int nsproxy_join(const struct nsproxy *p, struct ns_error *err)
{
	for (int i = 0; i < NUM_NS; i++) {
		const struct ns_choice *c = &p->ns[i];
		int ret;

		if (c->mode != NS_JOIN || i == NS_USER || i == NS_PID || already_in(i, c->fd))
			continue;
		ret = host_call(SYS_setns, c->fd, ns_kinds[i].flag);
		if (ret < 0)
			return ns_fail(err, ret, "namespaces: joining %s = %s: %s%s",
				       ns_kinds[i].name, c->path, strerror(-ret),
				       ret == -EPERM ? " (it belongs to another user namespace)" :
				       "");
	}
	return 0;
}

/* Why unshare() failed is told for all kinds at once: try them one by one. */
static int name_refused(unsigned flags, int ret, struct ns_error *err)
{
	for (int i = 0; i < NUM_NS; i++) {
		int one = 0;

		if (flags & ns_kinds[i].flag)
			one = host_result(unshare(ns_kinds[i].flag));
		if (one == -EINVAL && !host_has(i))
			return fail_absent(i, err);
		if (one < 0)
			return ns_fail(err, one, "namespaces: the host refuses a new %s namespace: "
				       "%s%s%s", ns_kinds[i].name, strerror(-one),
				       one == -ENOSPC ? ", see sysctl user.max_*_namespaces" : "",
				       one == -EPERM ? " (a seccomp filter around weir?)" : "");
	}
	return ns_fail(err, ret, "namespaces: the host refuses them together: %s", strerror(-ret));
}

int nsproxy_write_timens(int64_t monotonic_ns, int64_t boottime_ns)
{
	const int64_t offset[] = { monotonic_ns, boottime_ns };
	long long sec[2], nsec[2];
	char text[128];
	int dumpable = prctl(PR_GET_DUMPABLE), ret;

	for (int i = 0; i < 2; i++) {
		sec[i] = offset[i] / (int64_t)NSEC_PER_SEC;
		nsec[i] = offset[i] % (int64_t)NSEC_PER_SEC;
		if (nsec[i] < 0) {
			nsec[i] += NSEC_PER_SEC;
			sec[i]--;
		}
	}
	snprintf(text, sizeof(text), "monotonic %lld %lld\nboottime %lld %lld\n", sec[0], nsec[0],
		 sec[1], nsec[1]);
	/* Of a process that is not dumpable the file is host root's, who may not be us;
	 * no guest process is there yet that could look. */
	prctl(PR_SET_DUMPABLE, 1);
	ret = host_write_file(AT_FDCWD, "/proc/self/timens_offsets", text);
	prctl(PR_SET_DUMPABLE, dumpable == 1);
	return ret;
}

int nsproxy_enter(const struct nsproxy *p, struct ns_error *err)
{
	unsigned flags = nsproxy_flags(p, ~(unsigned)(CLONE_NEWUSER | CLONE_NEWPID));
	int ret = nsproxy_join(p, err);

	if (ret < 0)
		return ret;
	ret = host_result(unshare(flags));
	if (ret < 0)
		return name_refused(flags, ret, err);
	if (!(flags & CLONE_NEWTIME) || (!p->monotonic_ns && !p->boottime_ns))
		return 0;
	ret = nsproxy_write_timens(p->monotonic_ns, p->boottime_ns);
	if (ret == -ERANGE)
		return ns_fail(err, ret, "time: the offset would make a clock negative or pass "
			       "year 2262");
	if (ret < 0)
		return ns_fail(err, ret, "time: setting the clocks' offsets: %s", strerror(-ret));
	return 0;
}
