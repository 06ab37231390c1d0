/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proc_files.h - the files that show a guest its machine, and their texts
 *
 * One table, proc_nodes[]: a tree of files and directories that nobody has
 * mounted yet. A node right below the root is to be bound over the guest's file
 * of the name in @target, if the guest's machine differs from the host's in
 * what it shows (@when). How the tree is served is procfs.c's business.
 */
#ifndef WEIR_KERNEL_PROC_FILES_H
#define WEIR_KERNEL_PROC_FILES_H

#include <stdbool.h>

#include "kernel/machine/machine.h"
#include "kernel/machine/text.h"

enum proc_kind {
	PROC_DIR,
	PROC_FILE,
	PROC_HIDDEN,	/* a file that cannot be opened: the guest has none such */
	PROC_BLOCK_TREE,	/* directories of block_files.h: of disks, */
	PROC_BLOCK_CLASS,	/* of links to these and to partitions by name, */
	PROC_BLOCK_DEV,		/* and by number */
};

enum proc_when {
	PROC_ALWAYS,
	PROC_OWN_CPUS,
	PROC_OWN_MEMORY,
	PROC_OWN_EITHER,	/* of the two */
	PROC_OWN_RELEASE,
	PROC_NO_CPU_PRESSURE,	/* the guest has no group that counts it ... */
	PROC_NO_MEMORY_PRESSURE, /* ... and its memory is not the host's */
	PROC_NUM_WHEN,
};

struct proc_node {
	const char *name;	/* "cpu%u": one for each CPU of the guest */
	unsigned parent;	/* index in proc_nodes[] */
	enum proc_kind kind;
	void (*render)(const struct machine_facts *f, unsigned cpu, struct text *t);
	unsigned needs;		/* MACHINE_* */
	bool live;		/* the text changes while the guest runs */
	enum proc_when when;
	const char *target;	/* below the guest's root; NULL: not bound itself */
	/*
	 * Makes a text as long as @len, at least, without saying anything else. The
	 * host may then keep it for a reader (procfs_fuse.c). NULL: it may not.
	 */
	void (*pad)(struct text *t, size_t len);
};

extern const struct proc_node proc_nodes[];
extern const unsigned proc_nnodes;
enum { PROC_ROOT };	/* index of the root */

#define PROC_NAME_SIZE 32

/* Is this node there once for each CPU? */
bool proc_node_per_cpu(const struct proc_node *n);

/* What a node is called; @cpu: which one it is, if it is there once for each. */
void proc_node_name(const struct proc_node *n, unsigned cpu, char name[PROC_NAME_SIZE]);

/**
 * proc_node_text() - A file's text of this moment
 * @facts: room, the caller's; large
 * @cpu:   of which guest CPU, for nodes below a per-CPU directory
 *
 * Return: 0, -EOPNOTSUPP for a hidden file, -EISDIR, or what machine_look() says.
 */
int proc_node_text(struct kernel *k, struct machine_facts *facts, unsigned index, unsigned cpu,
		   struct text *t);

/* As /proc and sysfs write sizes of memory. */
#define KIB(bytes) ((unsigned long long)(bytes) >> 10)

/* Texts that have a file of their own: sysfs_files.c. */
void render_cpu_range(const struct machine_facts *f, unsigned cpu, struct text *t);
void render_kernel_max(const struct machine_facts *f, unsigned cpu, struct text *t);
void render_empty_line(const struct machine_facts *f, unsigned cpu, struct text *t);
void render_zero(const struct machine_facts *f, unsigned cpu, struct text *t);
void render_notsupported(const struct machine_facts *f, unsigned cpu, struct text *t);
void render_cpu_number(const struct machine_facts *f, unsigned cpu, struct text *t);
void render_cpu_self_mask(const struct machine_facts *f, unsigned cpu, struct text *t);
void render_cpu_all_mask(const struct machine_facts *f, unsigned cpu, struct text *t);
void render_node_distance(const struct machine_facts *f, unsigned cpu, struct text *t);
void render_node_meminfo(const struct machine_facts *f, unsigned cpu, struct text *t);
void render_node_numastat(const struct machine_facts *f, unsigned cpu, struct text *t);
/* block_files.c */
void render_partitions(const struct machine_facts *f, unsigned cpu, struct text *t);
void render_diskstats(const struct machine_facts *f, unsigned cpu, struct text *t);

/* Names of the file systems a guest may mount, "" ends them: sys_mount.c. */
const char *guest_fs_name(unsigned i);

#endif
