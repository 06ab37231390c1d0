/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.c - files of ours over those of the guest's /proc and /sys
 *
 * One file system holds them all, and each is bound by descriptor. A detached
 * copy that is closed without having been attached costs the host a grace
 * period (100 us): so what has no target is not copied. State is the agent's
 * own, and what it forks has it too.
 */
#include "ns/view.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "config.h"
#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/feature.h"
#include "ns/mount.h"
#include "passthrough/hostcall.h"

static struct view {
	int device;		/* /dev/fuse until it is the kernel's, or why there is none */
	bool tmpfs;		/* and so it is one */
	int mount;		/* of the whole */
	dev_t dev;		/* its files' st_dev */
	int copy[VIEW_MAX_FILES];	/* detached, -1: none */
	uint64_t first[2];	/* mount ids of the guest's first /proc and /sys */
	bool attached;
} view = { .device = -ENOENT, .mount = -1 };

void view_open_device(void)
{
	if (!HAVE_FUSE)
		view.device = -ENOSYS;
	else if (host_feature_masked("fuse"))
		view.device = -ENOENT;
	else
		view.device = host_open("/dev/fuse", O_RDWR, 0);
}

static int mount_fuse(char *why, size_t size)
{
	char fd[16];
	const char *const options[] = {
		"fd", fd, "rootmode", "40555", "user_id", "0", "group_id", "0",
		"allow_other", "", "subtype", "weir",
		/* The host pins the reader's memory for as much as it may ask for. */
		"max_read", "8192", NULL,
	};

	if (view.device < 0)
		return view.device;
	snprintf(fd, sizeof(fd), "%d", view.device);
	return mount_new("fuse", MOUNT_PSEUDO | MOUNT_ATTR_RDONLY, options, why, size);
}

static const char *why_no_device(int err)
{
	if (err == -ENOSYS)
		return "this weir was built without it";
	if (err == -EACCES)
		return "/dev/fuse may not be opened (0666 is its usual mode)";
	return strerror(-err);
}

/* Return: the FUSE device, or a reason why there is none. */
static int try_fuse(void)
{
	char why[128] = "";
	int ret;

	view.mount = mount_fuse(why, sizeof(why));
	if (view.mount >= 0)
		return take_fd(&view.device);
	ret = view.mount;
	if (view.device < 0)
		log_info("view: no FUSE: %s", why_no_device(ret));
	else
		log_info("view: no FUSE: mount: %s", *why ? why : strerror(-ret));
	cleanup_fd_p(&view.device);
	return ret;
}

static int mount_tmpfs(const struct view_config *cfg)
{
	const char *const options[] = { "mode", "0555", NULL };
	cleanup_fd int dir = -1;
	int ret;

	view.tmpfs = true;
	view.mount = mount_new("tmpfs", MOUNT_PSEUDO, options, NULL, 0);
	if (view.mount < 0)
		return view.mount;
	dir = host_openat(view.mount, ".", O_RDONLY | O_DIRECTORY, 0);
	ret = dir < 0 ? dir : cfg->fill(cfg->ctx, dir);
	return ret < 0 ? ret : take_fd(&dir);
}

int view_mount(const struct view_config *cfg, const char *place, struct ns_error *err)
{
	int ret = try_fuse(), attached;

	if (ret < 0)
		ret = mount_tmpfs(cfg);
	if (ret < 0)
		return ns_fail(err, ret, "view: the guest's /proc cannot be made: %s",
			       strerror(-ret));
	for (unsigned i = 0; i < cfg->n; i++)
		view.copy[i] = cfg->file[i].name ? -ENOENT :
			       mount_clone(AT_FDCWD, cfg->file[i].source, false);
	attached = place ? mount_attach(view.mount, AT_FDCWD, place) : -ENOENT;
	if (attached < 0) {
		close(ret);
		return ns_fail(err, attached, "view: %s cannot be mounted over: %s",
			       place ?: "no directory", strerror(-attached));
	}
	return ret;
}

/* One request tells the host of all files, instead of one for each: what is
 * read with its attributes (READDIRPLUS) need not be looked up. */
static void read_names(int mount)
{
	cleanup_fd int dir = host_openat(mount, ".", O_RDONLY | O_DIRECTORY, 0);
	char names[4096];

	if (dir >= 0)
		host_call(SYS_getdents64, dir, names, sizeof(names));
}

static const char *const tree_name[] = { "proc", "sys" };

/* A target is "proc/..." or "sys/...". */
static const char *split_target(const char *target, unsigned *ret_tree)
{
	*ret_tree = !str_starts(target, "proc/");
	return target + strlen(tree_name[*ret_tree]) + 1;
}

static int copy_file(const struct view_file *file, int host, int root)
{
	cleanup_fd int fd = -1, target = -1;
	unsigned tree;
	int ret;

	split_target(file->target, &tree);
	/* The guest's /proc will have what ours, the host's, has. */
	target = host_open_beneath(tree ? root : host, file->target, O_PATH | O_NOFOLLOW, 0);
	if (target < 0)
		return target;
	fd = mount_clone(view.mount, file->name, false);
	ret = fd < 0 ? fd : 0;
	/* FUSE is mounted read-only; the tmpfs is written to by us. */
	if (ret == 0 && view.tmpfs)
		ret = mount_set(fd, false, MOUNT_ATTR_RDONLY, 0, -1);
	return ret < 0 ? ret : take_fd(&fd);
}

