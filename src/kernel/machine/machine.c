/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.c - the guest's machine: the one source of every fact about it
 */
#include "kernel/machine/machine.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/kernel.h"
#include "kernel/memory/memory.h"
#include "kernel/time/timekeeper.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define MEMORY_AGE_NS 10000000	/* a tick, as the host counts time for its readers */

/* ---- CPUs -------------------------------------------------------------- */

/* As many as the host has, with all of the host's online: then they are the same
 * ones, by the same numbers. */
bool machine_own_cpus(const struct kernel *k)
{
	long n = sched_nvcpus(k);

	return n != sysconf(_SC_NPROCESSORS_ONLN) || n != sysconf(_SC_NPROCESSORS_CONF);
}

/* The host's words on its first CPU: up to the empty line behind them. The
 * guest's are alike. */
static int read_cpuinfo(char text[MACHINE_CPUINFO])
{
	cleanup_fd int fd = host_open("/proc/cpuinfo", O_RDONLY, 0);
	ssize_t n;
	char *end;

	if (fd < 0)
		return fd;
	/* One read: the host makes no more of it than that takes. */
	n = host_call(SYS_read, fd, text, MACHINE_CPUINFO - 1);
	if (n < 0)
		return n;
	text[n] = '\0';
	end = strstr(text, "\n\n");
	if (end)
		end[1] = '\0';
	return 0;
}

/* ---- memory ------------------------------------------------------------ */

uint64_t machine_memory_limit(uint64_t policy, uint64_t host)
{
	return policy < host ? policy : 0;
}

static uint64_t host_memory(void)
{
	struct sysinfo si;

	return sysinfo(&si) == 0 ? (uint64_t)si.totalram * si.mem_unit : UINT64_MAX;
}

bool machine_own_memory(const struct kernel *k)
{
	return memory_limit(k) != 0;
}

uint64_t machine_own_limit(uint64_t policy)
{
	return machine_memory_limit(policy, host_memory());
}

/* What memory.stat calls it; v1's names for the same stand beside v2's. Sources:
 * cgroups/memory.rst (v1) and cgroup-v2.rst of the kernel's documentation. */
#define FIELD(member) offsetof(struct machine_memory, member)
static const struct {
	const char *name;
	size_t field;
} stat_fields[] = {
	{ "file", FIELD(cached) },
	{ "total_cache", FIELD(cached) },
	{ "anon", FIELD(anon) },
	{ "total_rss", FIELD(anon) },
	{ "shmem", FIELD(shared) },
	{ "total_shmem", FIELD(shared) },
	{ "file_mapped", FIELD(mapped) },
	{ "total_mapped_file", FIELD(mapped) },
	{ "file_dirty", FIELD(dirty) },
	{ "total_dirty", FIELD(dirty) },
	{ "file_writeback", FIELD(writeback) },
	{ "total_writeback", FIELD(writeback) },
	{ "active_anon", FIELD(active_anon) },
	{ "total_active_anon", FIELD(active_anon) },
	{ "inactive_anon", FIELD(inactive_anon) },
	{ "total_inactive_anon", FIELD(inactive_anon) },
	{ "active_file", FIELD(active_file) },
	{ "total_active_file", FIELD(active_file) },
	{ "inactive_file", FIELD(inactive_file) },
	{ "total_inactive_file", FIELD(inactive_file) },
	{ "unevictable", FIELD(unevictable) },
	{ "total_unevictable", FIELD(unevictable) },
	{ "slab_reclaimable", FIELD(slab_reclaimable) },
	{ "slab_unreclaimable", FIELD(slab_unreclaimable) },
	{ "kernel_stack", FIELD(kernel_stack) },
	{ "pagetables", FIELD(page_tables) },
	{ "pgfault", FIELD(faults) },
	{ "total_pgfault", FIELD(faults) },
	{ "pgmajfault", FIELD(major_faults) },
	{ "total_pgmajfault", FIELD(major_faults) },
};

