/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysfs_files.c - the texts of /sys/devices/system/cpu and node
 *
 * A guest's CPUs are cores of one package with one thread each, and one node of
 * memory holds everything: whatever the host's look like, the guest may run on
 * any of them. Formats: Documentation/ABI/stable/sysfs-devices-system-cpu and
 * -node, admin-guide/cputopology.rst.
 */
#include "kernel/machine/proc_files.h"

void render_cpu_range(const struct machine_facts *f, unsigned cpu, struct text *t)
{
	text_cpulist(t, 0, f->ncpus);
	text_printf(t, "\n");
}

void render_kernel_max(const struct machine_facts *f, unsigned cpu, struct text *t)
{
	text_printf(t, "%u\n", f->ncpus - 1);
}

void render_empty_line(const struct machine_facts *f, unsigned cpu, struct text *t)
{
	text_printf(t, "\n");
}

void render_zero(const struct machine_facts *f, unsigned cpu, struct text *t)
{
	text_printf(t, "0\n");
}

void render_notsupported(const struct machine_facts *f, unsigned cpu, struct text *t)
{
	text_printf(t, "notsupported\n");
}

void render_cpu_number(const struct machine_facts *f, unsigned cpu, struct text *t)
{
	text_printf(t, "%u\n", cpu);
}

void render_cpu_self_mask(const struct machine_facts *f, unsigned cpu, struct text *t)
{
	text_cpumask(t, cpu, 1, f->ncpus);
	text_printf(t, "\n");
}

void render_cpu_all_mask(const struct machine_facts *f, unsigned cpu, struct text *t)
{
	text_cpumask(t, 0, f->ncpus, f->ncpus);
	text_printf(t, "\n");
}

void render_node_distance(const struct machine_facts *f, unsigned cpu, struct text *t)
{
	text_printf(t, "10\n");	/* to itself, by definition (ACPI SLIT) */
}

void render_node_meminfo(const struct machine_facts *f, unsigned cpu, struct text *t)
{
	const struct machine_memory *m = &f->memory;
	const struct {
		const char *name;
		uint64_t bytes;
	} line[] = {
		{ "MemTotal:", m->total },
		{ "MemFree:", m->free },
		{ "MemUsed:", m->total - m->free },
		{ "Active:", m->active_anon + m->active_file },
		{ "Inactive:", m->inactive_anon + m->inactive_file },
		{ "Active(anon):", m->active_anon },
		{ "Inactive(anon):", m->inactive_anon },
		{ "Active(file):", m->active_file },
		{ "Inactive(file):", m->inactive_file },
		{ "Unevictable:", m->unevictable },
		{ "Dirty:", m->dirty },
		{ "Writeback:", m->writeback },
		{ "FilePages:", m->cached },
		{ "Mapped:", m->mapped },
		{ "AnonPages:", m->anon },
		{ "Shmem:", m->shared },
		{ "Slab:", m->slab_reclaimable + m->slab_unreclaimable },
	};

	for (unsigned i = 0; i < sizeof(line) / sizeof(line[0]); i++)
		text_printf(t, "Node 0 %-15s %8llu kB\n", line[i].name, KIB(line[i].bytes));
}

void render_node_numastat(const struct machine_facts *f, unsigned cpu, struct text *t)
{
	static const char *const name[] = { "numa_hit", "numa_miss", "numa_foreign",
					    "interleave_hit", "local_node", "other_node" };

	/* With one node nothing is ever allocated elsewhere; hits are not counted. */
	for (unsigned i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		text_printf(t, "%s 0\n", name[i]);
}
