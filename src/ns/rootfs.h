/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootfs.h - what the files that build the root share
 */
#ifndef WEIR_NS_ROOTFS_H
#define WEIR_NS_ROOTFS_H

#include "ns/overlay.h"
#include "ns/root.h"

struct root {
	/* by root_prepare() */
	struct root_config cfg;
	struct plan plan;

	/* by root_build() */
	const char *where;	/* staging directory on the host */
	int fd;			/* the mount that becomes / */
	int dev;		/* the mount at /dev */
	bool cwd_there;
};

/**
 * root_place() - A directory of the root to mount something on
 *
 * Made if it is not there and the root can be written.
 * Return: descriptor, or -EROFS with a line that names the directory.
 */
int root_place(const struct root *root, const char *name, mode_t mode, struct ns_error *err);

/* A new file system at /@name. Return: the mount, attached. */
int root_mount_at(const struct root *root, const char *name, const char *type, unsigned attrs,
		  const char *const *options, struct ns_error *err);

/* The size of a tmpfs as a mount option's value in @buf, or NULL for the host's. */
#define ROOT_SIZE_TEXT 24
const char *root_tmpfs_size(const struct root *root, char buf[ROOT_SIZE_TEXT]);

/* Programs that the host would not run for the capabilities of their files: those that
 * do without are mended in a root that is thrown away. After all is mounted. */
void root_mend_filecaps(const struct root *root);

int root_build_dev(struct root *root, struct ns_error *err);
/* @host_sys: a clone of the host's /sys to use, taken from it; or -1 */
int root_build_sys(struct root *root, int *host_sys, struct ns_error *err);

#endif
