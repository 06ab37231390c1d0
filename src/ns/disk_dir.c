/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_dir.c - where the guest finds its disks: /dev/ubd/0, also as /dev/ubd0
 *
 * A FUSE file system that the guest kernel serves. Its files are the guest's to
 * write, and their permissions are checked by the host.
 */
#include "ns/disk_dir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "ns/feature.h"
#include "ns/mount.h"
#include "ns/rootfs.h"
#include "passthrough/hostcall.h"

static int device = -ENOENT;
static int dir = -1;	/* their directory, until it is in the guest's /dev */
static int dev = -1;	/* the guest's /dev, the agent's own */

void disk_dir_open_device(void)
{
	if (!HAVE_FUSE)
		device = -ENOSYS;
	else if (host_feature_masked("fuse"))
		device = -ENOENT;
	else
		device = host_open("/dev/fuse", O_RDWR, 0);
}

int disk_dir_mount(struct ns_error *err)
{
	char fd[16], why[128] = "";
	const char *const options[] = {
		"fd", fd, "rootmode", "40755", "user_id", "0", "group_id", "0",
		"allow_other", "", "default_permissions", "", "subtype", "weir-ubd",
		"max_read", "1048576", NULL,
	};

	if (device < 0)
		return ns_fail(err, device, "disks: the guest cannot be given any: %s",
			       device == -ENOSYS ? "this weir was built without FUSE" :
			       device == -EACCES ? "/dev/fuse may not be opened (0666 is its usual mode)" :
						   "the host has no /dev/fuse; load its module fuse");
	snprintf(fd, sizeof(fd), "%d", device);
	dir = mount_new("fuse", MOUNT_PSEUDO, options, why, sizeof(why));
	if (dir < 0)
		return ns_fail(err, dir, "disks: /dev/ubd: %s", why[0] ? why : strerror(-dir));
	return take_fd(&device);
}

int disk_dir_open(const char *name, bool readonly, uint64_t *ret_ino)
{
	const int flags = O_NONBLOCK | O_NOCTTY | O_NOFOLLOW;
	cleanup_fd int fd = host_openat(dir, name, O_RDWR | flags, 0);
	struct stat st;
	int ret;

	if (fd == -EROFS && readonly)
		fd = host_openat(dir, name, O_RDONLY | flags, 0);
	ret = fd < 0 ? fd : host_result(fcntl(fd, F_SETFL, O_DIRECT));
	if (ret == 0)
		ret = host_result(fstat(fd, &st));
	if (ret == 0)
		*ret_ino = st.st_ino;
	return ret < 0 ? ret : take_fd(&fd);
}

int disk_dir_link(const char *name, bool there)
{
	char target[32], link[32], is[32];
	long n;

	snprintf(target, sizeof(target), "ubd/%.16s", name);
	snprintf(link, sizeof(link), "ubd%.16s", name);
	if (there)
		return host_result(symlinkat(target, dev, link));
	n = host_result(readlinkat(dev, link, is, sizeof(is) - 1));
	if (n < 0)
		return n == -ENOENT ? 0 : n;
	is[n] = '\0';
	return streq(is, target) ? host_result(unlinkat(dev, link, 0)) : -EEXIST;
}

int disk_dir_build(struct root *root, const char *const *names, unsigned n, int *ret_dir,
		   struct ns_error *err)
{
	int ret;

	dev = host_openat(root->dev, ".", O_PATH | O_DIRECTORY, 0);
	ret = dev < 0 ? dev : host_result(mkdirat(dev, "ubd", 0755));
	if (ret == 0)
		ret = mount_attach(dir, dev, "ubd");
	for (unsigned i = 0; ret == 0 && i < n; i++)
		ret = disk_dir_link(names[i], true);
	if (ret < 0)
		return ns_fail(err, ret, "disks: /dev/ubd: %s", strerror(-ret));
	*ret_dir = take_fd(&dir);
	return 0;
}
