/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idmap.c - writing the id maps of a new user namespace
 *
 * The guest kernel writes the guest's maps itself; it is root of the parent
 * namespace. Its own maps, with ids that are not the caller's, take the setuid
 * helpers; they cost a millisecond each, so both run at once.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/ids.h"
#include "passthrough/hostcall.h"

static int map_write(pid_t pid, const char *file, const struct id_map *map, struct ns_error *err)
{
	char path[64], text[ID_EXTENTS_MAX * 36];
	size_t len = 0;
	int ret;

	text[0] = '\0';
	for (unsigned i = 0; i < map->n; i++)
		len += snprintf(text + len, sizeof(text) - len, "%u %u %u\n", map->e[i].inner,
				map->e[i].outer, map->e[i].count);
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	ret = host_write_file(AT_FDCWD, path, text);
	if (ret == -EPERM)
		return ns_fail(err, ret, "ids: %s: the host refuses \"%u %u %u\": not our ids",
			       file, map->e[0].inner, map->e[0].outer, map->e[0].count);
	if (ret < 0)
		return ns_fail(err, ret, "ids: %s: %s", path, strerror(-ret));
	return 0;
}

static int setgroups_deny(pid_t pid, struct ns_error *err)
{
	char path[64];
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/setgroups", pid);
	ret = host_write_file(AT_FDCWD, path, "deny");
	/* Already denied further out, where it cannot be allowed again. */
	if (ret < 0 && ret != -EPERM && ret != -ENOENT)
		return ns_fail(err, ret, "ids: %s: %s", path, strerror(-ret));
	return 0;
}

int ids_write_direct(pid_t pid, const struct id_map *uid, const struct id_map *gid,
		     bool deny_setgroups, struct ns_error *err)
{
	int ret = deny_setgroups ? setgroups_deny(pid, err) : 0;

	if (ret == 0)
		ret = map_write(pid, "uid_map", uid, err);
	if (ret == 0)
		ret = map_write(pid, "gid_map", gid, err);
	return ret;
}

struct helper {
	const char *name, *file;
	pid_t pid;
	const struct id_map *map;
	char said[160];
	int ret;
};

static void *helper_run(void *arg)
{
	char num[ID_EXTENTS_MAX * 3 + 1][12], *argv[ID_EXTENTS_MAX * 3 + 3];
	struct helper *h = arg;
	unsigned n = 0;

	argv[0] = (char *)h->name;
	snprintf(num[n], sizeof(num[n]), "%d", h->pid);
	for (unsigned i = 0; i < h->map->n; i++) {
		snprintf(num[++n], sizeof(num[0]), "%u", h->map->e[i].inner);
		snprintf(num[++n], sizeof(num[0]), "%u", h->map->e[i].outer);
		snprintf(num[++n], sizeof(num[0]), "%u", h->map->e[i].count);
	}
	for (unsigned i = 0; i <= n; i++)
		argv[i + 1] = num[i];
	argv[n + 2] = NULL;
	h->ret = host_run(argv, h->said, sizeof(h->said));
	return NULL;
}

static int helper_result(const struct helper *h, struct ns_error *err)
{
	if (h->ret == 0)
		return 0;
	if (h->ret == -ENOENT)
		return ns_fail(err, -ENOENT, "ids: %s is not installed (package uidmap; or [ids] "
			       "uid = single)", h->name);
	if (h->ret < 0)
		return ns_fail(err, h->ret, "ids: %s: %s", h->name, strerror(-h->ret));
	return ns_fail(err, -EPERM, "ids: %s (see %s; or [ids] uid = single)",
		       h->said[0] ? h->said : h->name, h->file);
}

int ids_write_helpers(pid_t pid, const struct id_map *uid, const struct id_map *gid,
		      struct ns_error *err)
{
	struct helper u = { .name = "newuidmap", .file = "/etc/subuid", .pid = pid, .map = uid };
	struct helper g = { .name = "newgidmap", .file = "/etc/subgid", .pid = pid, .map = gid };
	pthread_t thread;
	int ret;

	if (pthread_create(&thread, NULL, helper_run, &g) == 0) {
		helper_run(&u);
		pthread_join(thread, NULL);
	} else {
		helper_run(&u);
		helper_run(&g);
	}
	ret = helper_result(&u, err);
	return ret < 0 ? ret : helper_result(&g, err);
}

