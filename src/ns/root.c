/* SPDX-License-Identifier: Apache-2.0 */
/*
 * root.c - the guest's root file system
 *
 * Staging is a tmpfs that the agent mounts over a directory every host has,
 * visible in the agent's mount namespace only. The old root, and staging with
 * it, is detached by root_detach_old(); what overlays still need of it they hold.
 */
#include "ns/root.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/feature.h"
#include "ns/mount.h"
#include "ns/mountinfo.h"
#include "ns/rootfs.h"
#include "passthrough/hostcall.h"

/* /sys first: we need nothing of it, and procfs may still be mounted, since a
 * mount of our own over it hides nothing. */
static const char *const staging_dirs[] = { "/sys", "/mnt", "/run", "/tmp" };

static int check_config(const struct root_config *cfg, char base[PATH_MAX], struct ns_error *err)
{
	struct stat st;

	if (!cfg->dir) {
		if (cfg->mode == ROOT_RW)
			return ns_fail(err, -EINVAL, "root: writable = yes would let the guest "
				       "change this host's own /; it needs -r DIR");
		snprintf(base, PATH_MAX, "/");
		return 0;
	}
	if (cfg->on_disk) {
		snprintf(base, PATH_MAX, "%s", cfg->dir);
		return 0;
	}
	if (!realpath(cfg->dir, base)) {
		int ret = host_result(stat(cfg->dir, &st));

		if (ret == 0)
			ret = -EACCES;
		return ns_fail(err, ret, "root: %s: %s", cfg->dir, strerror(-ret));
	}
	if (host_result(stat(base, &st)) == 0 && !S_ISDIR(st.st_mode))
		return ns_fail(err, -ENOTDIR, "root: %s is a %s, not a directory%s", cfg->dir,
			       S_ISREG(st.st_mode) ? "file" : "device",
			       S_ISREG(st.st_mode) ? " (a disk image is used as a disk: "
						     "[disk.0] image = FILE and -r disk:0)" : "");
	if (cfg->mode == ROOT_RW && streq(base, "/"))
		return ns_fail(err, -EINVAL, "root: -r / with writable = yes would let the guest "
			       "change this host's own /; name another directory");
	return 0;
}

int root_prepare(const struct root_config *cfg, struct root **ret, struct ns_error *err)
{
	char base[PATH_MAX];
	struct root *root;
	int r;

	err->text[0] = '\0';
	r = check_config(cfg, base, err);
	if (r < 0)
		return r;
	root = calloc(1, sizeof(*root));
	if (!root)
		return -ENOMEM;
	root->cfg = *cfg;
	root->fd = root->dev = -1;
	/* -r / is the same as none: only then is the host's root split where it must be. */
	if (streq(base, "/"))
		root->cfg.dir = NULL;
	r = plan_make(&root->plan, &root->cfg, base, err);
	if (r < 0) {
		root_destroy(root);
		return r;
	}
	log_info("root: %s%s, %u parts", base, cfg->mode == ROOT_OVERLAY ?
		 " under a throw-away overlay" : cfg->mode == ROOT_RO ? " read-only" : "",
		 root->plan.n);
	*ret = root;
	return 0;
}

void root_destroy(struct root *root)
{
	if (!root)
		return;
	plan_destroy(&root->plan);
	cleanup_fd_p(&root->fd);
	cleanup_fd_p(&root->dev);
	free(root);
}

void root_give(struct root *root, int tree)
{
	plan_give(&root->plan, tree);
}

/* The last component of @path, in @dir: a link in its place is not followed. */
static int make_dir(const struct root *root, int dir, const char *path, const char *component, mode_t mode,
		    struct ns_error *err)
{
	int ret = host_result(mkdirat(dir, component, mode));

