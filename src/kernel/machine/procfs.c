/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procfs.c - which files of the guest's /proc and /sys are ours, and the start
 * of serving them
 */
#include "kernel/machine/procfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/machine/proc_files.h"
#include "kernel/util.h"
#include "passthrough/fuse.h"
#include "passthrough/hostcall.h"

struct procfs {
	struct fuse_server *fuse;	/* one of them */
	struct procfs_lease *lease;
	char *pressure[3];		/* paths of the group's own files */
	bool wanted[PROC_NUM_WHEN];
};

/* ---- the plan ---------------------------------------------------------- */

/* The group whose pressure files count the guest's tasks and no others. */
static const struct cgroup_group *pressure_group(const struct kernel *k)
{
	for (unsigned i = 0; i < k->cgroup.n; i++)
		if (k->cgroup.g[i].v2 &&
		    host_result(faccessat(k->cgroup.g[i].fd, "cpu.pressure", R_OK, 0)) == 0)
			return &k->cgroup.g[i];
	return NULL;
}

static void find_wanted(struct kernel *k, bool ret[PROC_NUM_WHEN])
{
	bool cpus = machine_own_cpus(k), memory = machine_own_memory(k);
	bool group = pressure_group(k);

	ret[PROC_ALWAYS] = true;
	ret[PROC_OWN_CPUS] = cpus;
	ret[PROC_OWN_MEMORY] = memory;
	ret[PROC_OWN_EITHER] = cpus || memory;
	ret[PROC_OWN_RELEASE] = machine_own_release(k);
	ret[PROC_NO_CPU_PRESSURE] = !group;
	ret[PROC_NO_MEMORY_PRESSURE] = !group && memory;
}

static void add_file(struct view_config *v, const char *name, const char *source,
		     const char *target)
{
	if (v->n < VIEW_MAX_FILES)
		v->file[v->n++] = (struct view_file){ name, source, target };
}

/* A v2 group has files of the same form as /proc/pressure, with triggers and
 * poll(2) as there: the guest gets those of its own group. */
static void add_pressure(struct kernel *k, struct view_config *v)
{
	static const struct {
		const char *file, *target;
	} kinds[] = {
		{ "cpu.pressure", "proc/pressure/cpu" },
		{ "memory.pressure", "proc/pressure/memory" },
		{ "io.pressure", "proc/pressure/io" },
	};
	const struct cgroup_group *g = pressure_group(k);
	int64_t owner = ids_to_outer(&k->guest_uid, 0);

	for (size_t i = 0; g && i < ARRAY_SIZE(kinds); i++) {
		/* Writing a trigger is for root: of the guest. */
		if (!k->cfg->rootless && owner > 0)
			host_result(fchownat(g->fd, kinds[i].file, owner, -1, 0));
		if (asprintf(&k->procfs->pressure[i], "%s/%s", g->path, kinds[i].file) < 0)
			k->procfs->pressure[i] = NULL;
		else
			add_file(v, NULL, k->procfs->pressure[i], kinds[i].target);
	}
}

/* ---- the tmpfs --------------------------------------------------------- */

static int fill_dir(struct kernel *k, struct machine_facts *facts, int dir, unsigned parent,
		    unsigned cpu);

static int fill_node(struct kernel *k, struct machine_facts *facts, int dir, unsigned index,
		     const char *name, unsigned cpu)
{
	const struct proc_node *n = &proc_nodes[index];
	struct text t = {};
	int ret;

	if (n->kind == PROC_HIDDEN)
		/* A socket that nobody listens on: no open(2) of it succeeds. */
		return host_result(mknodat(dir, name, S_IFSOCK | 0444, 0));
	if (n->kind != PROC_FILE) {
		cleanup_fd int child = -1;

		ret = host_result(mkdirat(dir, name, 0555));
		if (ret == 0)
			ret = child = host_openat(dir, name, O_RDONLY | O_DIRECTORY, 0);
		return ret < 0 ? ret : fill_dir(k, facts, child, index, cpu);
	}
	ret = proc_node_text(k, facts, index, cpu, &t);
	if (ret == 0) {
		cleanup_fd int fd = host_openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0444);

		ret = fd < 0 ? fd : MIN(host_write(fd, t.buf, t.len), 0);
	}
	text_free(&t);
	return ret;
}

static int fill_dir(struct kernel *k, struct machine_facts *facts, int dir, unsigned parent,
		    unsigned cpu)
{
	int ret = 0;

	for (unsigned i = PROC_ROOT + 1; i < proc_nnodes && ret == 0; i++) {
		const struct proc_node *n = &proc_nodes[i];
		unsigned many = proc_node_per_cpu(n) ? sched_nvcpus(k) : 1;

		if (n->parent != parent || (parent == PROC_ROOT && !k->procfs->wanted[n->when]))
			continue;
		for (unsigned c = 0; c < many && ret == 0; c++) {
			char name[PROC_NAME_SIZE];

			proc_node_name(n, c, name);
			ret = fill_node(k, facts, dir, i, name, proc_node_per_cpu(n) ? c : cpu);
		}
	}
	return ret;
}

/* In the agent, whose files the guest's root owns. */
static int fill_tmpfs(void *kernel, int dir)
{
	cleanup_free struct machine_facts *facts = malloc(sizeof(*facts));

	return facts ? fill_dir(kernel, facts, dir, PROC_ROOT, 0) : -ENOMEM;
}

/* ---- boot -------------------------------------------------------------- */

int procfs_plan(struct kernel *k, struct view_config *ret)
{
	*ret = (struct view_config){ .fill = fill_tmpfs, .ctx = k };
	k->procfs = calloc(1, sizeof(*k->procfs));
	if (!k->procfs)
		return -ENOMEM;
	find_wanted(k, k->procfs->wanted);
	for (unsigned i = PROC_ROOT + 1; i < proc_nnodes; i++) {
		const struct proc_node *n = &proc_nodes[i];

		if (n->target && k->procfs->wanted[n->when])
			add_file(ret, n->name, NULL, n->target);
	}
	add_pressure(k, ret);
	return 0;
}

int procfs_serve(void *kernel, int fd, struct ns_error *err)
{
	struct kernel *k = kernel;
	struct stat st;
	int ret = fd < 0 ? -EBADF : host_result(fstat(fd, &st));

	if (ret == 0)
		ret = S_ISDIR(st.st_mode) ? procfs_lease_start(k, fd, &k->procfs->lease) :
					    procfs_fuse_start(k, fd, &k->procfs->fuse);
	if (ret < 0)
		return ns_fail(err, ret, "procfs: the guest's view cannot be served: %s",
			       strerror(-ret));
	log_info("procfs: the guest's machine is shown %s",
		 S_ISDIR(st.st_mode) ? "by files of a tmpfs, written anew when they are opened" :
				       "over FUSE");
	return 0;
}

void procfs_exit(struct kernel *k)
{
	/* At the end of the guest its threads end with us, and need not be waited for. */
	if (!k->procfs || k->state == GUEST_DEAD)
		return;
	fuse_server_stop(k->procfs->fuse);
	procfs_lease_stop(k->procfs->lease);
	for (size_t i = 0; i < ARRAY_SIZE(k->procfs->pressure); i++)
		free(k->procfs->pressure[i]);
	free(k->procfs);
	k->procfs = NULL;
}
