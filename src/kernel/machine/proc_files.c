/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proc_files.c - the files that show a guest its machine, and their texts
 *
 * Formats are those of proc(5) and of the kernel's own fs/proc; readers (procps,
 * util-linux, libc) parse them by position, so that every field is there.
 */
#include "kernel/machine/proc_files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "kernel/util.h"

#define NS_PER_TICK (NSEC_PER_SEC / 100)	/* USER_HZ is 100 everywhere, time(7) */
#define RENDERER(name) \
	static void name(const struct machine_facts *f, unsigned cpu, struct text *t)

#define INTR "intr 0"	/* no interrupts: of /proc/stat */

/* ---- CPUs -------------------------------------------------------------- */

/* user nice system idle iowait irq softirq steal guest guest_nice. That a task
 * runs is known, not whether in the kernel: all of it counts as user. */
static void stat_cpu(struct text *t, uint64_t busy_ns, uint64_t idle_ns)
{
	text_add(t, " ", 1);
	text_number(t, busy_ns / NS_PER_TICK, 0);
	text_word(t, " 0 0 ", 0);
	text_number(t, idle_ns / NS_PER_TICK, 0);
	text_word(t, " 0 0 0 0 0 0\n", 0);
}

static void stat_line(struct text *t, const char *name, uint64_t value)
{
	text_word(t, name, 0);
	text_number(t, value, 0);
	text_add(t, "\n", 1);
}

RENDERER(render_stat)
{
	const struct sched_view *s = &f->sched;
	uint64_t busy = 0, idle = 0;

	for (unsigned i = 0; i < s->nvcpus; i++) {
		busy += s->vcpu[i].busy_ns;
		idle += s->vcpu[i].idle_ns;
	}
	text_word(t, "cpu ", 0);
	stat_cpu(t, busy, idle);
	for (unsigned i = 0; i < s->nvcpus; i++) {
		text_word(t, "cpu", 0);
		text_number(t, i, 0);
		stat_cpu(t, s->vcpu[i].busy_ns, s->vcpu[i].idle_ns);
	}
	text_word(t, INTR "\n", 0);
	stat_line(t, "ctxt ", s->sleeps + s->preempts);
	text_printf(t, "btime %lld\n", (long long)f->boot_time);
	stat_line(t, "processes ", s->forks);
	stat_line(t, "procs_running ", s->runnable);
	stat_line(t, "procs_blocked ", s->blocked);
	text_word(t, "softirq 0 0 0 0 0 0 0 0 0 0 0\n", 0);
}

/* How many interrupts a machine has is its own affair: "intr 0 0 0", or "intr 00 0". */
static void pad_stat(struct text *t, size_t len)
{
	size_t n = len > t->len ? len - t->len : 0, at, tail;

	text_word(t, "", n);
	if (!n || !text_ok(t))
		return;
	at = strstr(t->buf, "\n" INTR) - t->buf + strlen("\n" INTR);
	tail = t->len - n - at;
	memmove(t->buf + at + n, t->buf + at, tail);
	for (size_t i = 0; i < n; i++)
		t->buf[at + i] = (n - i) % 2 ? '0' : ' ';
}

RENDERER(render_loadavg)
{
	const struct sched_view *s = &f->sched;

	text_printf(t, "%.2f %.2f %.2f %u/%u %d\n", s->load[0], s->load[1], s->load[2], s->runnable,
		    s->tasks, (int)s->last_pid);
}

static void seconds(struct text *t, uint64_t ns, char end)
{
	text_printf(t, "%llu.%02u%c", (unsigned long long)(ns / NSEC_PER_SEC),
		    (unsigned)(ns % NSEC_PER_SEC / (NSEC_PER_SEC / 100)), end);
}

RENDERER(render_uptime)
{
	uint64_t idle = 0;

	for (unsigned i = 0; i < f->sched.nvcpus; i++)
		idle += f->sched.vcpu[i].idle_ns;
	seconds(t, f->uptime_ns, ' ');
	seconds(t, idle, '\n');
}

/* Version 15 (sched-stats.rst), as of a kernel without scheduling domains: run
 * time is known, waiting times are not. */