	if (ret == -EROFS)
		return ns_fail(err, ret, "root: %s has no directory /%s and is read-only "
			       "(make it, or writable = overlay)", root->plan.base, path);
	if (ret == 0)
		ret = host_openat(dir, component, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	return ret < 0 ? ns_fail(err, ret, "root: cannot make /%s: %s", path, strerror(-ret)) : ret;
}

/* The links in it are the guest's, and / is the host's still: they are only followed
 * where none leads out, and what is made is one name in a directory that is open. */
int root_place(const struct root *root, const char *name, mode_t mode, struct ns_error *err)
{
	cleanup_fd int dir = -1;
	char path[PATH_MAX];

	for (size_t len = 0, start; name[len]; len += name[len] == '/') {
		int fd;

		start = len;
		len += strcspn(name + len, "/");
		if (snprintf(path, sizeof(path), "%.*s", (int)len, name) >= (int)sizeof(path))
			return ns_fail(err, -ENAMETOOLONG, "root: /%s: %s", name, strerror(ENAMETOOLONG));
		fd = host_open_beneath(root->fd, path, O_PATH | O_DIRECTORY, 0);
		if (fd == -ENOENT)
			fd = make_dir(root, dir < 0 ? root->fd : dir, path, path + start, mode, err);
		else if (fd < 0)
			ns_fail(err, fd, "root: %s: /%s in it: %s", root->plan.base, path, strerror(-fd));
		if (fd < 0)
			return fd;
		cleanup_fd_p(&dir);
		dir = fd;
	}
	return take_fd(&dir);
}

int root_mount_at(const struct root *root, const char *name, const char *type, unsigned attrs,
		  const char *const *options, struct ns_error *err)
{
	cleanup_fd int place = -1, fd = -1;
	char why[128];
	int ret;

	place = root_place(root, name, 0755, err);
	if (place < 0)
		return place;
	fd = mount_new(type, attrs, options, why, sizeof(why));
	ret = fd < 0 ? fd : mount_attach(fd, place, "");
	if (ret < 0)
		return ns_fail(err, ret, "root: %s on /%s: %s", type, name,
			       fd < 0 && *why ? why : strerror(-ret));
	return take_fd(&fd);
}

const char *root_tmpfs_size(const struct root *root, char buf[ROOT_SIZE_TEXT])
{
	snprintf(buf, ROOT_SIZE_TEXT, "%llu", (unsigned long long)root->cfg.tmpfs_bytes);
	return root->cfg.tmpfs_bytes ? buf : NULL;
}

const char *root_cover(struct root *root)
{
	struct stat st;

	for (unsigned i = 0; i < ARRAY_SIZE(staging_dirs) && !root->where; i++)
		if (host_result(stat(staging_dirs[i], &st)) == 0 && S_ISDIR(st.st_mode))
			root->where = staging_dirs[i];
	return root->where;
}

static int staging_mount(struct root *root, struct ns_error *err)
{
	char text[ROOT_SIZE_TEXT];
	const char *size = root_tmpfs_size(root, text);
	const char *const options[] = { "mode", "0755", size ? "size" : NULL, size, NULL };
	cleanup_fd int fd = -1;
	int ret;

	if (!root_cover(root))
		return ns_fail(err, -ENOENT, "root: the host has no /sys, /mnt, /run or /tmp");
	fd = mount_new("tmpfs", MOUNT_ATTR_NODEV, options, NULL, 0);
	ret = fd < 0 ? fd : mount_attach(fd, AT_FDCWD, root->where);
	if (ret < 0)
		return ns_fail(err, ret, "root: tmpfs on %s: %s", root->where, strerror(-ret));
	return take_fd(&fd);
}

static int build_tmpfs(struct root *root, const char *name, const char *mode, int *ret_fd,
		       struct ns_error *err)
{
	char text[ROOT_SIZE_TEXT];
	const char *size = root_tmpfs_size(root, text);
	const char *const options[] = { "mode", mode, size ? "size" : NULL, size, NULL };
	int fd = root_mount_at(root, name, "tmpfs", MOUNT_PLAIN, options, err);

