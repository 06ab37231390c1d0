/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.c - limits of a guest
 *
 * v2: a group may give controllers to its children only while it has no
 * processes itself, and most groups that weir is started in have some. So the
 * guest's group is made in the nearest ancestor, our own group first, that is
 * writable for us and gives the controllers already or can be told to; nobody
 * else's processes are moved. With systemd's delegation to a user that is the
 * slice above our scope.
 */
#include "ns/cgroup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/cgroup_impl.h"
#include "ns/feature.h"
#include "passthrough/hostcall.h"

#define CPU_PERIOD_US 100000

enum limit { LIMIT_MEMORY, LIMIT_CPU, LIMIT_PIDS, NUM_LIMITS };

static const struct {
	const char *controller, *v2_file, *v1_file;
} limit_kinds[NUM_LIMITS] = {
	[LIMIT_MEMORY] = { "memory", "memory.max", "memory.limit_in_bytes" },
	[LIMIT_CPU] = { "cpu", "cpu.max", "cpu.cfs_quota_us" },
	[LIMIT_PIDS] = { "pids", "pids.max", "pids.max" },
};

/* The guest's affinity keeps its CPUs already: cpu.max is a second lock on that
 * door, and no reason for a group of its own or to refuse. */
static bool limit_needs_group(enum limit kind)
{
	return kind != LIMIT_CPU;
}

struct finder {
	struct cgroup_finder at;
	const struct cgroup_limits *limits;
	const char *why[NUM_LIMITS];	/* why a limit cannot be kept, NULL: it can */
};

static bool limit_value(const struct cgroup_limits *l, enum limit kind, bool v2, char buf[64])
{
	switch (kind) {
	case LIMIT_MEMORY:
		snprintf(buf, 64, "%llu", (unsigned long long)l->memory_bytes);
		return l->memory_bytes;
	case LIMIT_CPU:
		snprintf(buf, 64, v2 ? "%llu %u" : "%llu", l->vcpus * 1ull * CPU_PERIOD_US,
			 CPU_PERIOD_US);
		return l->vcpus;
	default:
		snprintf(buf, 64, "%u", l->pids);
		return l->pids;
	}
}

static bool limit_wanted(const struct finder *f, enum limit kind)
{
	char buf[64];

	return limit_value(f->limits, kind, true, buf);
}

static struct cgroup_group *add_group(struct finder *f, struct cgroup *cg, const char *parent,
				      bool v2)
{
	struct cgroup_group *g = &cg->g[cg->n];

	if (cg->n == CGROUP_MAX_GROUPS || cgroup_group_create(&f->at, parent, v2, g) < 0)
		return NULL;
	cg->n++;
	return g;
}

/* ---- v2 ---------------------------------------------------------------- */

static bool has_controller(int dir, const char *file, const char *controller)
{
	char buf[512];

	return host_read_file(dir, file, buf, sizeof(buf)) >= 0 &&
	       cgroup_word_in(buf, controller, " \n");
}

/* Does this group give the controller to its children, or can it? */
static bool give_controller(int dir, const char *controller)
{
	char buf[64];

	if (has_controller(dir, "cgroup.subtree_control", controller))
		return true;
	if (!has_controller(dir, "cgroup.controllers", controller))
		return false;
	snprintf(buf, sizeof(buf), "+%s", controller);
	return host_write_file(dir, "cgroup.subtree_control", buf) == 0;
}

static unsigned given_limits(const struct finder *f, const char *path)
{
	cleanup_fd int dir = host_open(path, O_RDONLY | O_DIRECTORY, 0);
	unsigned mask = 0;

	for (int i = 0; dir >= 0 && i < NUM_LIMITS; i++)
		if (limit_wanted(f, i) && limit_needs_group(i) && give_controller(dir, limit_kinds[i].controller))
			mask |= BIT(i);
	return mask;
}

/* The nearest place that offers most of what is wanted. */
static bool find_v2(struct finder *f, char best[PATH_MAX], unsigned *ret_mask)
{
	unsigned wanted = 0;
	char dir[PATH_MAX];
	size_t mount;
	bool found = false;

	for (int i = 0; i < NUM_LIMITS; i++)
		wanted |= limit_wanted(f, i) && limit_needs_group(i) ? BIT(i) : 0;
	if (host_feature_masked("cgroup2") || !cgroup_own_dir(&f->at, NULL, dir, &mount))
		return false;
	for (;;) {
		unsigned mask;
		char *slash;

		if (!cgroup_writable(dir))
			break;
		mask = given_limits(f, dir);
		if (!found || mask > *ret_mask) {
			snprintf(best, PATH_MAX, "%s", dir);
			*ret_mask = mask;
			found = true;
		}
		if (mask == wanted)
			break;
		slash = strrchr(dir, '/');
		if (!slash || (size_t)(slash - dir) < mount)
			break;
		*slash = '\0';
	}
	return found;
}

static unsigned cpu_limit_too(const struct finder *f, const char *parent)
{
	cleanup_fd int dir = host_open(parent, O_RDONLY | O_DIRECTORY, 0);

	return dir >= 0 && limit_wanted(f, LIMIT_CPU) &&
	       give_controller(dir, limit_kinds[LIMIT_CPU].controller) ? BIT(LIMIT_CPU) : 0;
}

