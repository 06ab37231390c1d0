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

static int mount_dir(int *ret_dir, char *why, size_t size)
{
	char fd[16];
	const char *const options[] = {
		"fd", fd, "rootmode", "40755", "user_id", "0", "group_id", "0",
		"allow_other", "", "default_permissions", "", "subtype", "weir-ubd",
		"max_read", "1048576", NULL,
	};
	cleanup_fd int dir = -1;
	int ret = host_result(mkdirat(dev, "ubd", 0755));

	if (ret < 0)
		return ret;
	snprintf(fd, sizeof(fd), "%d", device);
	dir = mount_new("fuse", MOUNT_PSEUDO, options, why, size);
	ret = dir < 0 ? dir : mount_attach(dir, dev, "ubd");
	if (ret == 0)
		*ret_dir = take_fd(&dir);
	return ret;
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
	char why[128] = "";
	int ret;

	if (device < 0)
		return ns_fail(err, device, "disks: the guest cannot be given any: %s",
			       device == -ENOSYS ? "this weir was built without FUSE" :
			       device == -EACCES ? "/dev/fuse may not be opened (0666 is its usual mode)" :
						   "the host has no /dev/fuse; load its module fuse");
	dev = host_openat(root->dev, ".", O_PATH | O_DIRECTORY, 0);
	ret = dev < 0 ? dev : mount_dir(ret_dir, why, sizeof(why));
	for (unsigned i = 0; ret == 0 && i < n; i++)
		ret = disk_dir_link(names[i], true);
	if (ret < 0)
		return ns_fail(err, ret, "disks: /dev/ubd: %s", why[0] ? why : strerror(-ret));
	return take_fd(&device);
}
