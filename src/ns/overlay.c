/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlay.c - which mounts make up the guest's root
 *
 * A mount namespace that was copied into another user namespace holds its
 * mounts locked: what lies under a mount must stay hidden, so the host refuses
 * to clone a directory without the locked mounts below it, and an overlay is
 * such a clone. As root nothing is locked: one overlay for the root and one for
 * each mount below it. For an ordinary user the host's / cannot be had whole.
 * It is split: made anew in our tmpfs, links and small files copied, and each
 * directory gets an overlay of its own, or is split again if mounts lie below.
 *
 * What /proc, /sys, /dev and /run have is never taken: the guest has its own.
 */
#include "ns/overlay.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/mount.h"
#include "ns/mountinfo.h"
#include "passthrough/hostcall.h"

#define MAX_LAYERS 1024
#define MAX_SPLIT_FILES 64		/* more, and the directory is bound as a whole */
#define MAX_COPY 32768			/* bytes of a file that is copied, not bound */

static const char *const own_dirs[] = { "/proc", "/sys", "/dev", "/run" };

/* Nothing of these makes sense below a guest's root. */
static const char *const pseudo_types[] = {
	"autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts",
	"devtmpfs", "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nfsd", "nsfs", "proc",
	"pstore", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs", "tracefs",
};

static bool in_own_dir(const char *rel)
{
	for (unsigned i = 0; i < ARRAY_SIZE(own_dirs); i++)
		if (path_below(rel, own_dirs[i], true))
			return true;
	return false;
}

static bool is_pseudo(const char *type)
{
	for (unsigned i = 0; i < ARRAY_SIZE(pseudo_types); i++)
		if (streq(type, pseudo_types[i]))
			return true;
	return false;
}

static bool pseudo_mounted_at(const struct mount_table *t, const char *path)
{
	for (unsigned i = 0; i < t->n; i++)
		if (streq(t->v[i].point, path) && is_pseudo(t->v[i].type))
			return true;
	return false;
}

/* The plan takes @fd, also when it fails. */
static struct layer *plan_add(struct plan *plan, enum layer_kind kind, const char *rel, int fd)
{
	cleanup_fd int own = fd;
	struct layer *v;
	char *path;

	if (plan->n == MAX_LAYERS)
		return NULL;
	if (plan->n == plan->size) {
		v = realloc(plan->v, (plan->size + 32) * sizeof(*v));
		if (!v)
			return NULL;
		plan->v = v;
		plan->size += 32;
	}
	path = strdup(rel);
	if (!path)
		return NULL;
	v = &plan->v[plan->n++];
	*v = (struct layer){ .kind = kind, .path = path, .fd = take_fd(&own) };
	return v;
}

void plan_host_path(const struct plan *plan, const char *rel, char buf[PATH_MAX])
{
	if (!*rel)
		snprintf(buf, PATH_MAX, "%s", plan->base);
	else
		snprintf(buf, PATH_MAX, "%s%s", streq(plan->base, "/") ? "" : plan->base, rel);
}

/* Give a clone the guest's ids. Not every file system can. */
static int map_ids(const struct plan *plan, int fd, const char *path, struct ns_error *err)
{
	int ret;

	if (!plan->cfg->as_root || plan->cfg->userns_fd < 0)
		return 0;
	ret = mount_set(fd, false, 0, 0, plan->cfg->userns_fd);
	if (ret >= 0)
		return 0;
	if (plan->cfg->mode == ROOT_RW)
		return ns_fail(err, ret, "root: %s: its file system cannot carry another id map "
			       "(%s); writable = overlay, or [ids] uid = 0 0 65536 and gid the same",
			       path, strerror(-ret));
	log_warn("root: %s: its file system cannot carry an id map, owners show as nobody", path);
	return 0;
}

/* A clone of one mount below a directory that is cloned without them. */
static int add_submount(struct plan *plan, const char *point, const char *rel,
			struct ns_error *err)
{
	int fd = mount_clone(AT_FDCWD, point, false), ret;
	struct stat st;