RENDERER(render_schedstat)
{
	text_printf(t, "version 15\ntimestamp %llu\n",
		    (unsigned long long)((f->sched.now_ns - f->sched.since_ns) / NS_PER_TICK));
	for (unsigned i = 0; i < f->sched.nvcpus; i++)
		text_printf(t, "cpu%u 0 0 0 0 0 0 %llu 0 0\n", i,
			    (unsigned long long)f->sched.vcpu[i].busy_ns);
}

/* The lines of the host's CPU that say which of how many it is. */
static bool own_cpu_line(const char *key, size_t len, unsigned cpu, unsigned n, unsigned *ret)
{
	static const struct {
		const char *key;
		int what;	/* 0: zero, 1: this one, 2: how many */
	} lines[] = {
		{ "processor", 1 }, { "physical id", 0 },	{ "siblings", 2 },
		{ "core id", 1 },   { "cpu cores", 2 },		{ "apicid", 1 },
		{ "initial apicid", 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		if (strlen(lines[i].key) != len || strncmp(key, lines[i].key, len) != 0)
			continue;
		*ret = lines[i].what == 0 ? 0 : lines[i].what == 1 ? cpu : n;
		return true;
	}
	return false;
}

static void cpuinfo_one(const struct machine_facts *f, unsigned cpu, struct text *t)
{
	const char *line = f->cpuinfo;

	while (*line) {
		size_t len = strcspn(line, "\n"), key = strcspn(line, "\t:");
		const char *colon = memchr(line, ':', len);
		unsigned value;

		if (colon && own_cpu_line(line, key, cpu, f->ncpus, &value))
			text_printf(t, "%.*s: %u\n", (int)(colon - line), line, value);
		else
			text_printf(t, "%.*s\n", (int)len, line);
		line += len + (line[len] == '\n');
	}
	text_printf(t, "\n");
}

RENDERER(render_cpuinfo)
{
	for (unsigned i = 0; i < f->ncpus; i++)
		cpuinfo_one(f, i, t);
}

/* A guest is interrupted by nobody that it could see. */
RENDERER(render_interrupts)
{
	text_printf(t, "%11s", "");
	for (unsigned i = 0; i < f->ncpus; i++)
		text_printf(t, "CPU%-8u", i);
	text_printf(t, "\nERR:          0\nMIS:          0\n");
}

RENDERER(render_softirqs)
{
	static const char *const name[] = { "HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL",
					    "TASKLET", "SCHED", "HRTIMER", "RCU" };

	text_printf(t, "%20s", "");
	for (unsigned i = 0; i < f->ncpus; i++)
		text_printf(t, "CPU%-8u", i);
	text_printf(t, "\n");
	for (size_t n = 0; n < ARRAY_SIZE(name); n++) {
		text_printf(t, "%12s:", name[n]);
		for (unsigned i = 0; i < f->ncpus; i++)
			text_printf(t, " %10u", 0);
		text_printf(t, "\n");
	}
}

/* ---- memory ------------------------------------------------------------ */

RENDERER(render_meminfo)
{
	const struct machine_memory *m = &f->memory;
	const struct {
		const char *name;
		uint64_t bytes;
	} line[] = {
		{ "MemTotal:", m->total },
		{ "MemFree:", m->free },
		{ "MemAvailable:", m->available },
		{ "Buffers:", 0 },
		{ "Cached:", m->cached },
		{ "SwapCached:", 0 },
		{ "Active:", m->active_anon + m->active_file },
		{ "Inactive:", m->inactive_anon + m->inactive_file },
		{ "Active(anon):", m->active_anon },
		{ "Inactive(anon):", m->inactive_anon },
		{ "Active(file):", m->active_file },
		{ "Inactive(file):", m->inactive_file },
		{ "Unevictable:", m->unevictable },
		{ "Mlocked:", 0 },
		{ "SwapTotal:", m->swap_total },
		{ "SwapFree:", m->swap_free },
		{ "Dirty:", m->dirty },
		{ "Writeback:", m->writeback },
		{ "AnonPages:", m->anon },
		{ "Mapped:", m->mapped },
		{ "Shmem:", m->shared },
		{ "KReclaimable:", m->slab_reclaimable },
		{ "Slab:", m->slab_reclaimable + m->slab_unreclaimable },
		{ "SReclaimable:", m->slab_reclaimable },
		{ "SUnreclaim:", m->slab_unreclaimable },
		{ "KernelStack:", m->kernel_stack },
		{ "PageTables:", m->page_tables },
		{ "CommitLimit:", m->total + m->swap_total },
		{ "Committed_AS:", m->total - m->available },
		{ "VmallocTotal:", 0 },
		{ "VmallocUsed:", 0 },
		{ "VmallocChunk:", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(line); i++) {
		text_word(t, line[i].name, 16);
		text_number(t, KIB(line[i].bytes), 8);
		text_add(t, " kB\n", 4);
	}
	text_printf(t, "HugePages_Total:       0\nHugePages_Free:        0\n"
		       "HugePages_Rsvd:        0\nHugePages_Surp:        0\n"
		       "Hugepagesize:       2048 kB\n");
}

/* Its lines are of one length below 100 GB. */
static void pad_meminfo(struct text *t, size_t len)
{
}

/* Memory as in meminfo. What is read from and written to disks is the host's
 * doing, and the guest has none. */
RENDERER(render_vmstat)
{
	const struct machine_memory *m = &f->memory;
	const struct {
		const char *name;
		uint64_t value;
	} line[] = {
		{ "nr_free_pages", m->free >> 12 },
		{ "nr_inactive_anon", m->inactive_anon >> 12 },
		{ "nr_active_anon", m->active_anon >> 12 },
		{ "nr_inactive_file", m->inactive_file >> 12 },
		{ "nr_active_file", m->active_file >> 12 },
		{ "nr_unevictable", m->unevictable >> 12 },
		{ "nr_slab_reclaimable", m->slab_reclaimable >> 12 },
		{ "nr_slab_unreclaimable", m->slab_unreclaimable >> 12 },
		{ "nr_anon_pages", m->anon >> 12 },
		{ "nr_mapped", m->mapped >> 12 },
		{ "nr_file_pages", m->cached >> 12 },
		{ "nr_dirty", m->dirty >> 12 },
		{ "nr_writeback", m->writeback >> 12 },
		{ "nr_shmem", m->shared >> 12 },
		{ "nr_page_table_pages", m->page_tables >> 12 },
		{ "pgpgin", 0 },
		{ "pgpgout", 0 },
		{ "pswpin", 0 },
		{ "pswpout", 0 },
		{ "pgfault", m->faults },
		{ "pgmajfault", m->major_faults },
	};

	for (size_t i = 0; i < ARRAY_SIZE(line); i++) {
		text_word(t, line[i].name, 0);
		text_add(t, " ", 1);
		text_number(t, line[i].value, 0);
		text_add(t, "\n", 1);
	}
}

RENDERER(render_swaps)
{
	text_printf(t, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
}

/* ---- the rest ---------------------------------------------------------- */

RENDERER(render_version)
{
	text_printf(t, "%s version %s (weir@weir) (weir %s) %s\n", f->uts.sysname, f->uts.release,
		    WEIR_VERSION, f->uts.version);
}

RENDERER(render_cmdline)
{
	text_printf(t, "weir=%s policy=%s\n", WEIR_VERSION, f->policy);
}

RENDERER(render_filesystems)
{
	for (unsigned i = 0; *guest_fs_name(i); i++)
		text_printf(t, "nodev\t%s\n", guest_fs_name(i));
}

RENDERER(render_osrelease)
{
	text_printf(t, "%s\n", f->uts.release);
}

/* ---- the tree ---------------------------------------------------------- */

/* Directories that others hang in have a name. */
enum {
	ROOT, CPU, CPU_N, TOPOLOGY, SMT, NODE, NODE_0, FIRST_FILE,
};

/* clang-format off */
#define SCHED MACHINE_SCHED
#define MEMORY MACHINE_MEMORY
#define FILE_IN(dir, name, render, needs, live) \
	{ name, dir, PROC_FILE, render, needs, live, PROC_ALWAYS, NULL, NULL }
#define BOUND(name, render, needs, live, when, target) \
	{ name, ROOT, PROC_FILE, render, needs, live, when, target, NULL }
#define KEPT(name, render, needs, when, target, pad) \
	{ name, ROOT, PROC_FILE, render, needs, true, when, target, pad }
#define HIDDEN(name, when, target) \
	{ name, ROOT, PROC_HIDDEN, NULL, 0, false, when, target, NULL }

const struct proc_node proc_nodes[] = {
	[ROOT]	   = { "", ROOT, PROC_DIR },
	[CPU]	   = { "cpu", ROOT, PROC_DIR, .when = PROC_OWN_CPUS, .target = "sys/devices/system/cpu" },
	[CPU_N]	   = { "cpu%u", CPU, PROC_DIR },
	[TOPOLOGY] = { "topology", CPU_N, PROC_DIR },
	[SMT]	   = { "smt", CPU, PROC_DIR },
	[NODE]	   = { "node", ROOT, PROC_DIR, .when = PROC_OWN_EITHER, .target = "sys/devices/system/node" },
	[NODE_0]   = { "node0", NODE, PROC_DIR },

	[FIRST_FILE] =
	KEPT("stat", render_stat, SCHED | MACHINE_TIME, PROC_ALWAYS, "proc/stat", pad_stat),
	BOUND("loadavg", render_loadavg, SCHED, true, PROC_ALWAYS, "proc/loadavg"),
	BOUND("uptime", render_uptime, SCHED | MACHINE_TIME, true, PROC_ALWAYS, "proc/uptime"),
	BOUND("schedstat", render_schedstat, SCHED, true, PROC_ALWAYS, "proc/schedstat"),
	BOUND("interrupts", render_interrupts, 0, false, PROC_ALWAYS, "proc/interrupts"),
	BOUND("softirqs", render_softirqs, 0, false, PROC_ALWAYS, "proc/softirqs"),
	BOUND("diskstats", render_diskstats, 0, true, PROC_ALWAYS, "proc/diskstats"),
	BOUND("partitions", render_partitions, 0, true, PROC_ALWAYS, "proc/partitions"),
	BOUND("filesystems", render_filesystems, 0, false, PROC_ALWAYS, "proc/filesystems"),
	BOUND("cmdline", render_cmdline, 0, false, PROC_ALWAYS, "proc/cmdline"),
	BOUND("cpuinfo", render_cpuinfo, MACHINE_CPUINFO_TEXT, false, PROC_OWN_CPUS, "proc/cpuinfo"),
	KEPT("meminfo", render_meminfo, MEMORY, PROC_OWN_MEMORY, "proc/meminfo", pad_meminfo),
	BOUND("vmstat", render_vmstat, MEMORY, true, PROC_ALWAYS, "proc/vmstat"),
	BOUND("swaps", render_swaps, 0, false, PROC_OWN_MEMORY, "proc/swaps"),
	BOUND("version", render_version, MACHINE_UTS, false, PROC_OWN_RELEASE, "proc/version"),
	BOUND("osrelease", render_osrelease, MACHINE_UTS, false, PROC_OWN_RELEASE, "proc/sys/kernel/osrelease"),
	{ "block", ROOT, PROC_BLOCK_TREE, .when = PROC_ALWAYS, .target = "sys/block" },
	{ "class-block", ROOT, PROC_BLOCK_CLASS, .when = PROC_ALWAYS, .target = "sys/class/block" },
	{ "dev-block", ROOT, PROC_BLOCK_DEV, .when = PROC_ALWAYS, .target = "sys/dev/block" },
	{ "virtual-block", ROOT, PROC_DIR, .when = PROC_ALWAYS, .target = "sys/devices/virtual/block" },
	/* Zones, orders and blocks of memory are the host's alone. */
	HIDDEN("zoneinfo", PROC_OWN_MEMORY, "proc/zoneinfo"),
	HIDDEN("buddyinfo", PROC_OWN_MEMORY, "proc/buddyinfo"),
	{ "memory", ROOT, PROC_DIR, .when = PROC_OWN_MEMORY, .target = "sys/devices/system/memory" },
	/* Pressure is the host's unless a group of the guest's own counts it. */
	HIDDEN("pressure-cpu", PROC_NO_CPU_PRESSURE, "proc/pressure/cpu"),
	HIDDEN("pressure-memory", PROC_NO_MEMORY_PRESSURE, "proc/pressure/memory"),
	HIDDEN("pressure-irq", PROC_NO_CPU_PRESSURE, "proc/pressure/irq"),

	FILE_IN(CPU, "online", render_cpu_range, 0, false),
	FILE_IN(CPU, "possible", render_cpu_range, 0, false),
	FILE_IN(CPU, "present", render_cpu_range, 0, false),
	FILE_IN(CPU, "offline", render_empty_line, 0, false),
	FILE_IN(CPU, "isolated", render_empty_line, 0, false),
	FILE_IN(CPU, "kernel_max", render_kernel_max, 0, false),
	FILE_IN(SMT, "active", render_zero, 0, false),
	FILE_IN(SMT, "control", render_notsupported, 0, false),
	FILE_IN(TOPOLOGY, "physical_package_id", render_zero, 0, false),
	FILE_IN(TOPOLOGY, "die_id", render_zero, 0, false),
	FILE_IN(TOPOLOGY, "core_id", render_cpu_number, 0, false),
	FILE_IN(TOPOLOGY, "thread_siblings", render_cpu_self_mask, 0, false),
	FILE_IN(TOPOLOGY, "thread_siblings_list", render_cpu_number, 0, false),
	FILE_IN(TOPOLOGY, "core_cpus", render_cpu_self_mask, 0, false),
	FILE_IN(TOPOLOGY, "core_cpus_list", render_cpu_number, 0, false),
	FILE_IN(TOPOLOGY, "core_siblings", render_cpu_all_mask, 0, false),
	FILE_IN(TOPOLOGY, "core_siblings_list", render_cpu_range, 0, false),
	FILE_IN(TOPOLOGY, "die_cpus", render_cpu_all_mask, 0, false),
	FILE_IN(TOPOLOGY, "die_cpus_list", render_cpu_range, 0, false),
	FILE_IN(TOPOLOGY, "package_cpus", render_cpu_all_mask, 0, false),
	FILE_IN(TOPOLOGY, "package_cpus_list", render_cpu_range, 0, false),
	FILE_IN(NODE, "online", render_zero, 0, false),
	FILE_IN(NODE, "possible", render_zero, 0, false),
	FILE_IN(NODE, "has_cpu", render_zero, 0, false),
	FILE_IN(NODE, "has_memory", render_zero, 0, false),
	FILE_IN(NODE, "has_normal_memory", render_zero, 0, false),
	FILE_IN(NODE_0, "cpulist", render_cpu_range, 0, false),
	FILE_IN(NODE_0, "cpumap", render_cpu_all_mask, 0, false),
	FILE_IN(NODE_0, "distance", render_node_distance, 0, false),
	FILE_IN(NODE_0, "meminfo", render_node_meminfo, MEMORY, true),
	FILE_IN(NODE_0, "numastat", render_node_numastat, 0, false),
};
/* clang-format on */
const unsigned proc_nnodes = ARRAY_SIZE(proc_nodes);

bool proc_node_per_cpu(const struct proc_node *n)
{
	return strchr(n->name, '%') != NULL;
}

void proc_node_name(const struct proc_node *n, unsigned cpu, char name[PROC_NAME_SIZE])
{
	if (proc_node_per_cpu(n))
		snprintf(name, PROC_NAME_SIZE, "cpu%u", cpu);
	else
		snprintf(name, PROC_NAME_SIZE, "%s", n->name);
}

int proc_node_text(struct kernel *k, struct machine_facts *facts, unsigned index, unsigned cpu,
		   struct text *t)
{
	const struct proc_node *n = &proc_nodes[index];
	int ret;

	if (n->kind != PROC_FILE)
		return n->kind == PROC_HIDDEN ? -EOPNOTSUPP : -EISDIR;
	ret = machine_look(k, n->needs, facts);
	if (ret < 0)
		return ret;
	text_clear(t);
	n->render(facts, cpu, t);
	return text_ok(t) ? 0 : -ENOMEM;
}
