/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev.c - the guest's /dev, its pseudo-terminals and its console
 *
 * Device nodes are the host's, bound over empty files: a user namespace cannot
 * make nodes, and these six lead to nothing that is the host's own.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/mount.h"
#include "ns/rootfs.h"
#include "ns/view.h"
#include "passthrough/hostcall.h"

const struct root_device root_devices[NUM_ROOT_DEVICES] = {
	{ "null", 1, 3 }, { "zero", 1, 5 },    { "full", 1, 7 },
	{ "tty", 5, 0 },  { "random", 1, 8 },  { "urandom", 1, 9 },
};

static const struct {
	const char *name, *target;
} dev_links[] = {
	{ "fd", "/proc/self/fd" },	 { "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" }, { "stderr", "/proc/self/fd/2" },
	{ "ptmx", "pts/ptmx" },
};

int root_device_index(unsigned major, unsigned minor)
{
	for (int i = 0; i < NUM_ROOT_DEVICES; i++)
		if (root_devices[i].major == major && root_devices[i].minor == minor)
			return i;
	return -ENODEV;
}

static void bind_nodes(int dev)
{
	for (int i = 0; i < NUM_ROOT_DEVICES; i++) {
		const char *name = root_devices[i].name;
		cleanup_fd int fd = -1;
		char path[32];
		int ret;

		snprintf(path, sizeof(path), "/dev/%s", name);
		fd = mount_clone(AT_FDCWD, path, false);
		ret = fd < 0 ? fd : host_result(mknodat(dev, name, S_IFREG | 0666, 0));
		/* A device is written through all the same; its mode and owner,
		 * which are the host's, are not. */
		if (ret == 0)
			ret = mount_set(fd, false, MOUNT_ATTR_RDONLY, 0, -1);
		if (ret == 0)
			ret = mount_attach(fd, dev, name);
		if (ret < 0)
			log_warn("root: %s absent: %s", path, strerror(-ret));
	}
}

/* A file system in a directory of /dev; without it the directory stays empty. */
static int mount_in_dev(int dev, const char *name, const char *type, unsigned attrs,
			const char *const *options)
{
	cleanup_fd int fd = mount_new(type, attrs, options, NULL, 0);

	return fd < 0 ? fd : mount_attach(fd, dev, name);
}

static int mount_pts(int dev)
{
	/* Group 5 is tty everywhere; a guest with few ids has no group 5. */
	const char *const with_tty[] = { "newinstance", "", "ptmxmode", "0666", "mode", "0620",
					 "gid", "5", NULL };
	const char *const without[] = { "newinstance", "", "ptmxmode", "0666", "mode", "0620",
					NULL };
	unsigned attrs = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
	int ret = mount_in_dev(dev, "pts", "devpts", attrs, with_tty);

	return ret == -EINVAL ? mount_in_dev(dev, "pts", "devpts", attrs, without) : ret;
}

/* /dev/console swallows what is written to it until a console is bound over it. */
static int bind_null_console(int dev)
{
	cleanup_fd int null = mount_clone(dev, "null", false);
	int ret = host_result(mknodat(dev, "console", S_IFREG | 0600, 0));

	if (null >= 0 && ret == 0)
		ret = mount_attach(null, dev, "console");
	return ret;
}

static int fill_dev(const struct root *root, int dev, struct ns_error *err)
{
	char text[ROOT_SIZE_TEXT];
	const char *size = root_tmpfs_size(root, text);
	const char *const shm[] = { "mode", "1777", size ? "size" : NULL, size, NULL };
	int ret;

	bind_nodes(dev);
	for (unsigned i = 0; i < ARRAY_SIZE(dev_links); i++)
		host_result(symlinkat(dev_links[i].target, dev, dev_links[i].name));
	ret = bind_null_console(dev);
	if (ret == 0)
		ret = host_result(mkdirat(dev, "pts", 0755));
	if (ret == 0)
		ret = host_result(mkdirat(dev, "shm", 01777));
	if (ret == 0)
		ret = host_result(mkdirat(dev, "mqueue", 01777));
	if (ret == 0)
		ret = mount_in_dev(dev, "shm", "tmpfs", MOUNT_PLAIN, shm);
	if (ret < 0)
		return ns_fail(err, ret, "root: filling /dev: %s", strerror(-ret));
	ret = mount_pts(dev);
	if (ret < 0)
		return ns_fail(err, ret, "root: devpts on /dev/pts: %s (the host must let user "
			       "namespaces mount it)", strerror(-ret));
	ret = mount_in_dev(dev, "mqueue", "mqueue", MOUNT_PSEUDO, NULL);
	if (ret < 0)
		log_info("root: /dev/mqueue absent: %s", strerror(-ret));
	return 0;
}

