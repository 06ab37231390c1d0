/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer.c - mounting the plan of the guest's root
 *
 * Runs in the agent, below our tmpfs:
 *
 *   root    where the guest's root is attached
 *   loN     a detached clone, attached so that an overlay may be put over it
 *   upN     what the guest writes to layer N, thrown away with the guest
 *   wkN     the overlay's own
 *
 * All of it but root goes away with the old root in root_detach_old().
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/mount.h"
#include "ns/mountinfo.h"
#include "ns/overlay.h"
#include "passthrough/hostcall.h"

#define OVERFLOW_ID 65534 /* how an id without a place in our map shows */

struct builder {
	struct plan *plan;
	int staging, root;
	const char *where;
};

static int dir_at(int dfd, const char *name, mode_t mode)
{
	int ret = host_result(mkdirat(dfd, name, mode));

	return ret == -EEXIST ? 0 : ret;
}

/* The merged directory shows the upper one's owner and mode: copy the lower's.
 * Owners outside the guest's map become the guest's root. */
static int make_upper(const struct builder *b, unsigned nr, int lower)
{
	char up[16], wk[16];
	struct stat st;
	int ret = host_result(fstat(lower, &st));

	if (ret < 0)
		return ret;
	snprintf(up, sizeof(up), "up%u", nr);
	snprintf(wk, sizeof(wk), "wk%u", nr);
	ret = dir_at(b->staging, up, st.st_mode & 07777);
	if (ret == 0)
		ret = dir_at(b->staging, wk, 0700);
	if (ret == 0 && (st.st_uid || st.st_gid))
		host_result(fchownat(b->staging, up, st.st_uid == OVERFLOW_ID ? 0 : st.st_uid,
				     st.st_gid == OVERFLOW_ID ? 0 : st.st_gid, 0));
	return ret;
}

/* What the host forbids on the lower mount stays forbidden on the overlay. */
static unsigned carried_attrs(int fd)
{
	unsigned attrs = MOUNT_ATTR_NODEV;
	struct statfs fs;

	if (host_result(fstatfs(fd, &fs)) < 0)
		return attrs;
	if (fs.f_flags & ST_NOSUID)
		attrs |= MOUNT_ATTR_NOSUID;
	if (fs.f_flags & ST_NOEXEC)
		attrs |= MOUNT_ATTR_NOEXEC;
	return attrs;
}

/* The host's programs, where their owner has no place in the guest's map: set-id bits
 * mean nothing then, and capabilities of files only that they are not run (filecaps.c). */
static unsigned unmapped_attrs(const struct builder *b, const struct layer *l, int lower)
{
	static const char *const programs[] = { "/usr", "/bin", "/sbin", "/opt" };
	struct stat st;

	if (b->plan->cfg->dir || host_result(fstat(lower, &st)) < 0 || st.st_uid != OVERFLOW_ID)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (path_below(l->path, programs[i], true))
			return MOUNT_ATTR_NOSUID;
	return 0;
}

/* The name of the lower directory for the overlay's options: the host's path
 * where it has no character that is special there, else a clone's. */
static int lower_name(const struct builder *b, unsigned nr, struct layer *l, char buf[PATH_MAX],
		      int *ret_fd)
{
	char lo[16];
	int ret;

	plan_host_path(b->plan, l->path, buf);
	if (l->fd < 0 && !strpbrk(buf, ":,\\")) {
		*ret_fd = host_open(buf, O_PATH | O_DIRECTORY, 0);
		return *ret_fd < 0 ? *ret_fd : 0;
	}
	if (l->fd < 0)
		l->fd = mount_clone(AT_FDCWD, buf, false);
	if (l->fd < 0)
		return l->fd;
	snprintf(lo, sizeof(lo), "lo%u", nr);
	ret = dir_at(b->staging, lo, 0700);
	if (ret == 0)
		ret = mount_attach(l->fd, b->staging, lo);
	snprintf(buf, PATH_MAX, "%s/%s", b->where, lo);
	*ret_fd = take_fd(&l->fd);
	return ret;
}

/* Return: a detached overlay; the lower directory in @ret_lower, also then. */
static int overlay_new(const struct builder *b, unsigned nr, struct layer *l, int *ret_lower,
		       char *why, size_t whysize)
{
	char lower[PATH_MAX], upper[64], work[64];
	const char *const options[] = {
		"lowerdir", lower, "upperdir", upper, "workdir", work, "userxattr", "", NULL,
	};
	int ret;

	why[0] = '\0';
	ret = lower_name(b, nr, l, lower, ret_lower);
	if (ret == 0)
		ret = make_upper(b, nr, *ret_lower);
	if (ret < 0)
		return ret;
	snprintf(upper, sizeof(upper), "%s/up%u", b->where, nr);
	snprintf(work, sizeof(work), "%s/wk%u", b->where, nr);
	return mount_new("overlay", carried_attrs(*ret_lower) | unmapped_attrs(b, l, *ret_lower),
			 options, why, whysize);
}

static int bind_new(const struct builder *b, struct layer *l, bool readonly)
{
	uint64_t attrs = MOUNT_ATTR_NODEV | (readonly ? MOUNT_ATTR_RDONLY : 0);
	cleanup_fd int fd = take_fd(&l->fd);
	char path[PATH_MAX];
	int ret;

	if (fd < 0) {
		plan_host_path(b->plan, l->path, path);
		fd = mount_clone(AT_FDCWD, path, false);
		if (fd < 0)
			return fd;
	}
	ret = mount_set(fd, l->bound || l->kind == LAYER_TREE, attrs, 0, -1);
	return ret < 0 ? ret : take_fd(&fd);
}

