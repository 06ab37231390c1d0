/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_find.c - where our own groups are, and making a group in one of them
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/util.h"
#include "ns/cgroup_impl.h"
#include "passthrough/hostcall.h"

/* A guest's name is a word, but a group's name must be one in any case. */
static void group_name(const char *guest, char *buf, size_t size)
{
	snprintf(buf, size, "weir-%.64s-%d", guest, (int)getpid());
	for (char *p = buf; *p; p++)
		if (*p == '/' || *p == '\n' || *p == ' ')
			*p = '_';
}

int cgroup_finder_init(struct cgroup_finder *f, const char *guest)
{
	if (host_read_file(AT_FDCWD, "/proc/self/cgroup", f->self, sizeof(f->self)) < 0)
		f->self[0] = '\0';
	group_name(guest, f->name, sizeof(f->name));
	return mount_table_read("/proc/self/mountinfo", &f->mounts);
}

void cgroup_finder_exit(struct cgroup_finder *f)
{
	mount_table_destroy(&f->mounts);
}

bool cgroup_word_in(const char *list, const char *word, const char *separators)
{
	size_t len = strlen(word);

	while (*list) {
		size_t n = strcspn(list, separators);

		if (n == len && strncmp(list, word, n) == 0)
			return true;
		list += n;
		list += strspn(list, separators);
	}
	return false;
}

bool cgroup_path_in(const char *self, const char *controller, char *buf, size_t size)
{
	const char *line = self;

	for (; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
		char words[256];

		if (!path || path - list > (long)sizeof(words))
			continue;
		snprintf(words, sizeof(words), "%.*s", (int)(path - list - 1), list + 1);
		if (controller ? cgroup_word_in(words, controller, ",") : words[0] == '\0') {
			snprintf(buf, size, "%.*s", (int)strcspn(path + 1, "\n"), path + 1);
			/* outside the cgroup namespace: not ours to look at */
			return !str_starts(buf, "/..");
		}
	}
	return false;
}

static const struct mount_entry *find_mount(const struct cgroup_finder *f, const char *controller)
{
	for (unsigned i = 0; i < f->mounts.n; i++) {
		const struct mount_entry *e = &f->mounts.v[i];

		if (controller ? streq(e->type, "cgroup") &&
					 cgroup_word_in(e->options, controller, ",")
			       : streq(e->type, "cgroup2"))
			return e;
	}
	return NULL;
}

bool cgroup_own_dir(const struct cgroup_finder *f, const char *controller, char buf[PATH_MAX],
		    size_t *ret_mount)
{
	const struct mount_entry *e = find_mount(f, controller);
	char own[PATH_MAX];
	const char *rel = own;

	if (!e || !cgroup_path_in(f->self, controller, own, sizeof(own)))
		return false;
	/* A mount may show a part of the tree only. */
	if (!streq(e->root, "/")) {
		if (!path_below(own, e->root, true))
			return false;
		rel = own + strlen(e->root);
	}
	*ret_mount = strlen(e->point);
	return snprintf(buf, PATH_MAX, "%s%s", e->point, streq(rel, "/") ? "" : rel) < PATH_MAX;
}

bool cgroup_writable(const char *dir)
{
	char path[PATH_MAX];

	/* To move a process in, its old and new group's common parent must be ours. */
	return host_result(faccessat(AT_FDCWD, dir, W_OK, AT_EACCESS)) == 0 &&
	       snprintf(path, sizeof(path), "%s/cgroup.procs", dir) < (int)sizeof(path) &&
	       host_result(faccessat(AT_FDCWD, path, W_OK, AT_EACCESS)) == 0;
}

int cgroup_group_create(const struct cgroup_finder *f, const char *parent, bool v2,
			struct cgroup_group *ret)
{
	struct cgroup_group g = { .v2 = v2 };
	int made;

	if (asprintf(&g.path, "%s/%s", parent, f->name) < 0)
		return -ENOMEM;
	made = host_result(mkdir(g.path, 0755));
	g.fd = made < 0 && made != -EEXIST ? made : host_open(g.path, O_RDONLY | O_DIRECTORY, 0);
	if (g.fd < 0) {
		if (made == 0)
			rmdir(g.path);
		free(g.path);
		return g.fd;
	}
	*ret = g;
	return 0;
}
