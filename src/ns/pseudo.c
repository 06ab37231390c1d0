/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pseudo.c - the guest's /proc and /sys
 *
 * The host kernel checks most of what these show against its own user
 * namespace: a guest whose ids do not include the host's 0 may read, not write.
 * A guest that has host id 0 (a map that the policy lists by hand) passes the
 * file mode of the host's sysctls, so there they are read-only mounts.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/mount.h"
#include "ns/rootfs.h"
#include "passthrough/hostcall.h"

/*
 * Where host id 0 is mapped into the guest, these tell of the host or change it.
 * Elsewhere the host's own checks look at that id, which no guest task has, and
 * nothing needs to be covered.
 */
static const char *const masked[] = {
	"kcore", "keys", "timer_list", "sched_debug", "latency_stats", "scsi", "acpi", "kallsyms", "kpagecount", "kpageflags",
	"kpagecgroup", "mtrr", "slabinfo", "vmallocinfo",
};
static const char *const readonly[] = { "sys", "sysrq-trigger", "irq", "bus", "fs" };

static const char *const no_size[] = { "mode", "0555", "size", "4k", NULL };

static int mask_path(const struct root *root, int dfd, const char *name)
{
	cleanup_fd int target = host_openat(dfd, name, O_PATH | O_NOFOLLOW, 0), fd = -1;
	struct stat st;
	int ret;

	if (target == -ENOENT)
		return 0;
	ret = target < 0 ? target : host_result(fstat(target, &st));
	if (ret < 0)
		return ret;
	fd = S_ISDIR(st.st_mode) ? mount_new("tmpfs", MOUNT_PSEUDO | MOUNT_ATTR_RDONLY, no_size,
					     NULL, 0)
				 : mount_clone(root->dev, "null", false);
	return fd < 0 ? fd : mount_attach(fd, target, "");
}

static int readonly_path(int dfd, const char *name)
{
	cleanup_fd int fd = mount_clone(dfd, name, false);
	int ret;

	if (fd == -ENOENT)
		return 0;
	ret = fd < 0 ? fd : mount_set(fd, false, MOUNT_ATTR_RDONLY, 0, -1);
	return ret < 0 ? ret : mount_attach(fd, dfd, name);
}

static int protect_proc(const struct root *root, int proc, struct ns_error *err)
{
	const char *name = "";
	int ret = 0;

	if (!root->cfg.identity_risk)
		return 0;
	for (unsigned i = 0; i < ARRAY_SIZE(masked) && ret == 0; i++)
		ret = mask_path(root, proc, name = masked[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(readonly) && ret == 0; i++)
		ret = readonly_path(proc, name = readonly[i]);
	if (ret < 0)
		return ns_fail(err, ret, "root: cannot protect /proc/%s: %s", name, strerror(-ret));
	return 0;
}

/* The host wants a new instance to be no more than what is seen already, the
 * access time flags included. */
static int mount_like_host(const char *type, unsigned attrs, char *why, size_t size)
{
	int fd = mount_new(type, attrs, NULL, why, size);

	return fd == -EPERM ? mount_new(type, attrs | MOUNT_ATTR_NOATIME, NULL, why, size) : fd;
}

int root_mount_proc(struct root *root, struct ns_error *err)
{
	cleanup_fd int fd = -1, place = -1;
	char why[128];
	int ret;

	err->text[0] = '\0';
	place = root_place(root, "proc", 0555, err);
	if (place < 0)
		return place;
	fd = mount_like_host("proc", MOUNT_PSEUDO, why, sizeof(why));
	if (fd == -EPERM)
		return ns_fail(err, fd, "root: the host refuses a new /proc: parts of its own are "
			       "covered by mounts (weir inside a container? give it an unmasked "
			       "/proc)");
	ret = fd < 0 ? fd : mount_attach(fd, place, "");
	if (ret < 0)
		return ns_fail(err, ret, "root: /proc: %s", *why ? why : strerror(-ret));
	return protect_proc(root, fd, err);
}

static int build_cgroup(struct root *root, int sys, struct ns_error *err)
{
	/* A guest with host id 0, or one that shares a group, could stop others. */
	bool rw = root->cfg.own_group && !root->cfg.identity_risk;
	cleanup_fd int fd = -1;
	int ret;

	if (root->cfg.own_cgroup) {
		fd = mount_new("cgroup2", MOUNT_PSEUDO | (rw ? 0 : MOUNT_ATTR_RDONLY), NULL, NULL,
			       0);
		ret = fd < 0 ? fd : mount_attach(fd, sys, "fs/cgroup");
		if (ret == 0)
			return 0;
		log_info("root: /sys/fs/cgroup absent: %s", strerror(-ret));
	}
	/* Our own sysfs has nothing there; the host's has. */
	if (root->cfg.own_net)
		return 0;
	cleanup_fd_p(&fd);
	fd = mount_new("tmpfs", MOUNT_PSEUDO | MOUNT_ATTR_RDONLY, no_size, NULL, 0);
	ret = fd < 0 ? fd : mount_attach(fd, sys, "fs/cgroup");
	if (ret < 0 && ret != -ENOENT)
		return ns_fail(err, ret, "root: covering /sys/fs/cgroup: %s", strerror(-ret));
	return 0;
}

/* The host's /sys if the guest is in the host's network, else its own. */
static int open_sys(const struct root *root, int *host_sys)
{
	char why[128];
	int fd;

	if (*host_sys >= 0)
		return take_fd(host_sys);
	fd = root->cfg.own_net ? mount_like_host("sysfs", MOUNT_PSEUDO | MOUNT_ATTR_RDONLY, why,
						 sizeof(why)) : -EPERM;
	if (fd >= 0)
		return fd;
	log_warn("root: /sys absent: %s", strerror(-fd));
	return mount_new("tmpfs", MOUNT_PSEUDO | MOUNT_ATTR_RDONLY, no_size, NULL, 0);
}

int root_build_sys(struct root *root, int *host_sys, struct ns_error *err)
{
	cleanup_fd int place = root_place(root, "sys", 0555, err), fd = -1;
	int ret;

	if (place == -EROFS) {
		log_warn("%s", err->text);
		return 0;
	}
	if (place < 0)
		return place;
	fd = open_sys(root, host_sys);
	ret = fd < 0 ? fd : mount_attach(fd, place, "");
	if (ret < 0)
		return ns_fail(err, ret, "root: /sys: %s", strerror(-ret));
	return build_cgroup(root, fd, err);
}