static int set_limit(const struct finder *f, struct cgroup_group *g, enum limit kind)
{
	char value[64], period[16];
	int ret;

	limit_value(f->limits, kind, g->v2, value);
	g->memory |= kind == LIMIT_MEMORY;
	if (!g->v2 && kind == LIMIT_CPU) {
		snprintf(period, sizeof(period), "%d", CPU_PERIOD_US);
		host_write_file(g->fd, "cpu.cfs_period_us", period);
	}
	ret = host_write_file(g->fd, g->v2 ? limit_kinds[kind].v2_file : limit_kinds[kind].v1_file,
			      value);
	if (ret == 0 && kind == LIMIT_MEMORY)
		ret = cgroup_memory_no_swap(g, f->limits->memory_bytes);
	return ret;
}

static void use_v2(struct finder *f, struct cgroup *cg)
{
	struct cgroup_group *g;
	char parent[PATH_MAX];
	unsigned mask = 0;

	for (int i = 0; i < NUM_LIMITS; i++)
		f->why[i] = limit_wanted(f, i) && limit_needs_group(i) ?
				    "no writable cgroup v2 group offers it" : NULL;
	if (!find_v2(f, parent, &mask) || !mask)
		return;
	mask |= cpu_limit_too(f, parent);
	g = add_group(f, cg, parent, true);
	if (!g)
		return;
	for (int i = 0; i < NUM_LIMITS; i++)
		if (mask & BIT(i))
			f->why[i] = set_limit(f, g, i) < 0 && limit_needs_group(i) ?
					    "the host refuses the value" : NULL;
	/* counted wherever the controller is on, limit or not */
	g->memory |= has_controller(g->fd, "cgroup.controllers", "memory");
}

/* ---- v1 ---------------------------------------------------------------- */

static struct cgroup_group *v1_group(struct finder *f, struct cgroup *cg, const char *controller)
{
	char dir[PATH_MAX];
	size_t mount, len;

	if (host_feature_masked("cgroup1") || !cgroup_own_dir(&f->at, controller, dir, &mount))
		return NULL;
	/* cpu and pids may share a hierarchy */
	len = strlen(dir);
	for (unsigned i = 0; i < cg->n; i++)
		if (strncmp(cg->g[i].path, dir, len) == 0 && cg->g[i].path[len] == '/' &&
		    streq(cg->g[i].path + len + 1, f->at.name))
			return &cg->g[i];
	return add_group(f, cg, dir, false);
}

static void use_v1(struct finder *f, struct cgroup *cg)
{
	for (int i = 0; i < NUM_LIMITS; i++) {
		struct cgroup_group *g;

		if (!f->why[i])
			continue;
		g = v1_group(f, cg, limit_kinds[i].controller);
		if (g)
			f->why[i] = set_limit(f, g, i) < 0 ? "the host refuses the value" : NULL;
	}
}

/* Nothing is made: the places are looked for, as use_v2() and use_v1() do. */
bool cgroup_offers_memory(void)
{
	const struct cgroup_limits limits = { .memory_bytes = 1 };
	struct finder f = { .limits = &limits };
	char dir[PATH_MAX];
	unsigned mask = 0;
	size_t mount;
	bool ret;

	if (cgroup_finder_init(&f.at, "probe") < 0)
		return false;
	ret = (find_v2(&f, dir, &mask) && (mask & BIT(LIMIT_MEMORY))) ||
	      (!host_feature_masked("cgroup1") &&
	       cgroup_own_dir(&f.at, limit_kinds[LIMIT_MEMORY].controller, dir, &mount) &&
	       cgroup_writable(dir));
	cgroup_finder_exit(&f.at);
	return ret;
}

static int refuse(const struct finder *f, struct ns_error *err)
{
	char text[160] = "";
	size_t len = 0;

	for (int i = 0; i < NUM_LIMITS; i++)
		if (f->why[i])
			len += snprintf(text + len, sizeof(text) - len, "%s%s: %s",
					len ? "; " : "", limit_kinds[i].controller, f->why[i]);
	if (!len)
		return 0;
	return ns_fail(err, -EOPNOTSUPP, "cgroup: limits cannot be kept: %s (delegate a group to "
		       "this user, or drop the limit)", text);
}

int cgroup_create(const char *name, const struct cgroup_limits *limits, struct cgroup *ret,
		  struct ns_error *err)
{
	struct finder f = { .limits = limits };
	struct cgroup cg = {};
	int r;

	*ret = cg;
	if (!limits->memory_bytes && !limits->pids) {
		log_info("cgroup: none, no limit needs one");
		return 0;
	}
	r = cgroup_finder_init(&f.at, name);
	if (r < 0)
		return ns_fail(err, r, "cgroup: /proc/self/mountinfo: %s", strerror(-r));
	use_v2(&f, &cg);
	use_v1(&f, &cg);
	cgroup_finder_exit(&f.at);
	r = refuse(&f, err);
	if (r < 0) {
		cgroup_destroy(&cg);
		return r;
	}
	for (unsigned i = 0; i < cg.n; i++)
		log_info("cgroup: %s", cg.g[i].path);
	*ret = cg;
	return 0;
}