static bool is_single(const struct id_map *map)
{
	return map->n == 1 && map->e[0].count == 1;
}

static int write_half(pid_t pid, const char *helper, const char *sub, const char *file,
		      const struct id_map *map, struct ns_error *err)
{
	struct helper h = { .name = helper, .file = sub, .pid = pid, .map = map };

	if (is_single(map))
		return map_write(pid, file, map, err);
	helper_run(&h);
	return helper_result(&h, err);
}

int ids_write_kernel(pid_t pid, const struct id_choice *choice, struct ns_error *err)
{
	const struct id_map *uid = &choice->kernel_uid, *gid = &choice->kernel_gid;
	int ret = 0;

	if (!is_single(uid) && !is_single(gid))
		return ids_write_helpers(pid, uid, gid, err);
	if (is_single(gid))
		ret = setgroups_deny(pid, err);
	if (ret == 0)
		ret = write_half(pid, "newuidmap", "/etc/subuid", "uid_map", uid, err);
	if (ret == 0)
		ret = write_half(pid, "newgidmap", "/etc/subgid", "gid_map", gid, err);
	return ret;
}

static bool sysctl_is(const char *path, const char *value)
{
	char buf[32];

	if (host_read_file(AT_FDCWD, path, buf, sizeof(buf)) < 0)
		return false;
	buf[strcspn(buf, "\n")] = '\0';
	return streq(buf, value);
}

int ids_explain_userns(int ret, struct ns_error *err)
{
	if (sysctl_is("/proc/sys/user/max_user_namespaces", "0"))
		return ns_fail(err, ret, "user namespaces are switched off on this host "
			       "(sysctl user.max_user_namespaces=0; root can raise it)");
	if (sysctl_is("/proc/sys/kernel/unprivileged_userns_clone", "0"))
		return ns_fail(err, ret, "user namespaces are root's alone on this host "
			       "(sysctl kernel.unprivileged_userns_clone=0)");
	if (sysctl_is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"))
		return ns_fail(err, ret, "AppArmor restricts user namespaces on this host (sysctl "
			       "kernel.apparmor_restrict_unprivileged_userns=1, or a profile for weir)");
	if (ret == -ENOSPC || ret == -EUSERS)
		return ns_fail(err, ret, "too many user namespaces (sysctl user.max_user_namespaces, "
			       "or 32 levels deep)");
	if (ret == -EINVAL)
		return ns_fail(err, ret, "this host kernel has no user namespaces (CONFIG_USER_NS)");
	return ns_fail(err, ret, "no user namespace can be made: %s%s", strerror(-ret),
		       ret == -EPERM ? " (a seccomp filter, or a chroot, around weir?)" : "");
}

static int holder_main(void *arg)
{
	const int *p = arg;
	char c;

	close(p[1]);
	host_read(p[0], &c, 1);
	return 0;	/* and with it the child, clone(2) */
}

/* A child that holds a new user namespace until we have a descriptor of it. It
 * shares our memory, which is a tenth of the cost of a fork, and so is careful
 * not to write to it; the caller's loop reaps it some time after it has ended. */
static int hold_userns(pid_t *ret_pid, int *ret_pipe)
{
	static char stack[8192] __attribute__((aligned(16)));
	static int p[2];
	int ret = host_result(pipe2(p, O_CLOEXEC));

	if (ret < 0)
		return ret;
	*ret_pid = host_result(clone(holder_main, stack + sizeof(stack),
				     CLONE_VM | CLONE_NEWUSER | SIGCHLD, p));
	close(p[0]);
	*ret_pipe = p[1];
	if (*ret_pid < 0)
		close(p[1]);
	return MIN(*ret_pid, 0);
}

int ids_new_userns(const struct id_choice *choice, struct ns_error *err)
{
	char path[64];
	int pipe_fd, ret;
	pid_t pid;

	ret = hold_userns(&pid, &pipe_fd);
	if (ret < 0)
		return ids_explain_userns(ret, err);
	ret = ids_write_direct(pid, &choice->guest_uid, &choice->guest_gid, choice->deny_setgroups,
			       err);
	if (ret == 0) {
		snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
		ret = host_open(path, O_RDONLY, 0);
	}
	close(pipe_fd);
	return ret;
}