	/* A read-only root without the directory: programs cope, so say it and go on. */
	if (fd == -EROFS) {
		log_warn("%s", err->text);
		return 0;
	}
	*ret_fd = fd;
	return fd < 0 ? fd : 0;
}

static int build_volatile(struct root *root, struct ns_error *err)
{
	cleanup_fd int run = -1, tmp = -1;
	int ret = build_tmpfs(root, "run", "0755", &run, err);

	if (ret == 0 && run >= 0)
		ret = host_result(mkdirat(run, "lock", 01777));
	if (ret < 0)
		return ret;
	/* The host's own /tmp is part of the overlay. */
	if (!root->cfg.dir && root->cfg.mode == ROOT_OVERLAY)
		return 0;
	return build_tmpfs(root, "tmp", "1777", &tmp, err);
}

void root_check_cwd(struct root *root)
{
	cleanup_fd int fd = -1;

	if (!root->cfg.cwd || streq(root->cfg.cwd, "/"))
		return;
	fd = host_open_beneath(root->fd, root->cfg.cwd, O_PATH | O_DIRECTORY, 0);
	root->cwd_there = fd >= 0;
	if (fd < 0)
		log_warn("root: %s is not in the guest, starting in /", root->cfg.cwd);
}

const char *root_cwd(const struct root *root)
{
	return root->cwd_there ? root->cfg.cwd : "/";
}

/* What the host shows of itself in /sys, for a guest in the host's network. */
static int open_host_sys(const struct root *root)
{
	int fd;

	if (root->cfg.own_net)
		return -1;
	fd = mount_clone(AT_FDCWD, "/sys", true);
	if (fd >= 0 && mount_set(fd, true, MOUNT_ATTR_RDONLY | MOUNT_PSEUDO, 0, -1) < 0)
		cleanup_fd_p(&fd);
	return fd;
}

static int build(struct root *root, int *host_sys, struct ns_error *err)
{
	cleanup_fd int staging = staging_mount(root, err);
	int ret;

	if (staging < 0)
		return staging;
	ret = plan_mount(&root->plan, staging, root->where, &root->fd, err);
	if (ret == 0) {
		cleanup_fd int proc = root_place(root, "proc", 0555, err);

		ret = proc < 0 ? proc : 0;
	}
	if (ret == 0)
		ret = root_build_dev(root, err);
	if (ret == 0)
		ret = root_build_sys(root, host_sys, err);
	if (ret == 0)
		root_mend_filecaps(root);
	if (ret == 0)
		ret = build_volatile(root, err);
	if (ret == 0 && root->cfg.mode == ROOT_RO && root->plan.split)
		ret = mount_set(root->fd, false, MOUNT_ATTR_RDONLY, 0, -1);
	return ret;
}

int root_build(struct root *root, struct ns_error *err)
{
	cleanup_fd int host_sys = -1;
	mode_t mask = umask(0);
	int ret;

	err->text[0] = '\0';
	ret = host_result(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	if (ret == 0) {
		host_sys = open_host_sys(root);
		ret = build(root, &host_sys, err);
	}
	umask(mask);
	if (ret == 0)
		ret = host_result(fchdir(root->fd));
	if (ret < 0 && !err->text[0])
		ns_fail(err, ret, "root: %s", strerror(-ret));
	return ret;
}

int root_attach(struct root *root, const char *path, int tree, struct ns_error *err)
{
	cleanup_fd int place = root_place(root, path + 1, 0755, err);
	int ret = place < 0 ? place : mount_attach(tree, place, "");

	return place >= 0 && ret < 0 ? ns_fail(err, ret, "root: a disk on %s: %s", path, strerror(-ret)) : ret;
}

int root_enter(struct root *root, struct ns_error *err)
{
	int ret = host_result(fchdir(root->fd));

	/* The old root lands on top of the new one. */
	if (ret == 0)
		ret = host_call(SYS_pivot_root, ".", ".");
	if (ret == 0)
		ret = host_result(chdir("/"));
	if (ret < 0)
		return ns_fail(err, ret, "root: entering it: %s", strerror(-ret));
	return 0;
}

int root_detach_old(struct root *root, struct ns_error *err)
{
	int ret = host_result(fchdir(root->fd));

	/* As the place of a mount "." is what lies on top of it. */
	if (ret == 0)
		ret = host_result(umount2(".", MNT_DETACH));
	if (ret == 0)
		ret = host_result(chdir("/"));
	if (ret < 0)
		return ns_fail(err, ret, "root: leaving the host's: %s", strerror(-ret));
	return 0;
}

static bool mount_expected(const struct root *root, const struct mount_entry *e)
{
	static const char *const ours[] = { "/proc", "/sys", "/dev", "/run", "/tmp" };

	if (streq(e->point, "/"))
		return true;
	for (unsigned i = 0; i < ARRAY_SIZE(ours); i++)
		if (path_below(e->point, ours[i], true))
			return true;
	for (unsigned i = 0; i < root->plan.n; i++) {
		const struct layer *l = &root->plan.v[i];

		if ((l->kind == LAYER_TREE || l->kind == LAYER_FILE) && *l->path &&
		    path_below(e->point, l->path, l->bound || streq(l->path, e->point)))
			return true;
	}
	return false;
}

int root_verify(const struct root *root, const char *mountinfo, struct ns_error *err)
{
	struct mount_table t;
	int ret = mount_table_read(mountinfo, &t);

	if (ret < 0)
		return ns_fail(err, ret, "root: %s: %s", mountinfo, strerror(-ret));
	for (unsigned i = 0; i < t.n && ret == 0; i++) {
		if (t.v[i].propagates)
			ret = ns_fail(err, -EXDEV, "root: %s is shared with the host",
				      t.v[i].point);
		else if (!mount_expected(root, &t.v[i]))
			ret = ns_fail(err, -EXDEV, "root: %s (%s) is the host's", t.v[i].point,
				      t.v[i].type);
	}
	mount_table_destroy(&t);
	return ret;
}
