/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_impl.h - finding a place for a group, shared by those who make groups
 */
#ifndef WEIR_NS_CGROUP_IMPL_H
#define WEIR_NS_CGROUP_IMPL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "ns/cgroup.h"
#include "ns/mountinfo.h"

/* What is looked up once: the mounts, and /proc/self/cgroup. */
struct cgroup_finder {
	struct mount_table mounts;
	char self[8192];
	char name[128];		/* of groups that are made for the guest */
};

int cgroup_finder_init(struct cgroup_finder *f, const char *guest);
void cgroup_finder_exit(struct cgroup_finder *f);

/* Is @word one of the words of @list? */
bool cgroup_word_in(const char *list, const char *word, const char *separators);

/**
 * cgroup_path_in() - A process's group in one hierarchy
 * @self:	text of /proc/PID/cgroup
 * @controller:	of the v1 hierarchy; NULL: v2
 *
 * Return: false if it has none, or one outside our cgroup namespace.
 */
bool cgroup_path_in(const char *self, const char *controller, char *buf, size_t size);

/* The directory of our own group. @ret_mount: length of the mount's part. */
bool cgroup_own_dir(const struct cgroup_finder *f, const char *controller, char buf[PATH_MAX],
		    size_t *ret_mount);

/* May we move processes between the groups below this v2 directory? */
bool cgroup_writable(const char *dir);

/* Make a group in @parent. Return: 0 or a negative errno, and nothing is made. */
int cgroup_group_create(const struct cgroup_finder *f, const char *parent, bool v2,
			struct cgroup_group *ret);

#endif
