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
#include <sys/stat.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/feature.h"
#include "ns/mountinfo.h"
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

/* What is looked up once: the mounts, and /proc/self/cgroup. */
struct finder {
	struct mount_table mounts;
	char self[8192];
	char name[128];
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

static bool word_in(const char *list, const char *word, const char *separators)
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

/* Our group's path in the hierarchy of @controller (NULL: v2). */
static bool own_group(const struct finder *f, const char *controller, char *buf, size_t size)
{
	const char *line = f->self;

	for (; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
		char words[256];

		if (!path || path - list > (long)sizeof(words))
			continue;
		snprintf(words, sizeof(words), "%.*s", (int)(path - list - 1), list + 1);
		if (controller ? word_in(words, controller, ",") : words[0] == '\0') {
			snprintf(buf, size, "%.*s", (int)strcspn(path + 1, "\n"), path + 1);
			/* outside the cgroup namespace: not ours to look at */
			return !str_starts(buf, "/..");
		}
	}
	return false;
}

static const struct mount_entry *find_mount(const struct finder *f, const char *controller)
{
	for (unsigned i = 0; i < f->mounts.n; i++) {
		const struct mount_entry *e = &f->mounts.v[i];

		if (controller ? streq(e->type, "cgroup") && word_in(e->options, controller, ",")
			       : streq(e->type, "cgroup2"))
			return e;
	}
	return NULL;
}

/* The directory of our own group. @ret_mount: length of the mount's part. */
static bool own_dir(const struct finder *f, const char *controller, char buf[PATH_MAX],
		    size_t *ret_mount)
{
	const struct mount_entry *e = find_mount(f, controller);
	char own[PATH_MAX];
	const char *rel = own;

	if (!e || !own_group(f, controller, own, sizeof(own)))
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

static struct cgroup_group *add_group(struct finder *f, struct cgroup *cg, const char *parent,
				      bool v2)
{
	struct cgroup_group *g = &cg->g[cg->n];
	int ret;

	if (cg->n == CGROUP_MAX_GROUPS ||
	    asprintf(&g->path, "%s/%s", parent, f->name) < 0)
		return NULL;
	g->v2 = v2;
	ret = host_result(mkdir(g->path, 0755));
	g->fd = ret < 0 && ret != -EEXIST ? ret : host_open(g->path, O_RDONLY | O_DIRECTORY, 0);
	if (g->fd < 0) {
		free(g->path);
		*g = (struct cgroup_group){};
		return NULL;
	}
	cg->n++;
	return g;
}

/* ---- v2 ---------------------------------------------------------------- */

static bool writable(const char *dir)
{
	char path[PATH_MAX];

	/* To move a process in, its old and new group's common parent must be ours. */
	return host_result(faccessat(AT_FDCWD, dir, W_OK, AT_EACCESS)) == 0 &&
	       snprintf(path, sizeof(path), "%s/cgroup.procs", dir) < (int)sizeof(path) &&
	       host_result(faccessat(AT_FDCWD, path, W_OK, AT_EACCESS)) == 0;
}

static bool has_controller(int dir, const char *file, const char *controller)
{
	char buf[512];

	return host_read_file(dir, file, buf, sizeof(buf)) >= 0 &&
	       word_in(buf, controller, " \n");
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
	if (host_feature_masked("cgroup2") || !own_dir(f, NULL, dir, &mount))
		return false;
	for (;;) {
		unsigned mask;
		char *slash;

		if (!writable(dir))
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

	limit_value(f->limits, kind, g->v2, value);
	g->memory |= kind == LIMIT_MEMORY;
	if (!g->v2 && kind == LIMIT_CPU) {
		snprintf(period, sizeof(period), "%d", CPU_PERIOD_US);
		host_write_file(g->fd, "cpu.cfs_period_us", period);
	}
	return host_write_file(g->fd, g->v2 ? limit_kinds[kind].v2_file : limit_kinds[kind].v1_file,
			       value);
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

	if (host_feature_masked("cgroup1") || !own_dir(f, controller, dir, &mount))
		return NULL;
	/* cpu and pids may share a hierarchy */
	len = strlen(dir);
	for (unsigned i = 0; i < cg->n; i++)
		if (strncmp(cg->g[i].path, dir, len) == 0 && cg->g[i].path[len] == '/' &&
		    streq(cg->g[i].path + len + 1, f->name))
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

/* A guest's name is a word, but a group's name must be one in any case. */
static void group_name(const char *name, char *buf, size_t size)
{
	snprintf(buf, size, "weir-%.64s-%d", name, (int)getpid());
	for (char *p = buf; *p; p++)
		if (*p == '/' || *p == '\n' || *p == ' ')
			*p = '_';
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
	if (host_read_file(AT_FDCWD, "/proc/self/cgroup", f.self, sizeof(f.self)) < 0)
		f.self[0] = '\0';
	r = mount_table_read("/proc/self/mountinfo", &f.mounts);
	if (r < 0)
		return ns_fail(err, r, "cgroup: /proc/self/mountinfo: %s", strerror(-r));
	group_name(name, f.name, sizeof(f.name));
	use_v2(&f, &cg);
	use_v1(&f, &cg);
	mount_table_destroy(&f.mounts);
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
