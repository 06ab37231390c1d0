/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_mount.c - mount, umount2, pivot_root, chroot, mknod
 *
 * All of them are done by an act of the agent: with copies of the arguments,
 * from the caller's root and working directory, in the caller's mount
 * namespace, with the caller's ids and capabilities. The host's own checks
 * therefore hold in full, and no path of the guest is ever looked up where
 * host files are in reach.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kernel/cleanup.h"
#include "kernel/guest_mount.h"
#include "kernel/machine/proc_files.h"
#include "kernel/memory/memory.h"
#include "kernel/memory/tmpfs.h"
#include "kernel/syscall.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define MOUNT_DATA_BYTES 4096	/* the host copies one page, mount(2) */

/* The file systems that a guest may make mounts of. Others are refused as the
 * host would refuse them in a user namespace. */
static const struct guest_fs {
	const char *type;
	int kept;	/* served from the guest's own mount: ROOT_TREE_*, or -1 */
} guest_fs[] = {
	{ "tmpfs", -1 },
	{ "ramfs", -1 },
	{ "devpts", -1 },
	{ "mqueue", -1 },
	{ "overlay", -1 },
	{ "cgroup2", -1 },
	{ "proc", ROOT_TREE_PROC },
	{ "sysfs", ROOT_TREE_SYS },
};

/* EPERM for a file system that the host has, ENODEV for one that it has not. */
static int refuse_fs(const char *type)
{
	char list[8192];

	if (host_read_file(AT_FDCWD, "/proc/filesystems", list, sizeof(list)) < 0)
		return -EPERM;
	for (char *line = strtok(list, "\n"); line; line = strtok(NULL, "\n")) {
		char *name = strrchr(line, '\t');

		if (name && streq(name + 1, type))
			return -EPERM;
	}
	return -ENODEV;
}

const char *guest_fs_name(unsigned i)
{
	return i < ARRAY_SIZE(guest_fs) ? guest_fs[i].type : "";
}

static const struct guest_fs *find_fs(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(guest_fs); i++)
		if (streq(guest_fs[i].type, type))
			return &guest_fs[i];
	return NULL;
}

/* An argument that may be NULL. Return: length with its NUL, 0 for NULL. */
static ssize_t optional_string(struct call *c, int n, char *buf, size_t size)
{
	ssize_t len;

	if (c->arg[n] == 0)
		return 0;
	len = arg_string_in(c, n, buf, size);
	return len < 0 ? len : len + 1;
}

/* mount(2)'s last argument is a page of bytes to the host, text to every file
 * system here; like the host, take what there is of the page. */
static ssize_t mount_data(struct call *c, char *buf)
{
	ssize_t n;

	if (c->arg[4] == 0)
		return 0;
	n = arg_string_in(c, 4, buf, MOUNT_DATA_BYTES);
	if (n == -ENAMETOOLONG) {
		buf[MOUNT_DATA_BYTES - 1] = '\0';
		n = MOUNT_DATA_BYTES - 1;
	}
	return n < 0 ? n : n + 1;
}

/* The caller's own /proc/self means its process, not the one that acts for it. */
static void own_path(const struct caller *who, char *path, size_t size)
{
	static const char *const self[] = { "/proc/self/", "/proc/thread-self/" };
	char *rest = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(self); i++)
		if (str_starts(path, self[i]))
			rest = strdup(path + strlen(self[i]));
	if (!rest)
		return;
	snprintf(path, size, "/proc/%d/%s", who->guest_tid, rest);
	free(rest);
}

struct mount_args {
	char source[PATH_MAX + 32], target[PATH_MAX + 32], type[64], data[MOUNT_DATA_BYTES];
	ssize_t source_len, target_len, type_len, data_len;
};

static int read_mount_args(struct call *c, struct mount_args *m)
{
	/* In the order in which the host reads them, so that errors agree. */
	m->type_len = optional_string(c, 2, m->type, sizeof(m->type));
	if (m->type_len == -ENAMETOOLONG)
		return -ENODEV;
	if (m->type_len < 0)
		return m->type_len;
	m->source_len = optional_string(c, 0, m->source, PATH_MAX);
	if (m->source_len < 0)
		return m->source_len;
	m->data_len = mount_data(c, m->data);
	if (m->data_len < 0)
		return m->data_len;
	m->target_len = arg_string_in(c, 1, m->target, PATH_MAX);
	return m->target_len < 0 ? m->target_len : 0;
}