/* One directory of the host, ready to attach. */
static int tree_new(const struct builder *b, unsigned nr, struct layer *l, struct ns_error *err)
{
	cleanup_fd int lower = -1;
	char why[128], path[PATH_MAX];
	int fd;

	if (b->plan->cfg->mode != ROOT_OVERLAY || l->bound)
		return bind_new(b, l, b->plan->cfg->mode != ROOT_RW);
	fd = overlay_new(b, nr, l, &lower, why, sizeof(why));
	if (fd >= 0)
		return fd;
	plan_host_path(b->plan, l->path, path);
	if (fd == -ENODEV || fd == -EPERM)
		return ns_fail(err, fd, "root: this host does not let weir mount an overlay (%s); "
			       "writable = no needs none", *why ? why : strerror(-fd));
	if (fd == -EACCES || fd == -ENOENT || lower < 0 || !*l->path)
		return ns_fail(err, fd, "root: overlay of %s: %s", path,
			       *why ? why : strerror(-fd));
	log_warn("root: %s is read-only: no overlay (%s)", path, *why ? why : strerror(-fd));
	l->fd = mount_clone(lower, "", false);
	return bind_new(b, l, true);
}

static int attach_layer(const struct builder *b, const char *path, int fd)
{
	/* Beneath the root: a link that a host user put in the way leads nowhere. */
	cleanup_fd int target = host_open_beneath(b->root, path, O_PATH | O_NOFOLLOW, 0);

	return target < 0 ? target : mount_attach(fd, target, "");
}

static int copy_file(const struct builder *b, const struct layer *l)
{
	cleanup_fd int to = -1;
	char buf[8192];
	uint64_t left = l->size;	/* of one that grows, no more */
	ssize_t n;
	int ret;

	to = host_openat(b->root, l->path + 1, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, l->mode);
	if (to < 0)
		return to;
	do {
		n = host_read(l->fd, buf, MIN(left, sizeof(buf)));
		ret = n > 0 ? host_write(to, buf, n) : n;
		left -= n > 0 ? n : 0;
	} while (ret > 0);
	return ret;
}

static int bind_file(const struct builder *b, struct layer *l)
{
	cleanup_fd int fd = bind_new(b, l, b->plan->cfg->mode != ROOT_RW), place = -1;

	if (fd < 0)
		return fd;
	place = host_openat(b->root, l->path + 1, O_RDONLY | O_CREAT | O_NOFOLLOW, l->mode);
	return attach_layer(b, l->path, fd);
}

static int mount_tree(const struct builder *b, unsigned nr, struct layer *l, bool split,
		      struct ns_error *err)
{
	cleanup_fd int fd = tree_new(b, nr, l, err);

	if (fd < 0)
		return fd;
	/* Parts of a split directory are made; what lies in another layer is there. */
	if (split)
		dir_at(b->root, l->path + 1, 0755);
	return attach_layer(b, l->path, fd);
}

static int mount_layer(const struct builder *b, unsigned nr, struct layer *l, struct ns_error *err)
{
	switch (l->kind) {
	case LAYER_TREE:
		return mount_tree(b, nr, l, b->plan->split, err);
	case LAYER_FILE:
		return bind_file(b, l);
	case LAYER_COPY:
		return copy_file(b, l);
	case LAYER_DIR:
		return dir_at(b->root, l->path + 1, l->mode);
	case LAYER_LINK:
		return host_result(symlinkat(l->target, b->root, l->path + 1));
	}
	return -EINVAL;
}

/* The first layer: the mount that becomes /. */
static int mount_first(const struct builder *b, struct ns_error *err)
{
	struct layer *l = &b->plan->v[0];
	cleanup_fd int fd = -1;
	int ret;

	ret = dir_at(b->staging, "root", b->plan->split ? l->mode : 0755);
	if (ret < 0)
		return ret;
	/* A split root is bound over itself: the guest sees no part of our tmpfs
	 * but this directory. */
	fd = b->plan->split ? mount_clone(b->staging, "root", false) : tree_new(b, 0, l, err);
	ret = fd < 0 ? fd : mount_attach(fd, b->staging, "root");
	return ret < 0 ? ret : take_fd(&fd);
}

int plan_mount(struct plan *plan, int staging, const char *where, int *ret_root,
	       struct ns_error *err)
{
	struct builder b = { .plan = plan, .staging = staging, .root = -1, .where = where };
	int ret;

	b.root = mount_first(&b, err);
	if (b.root < 0)
		return b.root;
	for (unsigned i = 1; i < plan->n; i++) {
		struct layer *l = &plan->v[i];

		ret = mount_layer(&b, i, l, err);
		cleanup_fd_p(&l->fd);
		l->fd = -1;
		if (ret == -ENODEV || ret == -EPERM || ret == -ENOMEM || ret == -ENOSPC) {
			close(b.root);
			return err->text[0] ? ret : ns_fail(err, ret, "root: %s: %s", l->path,
							    strerror(-ret));
		}
		if (ret < 0)
			log_debug("root: %s left out: %s", l->path, strerror(-ret));
	}
	err->text[0] = '\0';
	*ret_root = b.root;
	return 0;
}
