/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - the guest's machine: the one source of every fact about it
 *
 * /proc, /sys, sysinfo(2), uname(2), getcpu(2) and whoever else tells a guest
 * of its machine ask here, and so agree. CPUs and load are the scheduler's
 * (sched.h); memory is the policy's limit with what the guest's group uses of
 * it, or the host's where there is no limit; the time since boot is the
 * guest's CLOCK_BOOTTIME, since the start times in /proc/PID/stat are counted
 * on that clock.
 */
#ifndef WEIR_KERNEL_MACHINE_H
#define WEIR_KERNEL_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/utsname.h>

#include "kernel/sched.h"

struct kernel;

/* In bytes, but for the events. */
struct machine_memory {
	uint64_t total, free, available;
	uint64_t cached, shared, mapped, dirty, writeback, anon;
	uint64_t active_anon, inactive_anon, active_file, inactive_file, unevictable;
	uint64_t slab_reclaimable, slab_unreclaimable, kernel_stack, page_tables;
	uint64_t swap_total, swap_free;
	uint64_t faults, major_faults;	/* since the group was made */
};

#define MACHINE_CPUINFO 8192	/* bytes of the host's text on its first CPU */

/* What one text is made of; filled by machine_look() as far as asked. */
struct machine_facts {
	unsigned ncpus;
	const char *policy;		/* its name */
	struct disks *disks;		/* NULL: it has none */
	struct utsname uts;		/* MACHINE_UTS */
	struct sched_view sched;	/* MACHINE_SCHED */
	struct machine_memory memory;	/* MACHINE_MEMORY */
	uint64_t uptime_ns;		/* MACHINE_TIME: since the machine's boot */
	int64_t boot_time;		/* seconds since 1970 at that boot */
	char cpuinfo[MACHINE_CPUINFO];	/* MACHINE_CPUINFO_TEXT: of one host CPU */
	struct sched_vcpu vcpu[SCHED_MAX_VCPUS];	/* sched points to it */
};

enum machine_needs {
	MACHINE_UTS = 1,
	MACHINE_SCHED = 2,
	MACHINE_MEMORY = 4,
	MACHINE_TIME = 8,
	MACHINE_CPUINFO_TEXT = 16,
};

/**
 * machine_look() - The facts of this moment
 * @needs: MACHINE_*, what to fill in; the rest of @ret is not touched
 *
 * Any thread. Return: 0, or a negative errno if a source cannot be read.
 */
int machine_look(struct kernel *k, unsigned needs, struct machine_facts *ret);

/* How long the guest was up, in ns as its CLOCK_BOOTTIME has it, when the host's
 * CLOCK_MONOTONIC was @monotonic_ns. */
int64_t machine_uptime_at(const struct kernel *k, uint64_t monotonic_ns);

/* Are the guest's CPUs, its memory, other than the host's? If not, what the
 * host says of them is true for the guest. */
bool machine_own_cpus(const struct kernel *k);
bool machine_own_memory(const struct kernel *k);
bool machine_own_release(const struct kernel *k);

/* Put the policy's kernel_release into @u, if there is one. */
void machine_release(const struct kernel *k, struct utsname *u);

/* The limit a policy's memory is: @policy bytes, 0 for none, on a host that has
 * @host bytes. Return: the guest's memory, 0 if it is the host's. */
uint64_t machine_memory_limit(uint64_t policy, uint64_t host);

/* The same on this host. */
uint64_t machine_own_limit(uint64_t policy);

/**
 * machine_memory_stat() - Memory from a cgroup's memory.stat
 * @text:  the file, of a v1 or v2 group
 * @limit: bytes, the guest's total
 * @used:  bytes, memory.current or memory.usage_in_bytes
 */
void machine_memory_stat(const char *text, uint64_t limit, uint64_t used,
			 struct machine_memory *ret);

#endif
