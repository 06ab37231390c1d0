/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filecaps.c - programs with capabilities of their own that the guest does not have
 *
 * The host runs no program whose file has a capability that is not in the caller's
 * bounding set: EPERM, capabilities(7), "Safety checking for capability-dumb binaries".
 * Some have one that they can do without. In a root that is thrown away with the
 * guest, they lose it.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/rootfs.h"
#include "passthrough/hostcall.h"

#define CAPS_XATTR "security.capability"

/* They use ICMP sockets where they may, and the guest's network lets them (net.c). */
static const char *const dispensable[] = {
	"usr/bin/ping", "bin/ping", "usr/bin/fping",
};

/* The file's permitted capabilities; 0 without any. struct vfs_cap_data and its larger
 * sister begin alike, linux/capability.h. */
static uint64_t file_caps(int fd)
{
	struct vfs_ns_cap_data d = {};
	ssize_t n = host_result(fgetxattr(fd, CAPS_XATTR, &d, sizeof(d)));

	if (n < (ssize_t)sizeof(struct vfs_cap_data))
		return 0;
	return d.data[0].permitted | (uint64_t)d.data[1].permitted << 32;
}

/* Only what is written to our tmpfs: never the host's file. */
static bool is_ours(int fd)
{
	struct statfs fs;
	struct stat st;

	return host_result(fstatfs(fd, &fs)) == 0 &&
	       fs.f_type == OVERLAYFS_SUPER_MAGIC && host_result(fstat(fd, &st)) == 0 &&
	       S_ISREG(st.st_mode);
}

void root_mend_filecaps(const struct root *root)
{
	if (root->cfg.mode != ROOT_OVERLAY)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(dispensable); i++) {
		const char *name = dispensable[i];
		cleanup_fd int fd = host_open_beneath(root->fd, name, O_RDONLY | O_NOFOLLOW, 0);
		int ret;

		if (fd < 0 || !(file_caps(fd) & ~root->cfg.caps) || !is_ours(fd))
			continue;
		ret = host_result(fremovexattr(fd, CAPS_XATTR));
		if (ret < 0)
			log_info("root: /%s has capabilities that the guest has not, and cannot be "
				 "run: %s", name, strerror(-ret));
		else
			log_info("root: /%s has none of its file's capabilities here, which the "
				 "guest has not", name);
	}
}
