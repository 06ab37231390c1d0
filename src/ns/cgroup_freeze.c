/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_freeze.c - a group in which all tasks of a guest can be frozen
 *
 * Of our own group only a child is made, never of one above it: a group with
 * processes gives no controllers to its children (v2), so being moved there
 * changes nothing for the tasks but that they can be frozen.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/cgroup_impl.h"
#include "ns/feature.h"
#include "passthrough/hostcall.h"

#define V1_FREEZER "freezer"

/* The v2 group of the guest's limits: every task is in it from its start. */
static const struct cgroup_group *limits_group(const struct cgroup *cg)
{
	for (unsigned i = 0; i < cg->n; i++)
		if (cg->g[i].v2)
			return &cg->g[i];
	return NULL;
}

static const struct cgroup_group *frozen_group(const struct cgroup *cg)
{
	const struct cgroup_group *g = limits_group(cg);

	if (!g && cg->freezer.path)
		g = &cg->freezer;
	return g;
}

static bool has_file(int dir, const char *name)
{
	return host_result(faccessat(dir, name, W_OK, AT_EACCESS)) == 0;
}

static int make_group(const struct cgroup_finder *f, struct cgroup *cg, bool v2)
{
	const char *controller = v2 ? NULL : V1_FREEZER;
	char dir[PATH_MAX], home[PATH_MAX];
	struct cgroup_group g;
	size_t mount;
	int ret;

	if (host_feature_masked(v2 ? "cgroup2" : "cgroup1") ||
	    !cgroup_own_dir(f, controller, dir, &mount) || !cgroup_writable(dir) ||
	    !cgroup_path_in(f->self, controller, home, sizeof(home)))
		return -EOPNOTSUPP;
	ret = cgroup_group_create(f, dir, v2, &g);
	if (ret < 0)
		return ret;
	if (!has_file(g.fd, v2 ? "cgroup.freeze" : "freezer.state")) {
		rmdir(g.path);
		close(g.fd);
		free(g.path);
		return -EOPNOTSUPP;
	}
	cg->freezer = g;
	cg->home = strdup(home);
	log_info("cgroup: %s, to be frozen in", g.path);
	return 1;
}

int cgroup_freezer(struct cgroup *cg, const char *name)
{
	const struct cgroup_group *limits = limits_group(cg);
	struct cgroup_finder f;
	int ret;

	if (limits)
		return has_file(limits->fd, "cgroup.freeze") ? 0 : -EOPNOTSUPP;
	if (cg->freezer.path)
		return 1;
	ret = cgroup_finder_init(&f, name);
	if (ret < 0)
		return ret;
	ret = make_group(&f, cg, true);
	if (ret < 0)
		ret = make_group(&f, cg, false);
	cgroup_finder_exit(&f);
	return ret < 0 ? -EOPNOTSUPP : ret;
}

int cgroup_freeze(const struct cgroup *cg, bool frozen)
{
	const struct cgroup_group *g = frozen_group(cg);

	if (!g)
		return -EOPNOTSUPP;
	if (g->v2)
		return host_write_file(g->fd, "cgroup.freeze", frozen ? "1" : "0");
	return host_write_file(g->fd, "freezer.state", frozen ? "FROZEN" : "THAWED");
}

int cgroup_freezer_take(const struct cgroup *cg, pid_t pid)
{
	const struct cgroup_group *g = &cg->freezer;
	char file[64], text[8192], own[PATH_MAX];
	const char *last = strrchr(g->path, '/') + 1;
	size_t home = strlen(cg->home);
	int ret;

	snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)pid);
	ret = host_read_file(AT_FDCWD, file, text, sizeof(text));
	if (ret < 0)
		return ret == -ENOENT ? -ESRCH : ret;
	if (!cgroup_path_in(text, g->v2 ? NULL : V1_FREEZER, own, sizeof(own)))
		return -EXDEV;
	/* HOME/LAST, where HOME may be the root, "/" */
	if (str_starts(own, cg->home) && (home == 1 || own[home] == '/') &&
	    streq(own + home + (home > 1), last))
		return 1;
	if (!streq(own, cg->home))
		return -EXDEV;
	snprintf(file, sizeof(file), "%d", (int)pid);
	return host_write_file(g->fd, "cgroup.procs", file);
}

int cgroup_frozen(const struct cgroup *cg)
{
	const struct cgroup_group *g = frozen_group(cg);
	char text[256];
	int ret;

	if (!g)
		return -EOPNOTSUPP;
	ret = host_read_file(g->fd, g->v2 ? "cgroup.events" : "freezer.state", text, sizeof(text));
	if (ret < 0)
		return ret;
	return g->v2 ? strstr(text, "frozen 1\n") != NULL : streq(text, "FROZEN\n");
}