/* A line "name value\n". v1 has both of the group alone and with its children
 * ("total_"), which come later and so win. */
static void stat_line(const char *line, size_t len, struct machine_memory *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(stat_fields); i++) {
		size_t n = strlen(stat_fields[i].name);

		if (n < len && line[n] == ' ' && strncmp(line, stat_fields[i].name, n) == 0) {
			uint64_t value = strtoull(line + n, NULL, 10);

			memcpy((char *)ret + stat_fields[i].field, &value, sizeof(value));
			return;
		}
	}
}

void machine_memory_stat(const char *text, uint64_t limit, uint64_t used,
			 struct machine_memory *ret)
{
	*ret = (struct machine_memory){ .total = limit };
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");

		stat_line(line, len, ret);
		line += len + (line[len] == '\n');
	}
	ret->free = limit > used ? limit - used : 0;
	/* What the host takes back before anybody is short of memory; never more
	 * than there is. */
	ret->available = MIN(limit, ret->free + ret->active_file + ret->inactive_file +
					    ret->slab_reclaimable);
}

/* "Name:   value kB" of proc_meminfo(5), 0 if there is no such line. */
static uint64_t meminfo_bytes(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) == 0 && line[len] == ':')
			return strtoull(line + len + 1, NULL, 10) << 10;
	}
	return 0;
}

static int read_group(struct kernel *k, uint64_t limit, struct machine_memory *ret)
{
	char text[8192] = "";

	ssize_t n = cgroup_memory_stat(&k->cgroup, text, sizeof(text));

	if (n < 0 && n != -EOPNOTSUPP)
		return n;
	machine_memory_stat(text, limit, memory_used(k), ret);
	return 0;
}

/* Two files, which the host takes longer to write than its own meminfo, from
 * sums that it makes every two seconds (v2) or as many pages (v1). */
static int group_memory(struct kernel *k, uint64_t limit, struct machine_memory *ret)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct machine_memory last;
	static uint64_t last_ns;
	uint64_t now = host_now();
	int err = 0;

	pthread_mutex_lock(&lock);
	if (last.total != limit || now - last_ns > MEMORY_AGE_NS) {
		err = read_group(k, limit, &last);
		last_ns = err < 0 ? 0 : now;
	}
	*ret = last;
	pthread_mutex_unlock(&lock);
	return err;
}

/* Without a limit the guest's memory is the host's: for the files that show it
 * beside something of the guest's own. */
static int host_memory_stat(struct machine_memory *ret)
{
	static const struct {
		const char *name;
		size_t field;
	} fields[] = {
		{ "MemTotal", FIELD(total) },
		{ "MemFree", FIELD(free) },
		{ "MemAvailable", FIELD(available) },
		{ "Cached", FIELD(cached) },
		{ "Active(anon)", FIELD(active_anon) },
		{ "Inactive(anon)", FIELD(inactive_anon) },
		{ "Active(file)", FIELD(active_file) },
		{ "Inactive(file)", FIELD(inactive_file) },
		{ "Unevictable", FIELD(unevictable) },
		{ "SwapTotal", FIELD(swap_total) },
		{ "SwapFree", FIELD(swap_free) },
		{ "Dirty", FIELD(dirty) },
		{ "Writeback", FIELD(writeback) },
		{ "AnonPages", FIELD(anon) },
		{ "Mapped", FIELD(mapped) },
		{ "Shmem", FIELD(shared) },
		{ "SReclaimable", FIELD(slab_reclaimable) },
		{ "SUnreclaim", FIELD(slab_unreclaimable) },
	};
	char text[8192];
	ssize_t n = host_read_file(AT_FDCWD, "/proc/meminfo", text, sizeof(text));

	*ret = (struct machine_memory){};
	for (size_t i = 0; n > 0 && i < ARRAY_SIZE(fields); i++) {
		uint64_t bytes = meminfo_bytes(text, fields[i].name);

		memcpy((char *)ret + fields[i].field, &bytes, sizeof(bytes));
	}
	return MIN(n, 0);
}