	if (fd < 0) {
		log_debug("root: %s left out: %s", point, strerror(-fd));
		return 0;
	}
	ret = map_ids(plan, fd, point, err);
	if (ret < 0 || host_result(fstat(fd, &st)) < 0) {
		close(fd);
		return ret;
	}
	return plan_add(plan, S_ISDIR(st.st_mode) ? LAYER_TREE : LAYER_FILE, rel, fd) ? 0 : -E2BIG;
}

static int add_submounts(struct plan *plan, const struct mount_table *t, const char *dir,
			 struct ns_error *err)
{
	size_t skip = streq(plan->base, "/") ? 0 : strlen(plan->base);
	int ret = 0;

	for (unsigned i = 0; i < t->n && ret == 0; i++) {
		const char *point = t->v[i].point;

		if (!path_below(point, dir, false) || in_own_dir(point + skip) ||
		    is_pseudo(t->v[i].type) || (i && streq(point, t->v[i - 1].point)))
			continue;
		ret = add_submount(plan, point, point + skip, err);
	}
	return ret;
}

static int plan_tree(struct plan *plan, const struct mount_table *t, const char *rel,
		     struct ns_error *err);

/* True for what holds nothing the guest could see: a plain directory will do. */
static bool looks_empty(int dfd, const char *name)
{
	cleanup_fd int fd = host_openat(dfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	char buf[1024];
	long n;

	if (fd < 0)
		return host_result(faccessat(dfd, name, X_OK, AT_EACCESS)) < 0;
	/* "." and ".." take 48 bytes; an error reads as empty, too */
	n = host_call(SYS_getdents64, fd, buf, sizeof(buf));
	return n <= 48;
}

static int add_link(struct plan *plan, int dfd, const char *name, const char *rel)
{
	char target[PATH_MAX];
	long n = host_result(readlinkat(dfd, name, target, sizeof(target) - 1));
	struct layer *l;

	if (n < 0)
		return 0;
	target[n] = '\0';
	l = plan_add(plan, LAYER_LINK, rel, -1);
	if (!l)
		return -E2BIG;
	l->target = strdup(target);
	return l->target ? 0 : -ENOMEM;
}

/* The directory may change meanwhile: what counts is what was opened. */
static int open_file(int dfd, const char *name, bool copy, struct stat *st)
{
	cleanup_fd int fd = copy ? host_openat(dfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0)
				 : mount_clone(dfd, name, false);
	int ret = fd < 0 ? fd : host_result(fstat(fd, st));

	if (ret == 0 && (!S_ISREG(st->st_mode) || (copy && st->st_size > MAX_COPY)))
		ret = -ESTALE;
	return ret < 0 ? ret : take_fd(&fd);
}

static int add_file(struct plan *plan, int dfd, const char *name, const char *rel, struct stat *st)
{
	bool copy = st->st_size <= MAX_COPY;
	int fd = open_file(dfd, name, copy, st);
	struct layer *l;

	if (fd < 0) {
		log_debug("root: %s left out: %s", rel, strerror(-fd));
		return 0;
	}
	l = plan_add(plan, copy ? LAYER_COPY : LAYER_FILE, rel, fd);
	if (!l)
		return -E2BIG;
	l->mode = st->st_mode & 0777;
	l->size = st->st_size;
	return 0;
}

static int add_dir(struct plan *plan, const char *rel, mode_t mode)
{
	struct layer *l = plan_add(plan, LAYER_DIR, rel, -1);

	if (!l)
		return -E2BIG;
	l->mode = mode & 07777;
	return 0;
}

static int add_entry(struct plan *plan, const struct mount_table *t, int dfd, const char *name,
		     const char *dir, struct ns_error *err)
{
	char rel[PATH_MAX], path[PATH_MAX];
	struct stat st;

	if (snprintf(rel, sizeof(rel), "%s/%s", dir, name) >= (int)sizeof(rel) ||
	    in_own_dir(rel) ||
	    host_result(fstatat(dfd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)) < 0)
		return 0;
	if (S_ISLNK(st.st_mode))
		return add_link(plan, dfd, name, rel);
	if (S_ISREG(st.st_mode))
		return add_file(plan, dfd, name, rel, &st);
	if (!S_ISDIR(st.st_mode))
		return 0;
	plan_host_path(plan, rel, path);
	if (pseudo_mounted_at(t, path) || looks_empty(dfd, name))
		return add_dir(plan, rel, st.st_mode);
	return plan_tree(plan, t, rel, err);
}

static unsigned count_files(DIR *d)
{
	struct dirent *e;
	unsigned n = 0;

	while ((e = readdir(d)))
		n += e->d_type == DT_REG;
	rewinddir(d);
	return n;
}

/* A directory that can be neither overlaid nor split with reason. */
static int plan_bound(struct plan *plan, const char *rel, const char *path, const char *why)
{
	int fd = mount_clone(AT_FDCWD, path, true);
	struct layer *l;

	if (fd < 0) {
		log_debug("root: %s left out: %s", path, strerror(-fd));
		return 0;
	}
	if (plan->cfg->mode == ROOT_OVERLAY)
		log_warn("root: %s is read-only: mounts of the host lie below it and %s", path, why);
	l = plan_add(plan, LAYER_TREE, rel, fd);
	if (!l)
		return -E2BIG;
	l->bound = true;
	return 0;
}

static int plan_split(struct plan *plan, const struct mount_table *t, const char *rel,
		      const char *path, struct ns_error *err)
{
	cleanup_fd int fd = host_open(path, O_RDONLY | O_DIRECTORY, 0);
	struct dirent *e;
	struct stat st;
	int ret;
	DIR *d;

	if (fd < 0)
		return plan_bound(plan, rel, path, "it cannot be listed");
	ret = host_result(fstat(fd, &st));
	d = ret < 0 ? NULL : fdopendir(fd);
	if (!d)
		return ret < 0 ? ret : -ENOMEM;
	fd = -1; /* the stream's now */
	if (*rel && count_files(d) > MAX_SPLIT_FILES) {
		closedir(d);
		return plan_bound(plan, rel, path, "it has many files");
	}
	if (!*rel)
		plan->split = true;
	ret = add_dir(plan, rel, st.st_mode);
	while (ret == 0 && (e = readdir(d)))
		if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
			ret = add_entry(plan, t, dirfd(d), e->d_name, rel, err);
	closedir(d);
	return ret;
}

static int plan_tree(struct plan *plan, const struct mount_table *t, const char *rel,
		     struct ns_error *err)
{
	bool by_path = !plan->cfg->dir && !plan->cfg->as_root;
	char path[PATH_MAX];
	bool below;
	int fd, ret;

	plan_host_path(plan, rel, path);
	below = mount_table_has_below(t, path);
	if (by_path && !below)
		return plan_add(plan, LAYER_TREE, rel, -1) ? 0 : -E2BIG;
	fd = mount_clone(AT_FDCWD, path, false);
	if (fd == -EINVAL && below) {
		if (plan->cfg->mode != ROOT_RW)
			return plan_split(plan, t, rel, path, err);
		fd = mount_clone(AT_FDCWD, path, true);
		below = false;
	}
	if (fd == -ENOSYS || fd == -EPERM)
		return ns_fail(err, fd, "root: this host does not let weir use open_tree(2): %s",
			       strerror(-fd));
	if (fd < 0)
		return ns_fail(err, fd, "root: %s: %s", path, strerror(-fd));
	ret = map_ids(plan, fd, path, err);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	if (!plan_add(plan, LAYER_TREE, rel, fd))
		return -E2BIG;
	return below ? add_submounts(plan, t, path, err) : 0;
}

#define OVERFLOW_ID 65534 /* how an id outside our map shows */

static bool has_layer(const struct plan *plan, const char *rel)
{
	for (unsigned i = 0; i < plan->n; i++)
		if (plan->v[i].kind == LAYER_TREE && streq(plan->v[i].path, rel))
			return true;
	return false;
}

/* Is @rel inside an overlay, more than at its top? */
static bool below_layer(const struct plan *plan, const char *rel)
{
	for (unsigned i = 0; i < plan->n; i++)
		if (plan->v[i].kind == LAYER_TREE && !plan->v[i].bound && *plan->v[i].path &&
		    path_below(rel, plan->v[i].path, false))
			return true;
	return false;
}

/**
 * add_writable() - Make a directory writable that an overlay alone would not
 * @rel: absolute; each directory on the way is looked at
 *
 * A write copies up all directories above it with their owners, and an owner
 * that the guest does not have cannot be copied. So a directory of the guest's
 * below one that is not, and one that everybody may write (/var/tmp), gets an
 * overlay of its own: its top is made by us.
 */
static int add_writable(struct plan *plan, const char *rel)
{
	bool parent_foreign = false;
	char path[PATH_MAX];

	for (const char *end = rel; *end; ) {
		bool foreign_uid, foreign, wanted;
		struct stat st;

		end = end + 1 + strcspn(end + 1, "/");
		snprintf(path, sizeof(path), "%.*s", (int)(end - rel), rel);
		if (in_own_dir(path) || host_result(lstat(path, &st)) < 0 ||
		    !S_ISDIR(st.st_mode))
			return 0;
		foreign_uid = st.st_uid == OVERFLOW_ID;
		foreign = foreign_uid || st.st_gid == OVERFLOW_ID;
		wanted = foreign_uid ? st.st_mode & S_IWOTH : foreign || parent_foreign;
		parent_foreign = foreign && !has_layer(plan, path);
		if (!wanted || has_layer(plan, path) || !below_layer(plan, path))
			continue;
		return plan_add(plan, LAYER_TREE, path, -1) ? 0 : -E2BIG;
	}
	return 0;
}

/* For the host's root of an ordinary user, whose owners are mostly not ours. */
static int add_writables(struct plan *plan)
{
	const struct root_config *cfg = plan->cfg;
	int ret;

	if (cfg->dir || cfg->as_root || cfg->mode != ROOT_OVERLAY || !plan->split)
		return 0;
	ret = add_writable(plan, "/var/tmp");
	if (ret == 0 && cfg->cwd && cfg->cwd[0] == '/')
		ret = add_writable(plan, cfg->cwd);
	return ret;
}

int plan_make(struct plan *plan, const struct root_config *cfg, const char *base,
	      struct ns_error *err)
{
	struct mount_table table;
	int ret;

	*plan = (struct plan){ .cfg = cfg, .base = strdup(base) };
	if (!plan->base)
		return -ENOMEM;
	if (cfg->on_disk)
		return plan_add(plan, LAYER_TREE, "", -1) ? 0 : -ENOMEM;
	ret = mount_table_read("/proc/self/mountinfo", &table);
	if (ret < 0)
		return ns_fail(err, ret, "root: /proc/self/mountinfo: %s", strerror(-ret));
	ret = plan_tree(plan, &table, "", err);
	mount_table_destroy(&table);
	if (ret == 0)
		ret = add_writables(plan);
	if (ret == -E2BIG)
		return ns_fail(err, ret, "root: %s: more than %d parts", base, MAX_LAYERS);
	return ret;
}

void plan_give(struct plan *plan, int tree)
{
	plan->v[0].fd = tree;
}

void plan_destroy(struct plan *plan)
{
	for (unsigned i = 0; i < plan->n; i++) {
		cleanup_fd_p(&plan->v[i].fd);
		free(plan->v[i].path);
		free(plan->v[i].target);
	}
	free(plan->v);
	free(plan->base);
	*plan = (struct plan){};
}
