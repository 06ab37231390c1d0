/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_memory.c - the memory of a guest's group: its limit, and taking back
 *
 * Files: cgroup-v2.rst and cgroup-v1/memory.rst of the kernel's documentation.
 * Guests have no swap: v2 says so with memory.swap.max, v1 counts memory and
 * swap together (memsw) with the same limit.
 *
 * No way of these lets the host kill for it. v2's memory.max would, when it is
 * set below what is in use: memory.high goes first, which only reclaims. v1's
 * limit refuses with EBUSY; tasks that meet it meanwhile wait
 * (oom_kill_disable) until it is as it was.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "ns/cgroup.h"
#include "passthrough/hostcall.h"

static const struct cgroup_group *memory_group(const struct cgroup *cg)
{
	for (unsigned i = 0; i < cg->n; i++)
		if (cg->g[i].memory)
			return &cg->g[i];
	return NULL;
}

/* Unlike host_write_file(), a signal ends it: reclaim may take long. */
static int write_once(const struct cgroup_group *g, const char *file, const char *text)
{
	cleanup_fd int fd = host_openat(g->fd, file, O_WRONLY, 0);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = host_result(write(fd, text, strlen(text)));
	return MIN(n, 0);
}

static int write_bytes(const struct cgroup_group *g, const char *file, uint64_t bytes)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, bytes);
	return write_once(g, file, text);
}

static uint64_t read_bytes(const struct cgroup_group *g, const char *file)
{
	char text[32];

	return host_read_file(g->fd, file, text, sizeof(text)) > 0 ? strtoull(text, NULL, 10) : 0;
}

static uint64_t used(const struct cgroup_group *g)
{
	return read_bytes(g, g->v2 ? "memory.current" : "memory.usage_in_bytes");
}

uint64_t cgroup_memory_used(const struct cgroup *cg)
{
	const struct cgroup_group *g = memory_group(cg);

	return g ? used(g) : 0;
}

ssize_t cgroup_memory_stat(const struct cgroup *cg, char *text, size_t size)
{
	const struct cgroup_group *g = memory_group(cg);

	return g ? host_read_file(g->fd, "memory.stat", text, size) : -EOPNOTSUPP;
}

/* ---- the limit ---------------------------------------------------------- */

static int limit_v2(const struct cgroup_group *g, uint64_t bytes)
{
	int ret = write_bytes(g, "memory.high", bytes);

	if (ret == 0 && used(g) > bytes)
		ret = -EBUSY;
	if (ret == 0)
		ret = write_bytes(g, "memory.max", bytes);
	write_once(g, "memory.high", "max");
	return ret;
}

/* The memory's limit is never above that of memory and swap. */
static int set_v1(const struct cgroup_group *g, uint64_t bytes)
{
	static const char *const files[] = { "memory.limit_in_bytes", "memory.memsw.limit_in_bytes" };
	bool up = bytes > read_bytes(g, files[0]);
	bool swap = faccessat(g->fd, files[1], W_OK, 0) == 0;
	int ret;

	if (!up)
		write_once(g, "memory.oom_control", "1");
	ret = up && swap ? write_bytes(g, files[1], bytes) : 0;
	if (ret == 0)
		ret = write_bytes(g, files[0], bytes);
	if (ret == 0 && !up && swap)
		ret = write_bytes(g, files[1], bytes);
	return ret;
}

static int limit_v1(const struct cgroup_group *g, uint64_t bytes)
{
	int ret = set_v1(g, bytes);

	write_once(g, "memory.oom_control", "0");
	return ret;
}

int cgroup_memory_limit(const struct cgroup *cg, uint64_t bytes)
{
	const struct cgroup_group *g = memory_group(cg);

	if (!g)
		return -EOPNOTSUPP;
	return g->v2 ? limit_v2(g, bytes) : limit_v1(g, bytes);
}

/* memory.high only: what it may use at most stays memory.max. */
static int lend_v2(const struct cgroup_group *g, uint64_t bytes, uint64_t whole)
{
	char before[32] = "max";
	int ret;

	if (bytes >= whole)
		return write_once(g, "memory.high", "max");
	host_read_file(g->fd, "memory.high", before, sizeof(before));
	ret = write_bytes(g, "memory.high", bytes);
	if (ret < 0 || used(g) <= bytes)
		return ret;
	write_once(g, "memory.high", before);
	return -EBUSY;
}

int cgroup_memory_lend(const struct cgroup *cg, uint64_t bytes, uint64_t whole)
{
	const struct cgroup_group *g = memory_group(cg);

	if (!g)
		return -EOPNOTSUPP;
	if (g->v2)
		return lend_v2(g, bytes, whole);
	return bytes < whole ? set_v1(g, bytes) : limit_v1(g, whole);
}

int cgroup_memory_no_swap(const struct cgroup_group *g, uint64_t bytes)
{
	int ret = g->v2 ? write_bytes(g, "memory.swap.max", 0) :
			  write_bytes(g, "memory.memsw.limit_in_bytes", bytes);

	/* A host without accounting of swap, or without any. */
	return ret == -ENOENT ? 0 : ret;
}

/* ---- taking back -------------------------------------------------------- */

/* A limit for a moment, and then the one that was. */
static int reclaim_v1(const struct cgroup_group *g, uint64_t bytes)
{
	uint64_t limit = read_bytes(g, "memory.limit_in_bytes"), now = used(g);
	int ret;

	if (now <= bytes)
		return -EAGAIN;
	write_once(g, "memory.oom_control", "1");
	ret = write_bytes(g, "memory.limit_in_bytes", now - bytes);
	write_bytes(g, "memory.limit_in_bytes", limit);
	write_once(g, "memory.oom_control", "0");
	return ret == -EBUSY ? -EAGAIN : ret;
}

int cgroup_memory_reclaim(const struct cgroup *cg, uint64_t bytes)
{
	const struct cgroup_group *g = memory_group(cg);

	if (!g)
		return -EOPNOTSUPP;
	return g->v2 ? write_bytes(g, "memory.reclaim", bytes) : reclaim_v1(g, bytes);
}

/* ---- out of memory ------------------------------------------------------ */

uint64_t cgroup_memory_kills(const struct cgroup *cg)
{
	const struct cgroup_group *g = memory_group(cg);
	char text[512];
	const char *line;

	if (!g || host_read_file(g->fd, g->v2 ? "memory.events" : "memory.oom_control", text,
				 sizeof(text)) <= 0)
		return 0;
	line = strstr(text, "oom_kill ");
	return line ? strtoull(line + strlen("oom_kill "), NULL, 10) : 0;
}

/* v1: an eventfd is told of by "EVENTFD FILE" in cgroup.event_control. */
static int watch_v1(const struct cgroup_group *g)
{
	cleanup_fd int event = host_result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), file = -1;
	char text[32];
	int ret;

	if (event < 0)
		return event;
	file = host_openat(g->fd, "memory.oom_control", O_RDONLY, 0);
	if (file < 0)
		return file;
	snprintf(text, sizeof(text), "%d %d", event, file);
	ret = write_once(g, "cgroup.event_control", text);
	return ret < 0 ? ret : take_fd(&event);
}

int cgroup_memory_watch(const struct cgroup *cg, bool *ret_v2)
{
	const struct cgroup_group *g = memory_group(cg);

	if (!g)
		return -EOPNOTSUPP;
	*ret_v2 = g->v2;
	return g->v2 ? host_openat(g->fd, "memory.events", O_RDONLY, 0) : watch_v1(g);
}