static bool makes_new_mount(uint64_t flags)
{
	const uint64_t change = MS_REMOUNT | MS_BIND | MS_SHARED | MS_PRIVATE | MS_SLAVE |
				MS_UNBINDABLE | MS_MOVE;

	return !(flags & change);
}

/* A tmpfs has no more than a share of the guest's memory, not of the host's. Where
 * a cgroup counts what lies in it, a size that the guest asks for stands. */
static int bound_tmpfs(const struct kernel *k, struct mount_args *m, uint64_t flags)
{
	uint64_t most = memory_tmpfs_bytes(k);
	bool strict = memory_strict(k), fresh = makes_new_mount(flags);

	if (!most || (!fresh && !(flags & MS_REMOUNT)))
		return 0;
	/* It has no limit at all. */
	if (fresh && strict && streq(m->type, "ramfs"))
		return -EPERM;
	if (fresh && !streq(m->type, "tmpfs"))
		return 0;
	if (tmpfs_bound(m->data, sizeof(m->data), most, strict, fresh))
		m->data_len = strlen(m->data) + 1;
	return 0;
}

static void set_string(struct act *act, int n, const char *s, bool present)
{
	if (!present)
		return;
	act->ptr[n] = s;
	act->len[n] = strlen(s) + 1;
}

static long mount_disk(struct kernel *k, const struct caller *who, struct mount_args *m, uint64_t flags)
{
	const struct guest_mount gm = {
		.source = m->source, .target = m->target, .type = m->type, .data = m->data, .flags = flags,
	};

	if (m->source_len == 0)
		return -EINVAL;
	if (m->data_len == 0)
		m->data[0] = '\0';
	return guest_mount(k, who, &gm);
}

/* Over the host's own user namespace the host opens what a node stands for, and the
 * guest's disks may have nodes of any device: what it mounts, or mounts in another way,
 * has none. The guest's own devices are binds. */
static uint64_t without_devices(const struct kernel *k, const char *type, uint64_t flags)
{
	bool fresh = makes_new_mount(flags);

	if (k->cfg->rootless || k->cfg->policy->ns[POLICY_NS_USER].mode == NS_MODE_NEW ||
	    (!fresh && !(flags & MS_REMOUNT)) || (fresh && streq(type, "devpts")))
		return flags;
	return flags | MS_NODEV;
}

static long do_mount(struct kernel *k, struct call *c, const struct caller *who,
		     struct mount_args *m)
{
	struct act act = { .kind = ACT_CALL, .nr = SYS_mount, .out_arg = -1 };
	uint64_t flags = c->arg[3];
	const struct guest_fs *fs;
	int ret;

	/* mount(2): the magic that old programs put into the high half */
	if ((flags & MS_MGC_MSK) == MS_MGC_VAL)
		flags &= ~MS_MGC_MSK;
	own_path(who, m->target, sizeof(m->target));
	own_path(who, m->source, sizeof(m->source));
	caller_act(who, &act);
	if (makes_new_mount(flags)) {
		if (m->type_len == 0)
			return -EINVAL;
		if (guest_mount_knows(k, m->type))
			return mount_disk(k, who, m, flags);
		fs = find_fs(m->type);
		if (!fs)
			return refuse_fs(m->type);
		if (fs->kept >= 0) {
			act.kind = ACT_MOUNT_KEPT;
			act.arg[0] = fs->kept;
			set_string(&act, 1, m->target, true);
			return agent_act(&k->agent, &act);
		}
	}
	ret = bound_tmpfs(k, m, flags);
	if (ret < 0)
		return ret;
	act.arg[3] = without_devices(k, m->type, flags);
	set_string(&act, 0, m->source, m->source_len > 0);
	set_string(&act, 1, m->target, true);
	set_string(&act, 2, m->type, m->type_len > 0);
	if (m->data_len > 0) {
		/* A whole page: the host reads one. */
		memset(m->data + m->data_len, 0, sizeof(m->data) - m->data_len);
		act.ptr[4] = m->data;
		act.len[4] = sizeof(m->data);
	}
	return agent_act(&k->agent, &act);
}