int root_build_dev(struct root *root, struct ns_error *err)
{
	const char *const options[] = { "mode", "0755", "size", "4m", NULL };

	root->dev = root_mount_at(root, "dev", "tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
				  options, err);
	return root->dev < 0 ? root->dev : fill_dev(root, root->dev, err);
}

int root_keep(struct root *root, struct root_kept *ret, struct ns_error *err)
{
	static const char *const trees[NUM_ROOT_TREES] = { "proc", "sys" };

	/* With what lies over it, where something must: such a copy can only be
	 * unmounted as a whole (umount -R, view_umount()). */
	ret->whole = root->cfg.identity_risk || view_is_attached();
	for (int i = 0; i < NUM_ROOT_TREES; i++) {
		ret->tree[i] = host_openat(root->fd, trees[i], O_PATH | O_DIRECTORY, 0);
		ret->spare[i] = mount_clone(root->fd, trees[i], ret->whole);
	}
	for (int i = 0; i < NUM_ROOT_DEVICES; i++) {
		const char *name = root_devices[i].name;

		ret->device[i] = host_openat(root->dev, name, O_PATH | O_NOFOLLOW, 0);
	}
	return 0;
}

int root_keep_console(struct root *root, struct root_kept *ret, struct ns_error *err)
{
	ret->pts = host_openat(root->dev, "pts", O_PATH | O_DIRECTORY, 0);
	ret->console = host_openat(root->dev, "console", O_PATH | O_NOFOLLOW, 0);
	if (ret->pts < 0 || ret->console < 0)
		return ns_fail(err, -EIO, "root: the guest's /dev is incomplete");
	return 0;
}

/* A clone of the attached mount; once the guest has unmounted it, of the spare
 * (which hosts before Linux 6.15 refuse: then it is gone). */
int root_clone_kept(const struct root_kept *kept, unsigned tree)
{
	int fd;

	if (tree >= NUM_ROOT_TREES)
		return -EINVAL;
	fd = kept->tree[tree] < 0 ? -ENOENT : mount_clone(kept->tree[tree], "", kept->whole);
	if (fd < 0 && kept->spare[tree] >= 0)
		fd = mount_clone(kept->spare[tree], "", kept->whole);
	return fd;
}

int root_clone_device(const struct root_kept *kept, unsigned device)
{
	if (device >= NUM_ROOT_DEVICES)
		return -EINVAL;
	return kept->device[device] < 0 ? -ENOENT : mount_clone(kept->device[device], "", false);
}

int root_open_pty(struct root *root, const struct root_kept *kept, int *ret_master,
		  int *ret_slave, struct ns_error *err)
{
	cleanup_fd int master = -1;
	int slave, unlock = 0, ret;

	master = host_openat(kept->pts, "ptmx", O_RDWR | O_NOCTTY, 0);
	if (master < 0)
		return ns_fail(err, master, "console: no pseudo-terminal: %s", strerror(-master));
	ret = host_result(ioctl(master, TIOCSPTLCK, &unlock));
	slave = ret < 0 ? ret : host_result(ioctl(master, TIOCGPTPEER,
						  O_RDWR | O_NOCTTY | O_CLOEXEC));
	if (slave < 0)
		return ns_fail(err, slave, "console: pseudo-terminal: %s", strerror(-slave));
	*ret_master = take_fd(&master);
	*ret_slave = slave;
	return 0;
}

int root_bind_console(struct root *root, const struct root_kept *kept, int slave,
		      struct ns_error *err)
{
	cleanup_fd int fd = -1;
	char name[16];
	struct stat st;
	int ret;

	ret = host_result(fstat(slave, &st));
	if (ret < 0)
		return ns_fail(err, ret, "console: %s", strerror(-ret));
	snprintf(name, sizeof(name), "%u",
		 (unsigned)(st.st_rdev & 0xff) | (unsigned)(st.st_rdev >> 12 & 0xfff00));
	fd = mount_clone(kept->pts, name, false);
	ret = fd < 0 ? fd : mount_attach(fd, kept->console, "");
	if (ret < 0)
		return ns_fail(err, ret, "console: binding /dev/pts/%s: %s", name, strerror(-ret));
	return 0;
}
