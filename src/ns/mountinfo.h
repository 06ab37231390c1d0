/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mountinfo.h - the mounts of a mount namespace
 */
#ifndef WEIR_NS_MOUNTINFO_H
#define WEIR_NS_MOUNTINFO_H

#include <stdbool.h>

struct mount_entry {
	char *point;	/* where, from the root of the reader */
	char *type;	/* file system */
	char *root;	/* what of it */
	char *options;	/* of a cgroup v1 hierarchy: its controllers among them */
	bool propagates; /* shared with, or a slave of, another mount */
};

struct mount_table {
	struct mount_entry *v;
	unsigned n;
	char *text;
};

/* @file: /proc/self/mountinfo. Sorted by mount point, parents first. */
int mount_table_read(const char *file, struct mount_table *ret);
void mount_table_destroy(struct mount_table *t);

/* Is @path below @dir, or @dir itself if @or_same? Both absolute. */
bool path_below(const char *path, const char *dir, bool or_same);

/* Is something mounted below @dir? */
bool mount_table_has_below(const struct mount_table *t, const char *dir);

#endif
