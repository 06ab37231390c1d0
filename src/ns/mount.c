/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount.c - the host's mount calls that work on descriptors
 */
#include "ns/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "ns/feature.h"
#include "passthrough/hostcall.h"

int mount_clone(int dfd, const char *path, bool recursive)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT |
			 AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH;

	if (host_feature_masked("open_tree"))
		return -ENOSYS;
	return host_call(SYS_open_tree, dfd, path, flags | (recursive ? AT_RECURSIVE : 0));
}

/* Messages of the file system are "e text\n", one for each read. */
static void read_why(int fs, char *why, size_t size)
{
	ssize_t n;

	if (!why || !size)
		return;
	n = host_call(SYS_read, fs, why, size - 1);
	if (n < 2)
		n = 0;
	why[n] = '\0';
	why[strcspn(why, "\n")] = '\0';
	if (n)
		memmove(why, why + 2, strlen(why) - 1);
}

static int fs_configure(int fs, const char *type, const char *const *options)
{
	/* shown as the device in the guest's /proc/mounts */
	bool named = options && options[0] && strcmp(options[0], "source") == 0;
	int ret = named ? 0 : host_call(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "source", type, 0);

	if (ret < 0)
		return ret;

	for (; options && options[0]; options += 2) {
		bool flag = options[1][0] == '\0';

		ret = host_call(SYS_fsconfig, fs, flag ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING,
				options[0], flag ? NULL : options[1], 0);
		if (ret < 0)
			return ret;
	}
	return host_call(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
}

int mount_new(const char *type, unsigned attrs, const char *const *options, char *why,
	      size_t whysize)
{
	cleanup_fd int fs = -1;
	int ret;

	if (why && whysize)
		why[0] = '\0';
	if (host_feature_masked(type))
		return -ENODEV;
	fs = host_call(SYS_fsopen, type, FSOPEN_CLOEXEC);
	if (fs < 0)
		return fs;
	ret = fs_configure(fs, type, options);
	if (ret >= 0)
		ret = host_call(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attrs);
	if (ret < 0)
		read_why(fs, why, whysize);
	return ret;
}

int mount_attach(int mfd, int dfd, const char *path)
{
	return host_call(SYS_move_mount, mfd, "", dfd, path,
			 MOVE_MOUNT_F_EMPTY_PATH | (*path ? 0 : MOVE_MOUNT_T_EMPTY_PATH));
}

int mount_set(int mfd, bool recursive, uint64_t set, uint64_t clear, int userns_fd)
{
	struct mount_attr attr = { .attr_set = set, .attr_clr = clear };

	if (userns_fd >= 0) {
		if (host_feature_masked("idmap"))
			return -EINVAL;
		attr.attr_set |= MOUNT_ATTR_IDMAP;
		attr.userns_fd = userns_fd;
	}
	return host_call(SYS_mount_setattr, mfd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0),
			 &attr, sizeof(attr));
}