static int read_memory(struct kernel *k, struct machine_memory *ret)
{
	uint64_t limit = memory_limit(k);

	return limit ? group_memory(k, limit, ret) : host_memory_stat(ret);
}

/* ---- time -------------------------------------------------------------- */

/* What the guest's CLOCK_BOOTTIME is ahead of ours, time_namespaces(7): of a
 * namespace that it joined we know only by asking the host about init. */
static int64_t boottime_offset(const struct kernel *k)
{
	char path[64], text[256], *line;
	long long sec, nsec;

	switch (k->cfg->policy->ns[POLICY_NS_TIME].mode) {
	case NS_MODE_HOST:
		return 0;
	case NS_MODE_NEW:
		return k->cfg->policy->boottime_offset_ns;
	default:
		break;
	}
	snprintf(path, sizeof(path), "/proc/%d/timens_offsets", (int)k->init_pid);
	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return 0;
	line = strstr(text, "boottime");
	if (!line || sscanf(line, "boottime %lld %lld", &sec, &nsec) != 2)
		return 0;
	return sec * (int64_t)NSEC_PER_SEC + nsec;
}

/* A clock of the guest's, now. */
static int64_t guest_clock_ns(const struct kernel *k, clockid_t clock)
{
	struct timespec ts;

	if (!k->time)
		return (int64_t)host_clock(clock) + (clock == CLOCK_BOOTTIME ? boottime_offset(k) : 0);
	timekeeper_read(k->time, clock, &ts);
	return ts.tv_sec * (int64_t)NSEC_PER_SEC + ts.tv_nsec;
}

static void read_time(const struct kernel *k, struct machine_facts *ret)
{
	ret->uptime_ns = guest_clock_ns(k, CLOCK_BOOTTIME);
	ret->boot_time = (guest_clock_ns(k, CLOCK_REALTIME) - ret->uptime_ns) / (int64_t)NSEC_PER_SEC;
}

int64_t machine_uptime_at(const struct kernel *k, uint64_t monotonic_ns)
{
	/* For as long as the host was suspended; the two are not read at once. */
	int64_t suspended = host_clock(CLOCK_BOOTTIME) - host_clock(CLOCK_MONOTONIC);
	int64_t host = monotonic_ns + suspended / 1000000 * 1000000;

	return k->time ? timekeeper_boottime_at(k->time, host) : host + boottime_offset(k);
}

/* ---- the kernel's name ------------------------------------------------- */

bool machine_own_release(const struct kernel *k)
{
	return k->cfg->policy->kernel_release != NULL;
}

void machine_release(const struct kernel *k, struct utsname *u)
{
	if (!machine_own_release(k))
		return;
	memset(u->release, 0, sizeof(u->release));
	snprintf(u->release, sizeof(u->release), "%s", k->cfg->policy->kernel_release);
}

/* ---- all of it --------------------------------------------------------- */

int machine_look(struct kernel *k, unsigned needs, struct machine_facts *ret)
{
	int err = 0;

	ret->ncpus = sched_nvcpus(k);
	ret->policy = k->cfg->policy->name;
	ret->disks = k->disks;
	if (needs & MACHINE_SCHED) {
		sched_look(k, &ret->sched, ret->vcpu);
		/* Who asks runs, though it waits for our answer meanwhile. */
		ret->sched.runnable = MAX(ret->sched.runnable, 1u);
		ret->sched.tasks = MAX(ret->sched.tasks, ret->sched.runnable);
	}
	if (needs & MACHINE_TIME)
		read_time(k, ret);
	if (needs & MACHINE_UTS) {
		err = host_result(uname(&ret->uts));
		machine_release(k, &ret->uts);
	}
	if (err == 0 && (needs & MACHINE_MEMORY))
		err = read_memory(k, &ret->memory);
	if (err == 0 && (needs & MACHINE_CPUINFO_TEXT))
		err = read_cpuinfo(ret->cpuinfo);
	return err;
}