long sys_mount(struct kernel *k, struct call *c)
{
	cleanup_free struct mount_args *m = calloc(1, sizeof(*m));
	struct caller who;
	long ret;

	if (!m)
		return -ENOMEM;
	ret = read_mount_args(c, m);
	if (ret < 0)
		return ret;
	if (!caller_capable(k, c, CAP_SYS_ADMIN) && !k->nested_userns)
		return -EPERM;
	ret = caller_open(k, c, -1, &who);
	if (ret < 0)
		return ret;
	ret = do_mount(k, c, &who, m);
	caller_close(&who);
	return ret;
}

/* A call whose pointers are all paths, as the caller. */
static long act_on_paths(struct kernel *k, struct call *c, int nr, int npaths)
{
	cleanup_free char *buf = malloc(2 * (PATH_MAX + 32));
	struct act act = { .kind = ACT_CALL, .nr = nr, .out_arg = -1 };
	struct caller who;
	long ret = 0;

	if (!buf)
		return -ENOMEM;
	memcpy(act.arg, c->arg, sizeof(act.arg));
	for (int i = 0; i < npaths; i++) {
		ssize_t n = arg_string_in(c, i, buf + i * (PATH_MAX + 32), PATH_MAX);

		if (n < 0)
			return n;
	}
	ret = caller_open(k, c, -1, &who);
	if (ret < 0)
		return ret;
	for (int i = 0; i < npaths; i++) {
		own_path(&who, buf + i * (PATH_MAX + 32), PATH_MAX + 32);
		set_string(&act, i, buf + i * (PATH_MAX + 32), true);
	}
	caller_act(&who, &act);
	ret = agent_act(&k->agent, &act);
	caller_close(&who);
	return ret;
}

long sys_umount2(struct kernel *k, struct call *c)
{
	long ret = act_on_paths(k, c, SYS_umount2, 1);

	/* A disk is unmounted once all is on it. */
	if (ret == 0)
		guest_mounts_settle(k);
	return ret;
}

long sys_pivot_root(struct kernel *k, struct call *c)
{
	return act_on_paths(k, c, SYS_pivot_root, 2);
}

long sys_chroot(struct kernel *k, struct call *c)
{
	return call_continue(c, "chroot changes only the caller's view of its own mount namespace, "
				"in which nothing of the host is; the host asks for "
				"CAP_SYS_CHROOT over the guest's user namespace");
}

/* mknod and mknodat, with the arguments in one order. */
static long make_node(struct kernel *k, struct call *c, int dirfd_arg, int path_arg,
		      uint64_t mode_arg, uint64_t dev)
{
	mode_t mode = (uint16_t)mode_arg;	/* umode_t */
	cleanup_free char *path = malloc(PATH_MAX + 32);
	struct act act = { .kind = ACT_CALL, .nr = SYS_mknod, .out_arg = -1 };
	struct caller who;
	ssize_t len;
	int device;
	long ret;

	if (!path)
		return -ENOMEM;
	len = arg_string_in(c, path_arg, path, PATH_MAX);
	if (len < 0)
		return len;
	if (S_ISCHR(mode) && dev != 0) {
		device = root_device_index(major(dev), minor(dev));
		if (!caller_capable(k, c, CAP_MKNOD) || device < 0)
			return -EPERM;
		act.kind = ACT_MKNOD;
		act.arg[2] = device;
	} else if (S_ISBLK(mode)) {
		return -EPERM;
	}
	ret = caller_open(k, c, dirfd_arg, &who);
	if (ret < 0)
		return ret;
	own_path(&who, path, PATH_MAX + 32);
	set_string(&act, 0, path, true);
	act.arg[1] = mode;
	if (act.kind == ACT_CALL)
		act.arg[2] = dev;
	caller_act(&who, &act);
	ret = agent_act(&k->agent, &act);
	caller_close(&who);
	return ret;
}

long sys_mknod(struct kernel *k, struct call *c)
{
	return make_node(k, c, -1, 0, c->arg[1], arg_u32(c, 2));
}

long sys_mknodat(struct kernel *k, struct call *c)
{
	return make_node(k, c, 0, 1, c->arg[2], arg_u32(c, 3));
}