void view_prepare(const struct view_config *cfg, int host, int root)
{
	struct statx stx;

	if (!view.tmpfs)
		read_names(view.mount);
	if (host_result(statx(view.mount, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &stx)) == 0)
		view.dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
	for (unsigned i = 0; i < cfg->n; i++)
		if (cfg->file[i].name)
			view.copy[i] = copy_file(&cfg->file[i], host, root);
}

static uint64_t mount_id(int fd)
{
	struct statx stx;

	if (host_result(statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &stx)) < 0 ||
	    !(stx.stx_mask & STATX_MNT_ID))
		return 0;
	return stx.stx_mnt_id;
}

/* The root of the guest's procfs or sysfs; -ENOENT where something else is. */
static int open_tree_root(int root, unsigned tree)
{
	static const long magic[] = { PROC_SUPER_MAGIC, SYSFS_MAGIC };
	cleanup_fd int fd = host_open_beneath(root, tree_name[tree], O_PATH | O_NOFOLLOW, 0);
	struct statfs fs;

	if (fd < 0)
		return fd;
	if (host_result(fstatfs(fd, &fs)) < 0 || fs.f_type != magic[tree])
		return -ENOENT;
	return take_fd(&fd);
}

static int attach(const struct view_file *file, const int tree[2], int *copy)
{
	unsigned t;
	const char *rest = split_target(file->target, &t);
	int ret = *copy;

	if (ret >= 0)
		ret = tree[t] < 0 ? tree[t] : mount_attach(*copy, tree[t], rest);
	cleanup_fd_p(copy);
	*copy = -ENOENT;
	return ret;
}

int view_attach(const struct view_config *cfg, int root, struct ns_error *err)
{
	cleanup_fd int proc = open_tree_root(root, 0), sys = open_tree_root(root, 1);

	view.first[0] = proc >= 0 ? mount_id(proc) : 0;
	view.first[1] = sys >= 0 ? mount_id(sys) : 0;
	view.attached = cfg->n > 0;
	for (unsigned i = 0; i < cfg->n; i++) {
		int ret = attach(&cfg->file[i], (int[]){ proc, sys }, &view.copy[i]);

		/* The host has no such file, or the guest's /sys is not there. */
		if (ret < 0 && ret != -ENOENT)
			return ns_fail(err, ret, "view: /%s cannot be covered: %s",
				       cfg->file[i].target, strerror(-ret));
	}
	return 0;
}

void view_settle(void)
{
	cleanup_fd_p(&view.mount);
	view.mount = -1;
}

bool view_is_attached(void)
{
	return view.attached;
}

/* ---- keeping it there -------------------------------------------------- */

/* Without asking who serves it: that may be what hangs, and is therefore unmounted. */
static bool is_ours(const char *path, int flags)
{
	cleanup_fd int fd = path ? host_open(path, O_PATH | flags, 0) : -1;
	struct statx sx;

	return fd >= 0 && host_result(statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &sx)) == 0 &&
	       makedev(sx.stx_dev_major, sx.stx_dev_minor) == view.dev;
}

/* Something of /proc or /sys that our files may lie in? */
static bool in_pseudo(const char *path)
{
	struct statfs fs;
	struct stat st;

	return path && host_result(stat(path, &st)) == 0 && S_ISDIR(st.st_mode) &&
	       host_result(statfs(path, &fs)) == 0 &&
	       (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC);
}

static int guard_mount(uint64_t arg[6])
{
	const char *source = (const char *)(uintptr_t)arg[0];
	const char *target = (const char *)(uintptr_t)arg[1];

	if (arg[3] & MS_REMOUNT)
		return is_ours(target, 0) ? -EPERM : 0;
	if ((arg[3] & MS_MOVE) && is_ours(source, 0))
		return -EINVAL;
	if ((arg[3] & MS_BIND) && in_pseudo(source))
		arg[3] |= MS_REC;
	return 0;
}

int view_guard(int nr, uint64_t arg[6])
{
	const char *target = (const char *)(uintptr_t)arg[0];

	if (!view.attached)
		return 0;
	if (nr == SYS_mount)
		return guard_mount(arg);
	if (nr == SYS_umount2 && !(arg[1] & MNT_EXPIRE))
		return is_ours(target, arg[1] & UMOUNT_NOFOLLOW ? O_NOFOLLOW : 0) ? -EINVAL : 0;
	return 0;
}

/* A root of procfs or sysfs that is not the guest's first one? */
static bool is_copy(const char *path, int flags)
{
	cleanup_fd int fd = host_open(path, O_PATH | flags, 0);
	struct statfs fs;
	uint64_t id;

	if (fd < 0 || host_result(fstatfs(fd, &fs)) < 0 ||
	    (fs.f_type != PROC_SUPER_MAGIC && fs.f_type != SYSFS_MAGIC))
		return false;
	id = mount_id(fd);
	return id && id != view.first[0] && id != view.first[1];
}

long view_umount(const uint64_t arg[6])
{
	const char *path = (const char *)(uintptr_t)arg[0];
	long ret = host_call(SYS_umount2, path, arg[1]);

	/* Looking at a mount takes the mark of MNT_EXPIRE from it: so afterwards, and
	 * it is set again. One of ours never keeps it. */
	if ((arg[1] & MNT_EXPIRE) && ret == -EAGAIN && view.attached)
		return is_ours(path, 0) ? -EINVAL : host_call(SYS_umount2, path, arg[1]);
	if (ret != -EBUSY || !view.attached ||
	    !is_copy(path, arg[1] & UMOUNT_NOFOLLOW ? O_NOFOLLOW : 0))
		return ret;
	return host_call(SYS_umount2, path, arg[1] | MNT_DETACH);
}
