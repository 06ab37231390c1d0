/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage.c - the memory of a guest's processes, as the host counts it
 */
#include "mmu/usage.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define SAME_MM_TRIES 8		/* processes alike that are compared at most */

struct usage_object {
	uint64_t inode, bytes;
};

void usage_clear(struct usage *u)
{
	free(u->process);
	free(u->object);
	*u = (struct usage){ .with_shared = u->with_shared };
}

/* Room for one more. */
static void *grow(void *v, unsigned n, unsigned *room, size_t size)
{
	unsigned want = *room ? 2 * *room : 64;
	void *more;

	if (n < *room)
		return v;
	more = realloc(v, want * size);
	if (more)
		*room = want;
	return more;
}

int usage_process(pid_t pid, pid_t tid, struct usage_process *ret)
{
	char path[64], text[128];
	uint64_t size, resident, shared, data, page = sysconf(_SC_PAGESIZE);

	snprintf(path, sizeof(path), "/proc/%d/task/%d/statm", (int)pid, (int)tid);
	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) <= 0 ||
	    sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %*u %*u %" SCNu64, &size, &resident,
		   &shared, &data) != 4 || size == 0)
		return -ESRCH;
	*ret = (struct usage_process){
		.pid = pid, .tid = tid, .size = size * page, .resident = resident * page,
		.shared = shared * page, .data = data * page,
	};
	return 0;
}

/* A vfork'ed child has its parent's memory until it execs. */
static bool same_memory(const struct usage_process *a, const struct usage_process *b)
{
	return a->size == b->size && a->data == b->data &&
	       host_call(SYS_kcmp, a->tid, b->tid, KCMP_VM, 0, 0) == 0;
}

static bool was_counted(const struct usage *u, const struct usage_process *p)
{
	unsigned tries = 0;

	for (unsigned i = u->n; i-- > 0 && tries < SAME_MM_TRIES;) {
		const struct usage_process *other = &u->process[i];

		tries += other->size == p->size;
		if (same_memory(other, p))
			return true;
	}
	return false;
}

/* ---- shared anonymous memory ------------------------------------------- */

static void add_object(struct usage *u, uint64_t inode, uint64_t bytes)
{
	struct usage_object *o;

	for (unsigned i = 0; i < u->nobjects; i++) {
		o = &u->object[i];
		if (o->inode != inode)
			continue;
		if (bytes > o->bytes) {
			u->shared_bytes += bytes - o->bytes;
			o->bytes = bytes;
		}
		return;
	}
	o = grow(u->object, u->nobjects, &u->object_room, sizeof(*o));
	if (!o) {
		u->err = -ENOMEM;
		return;
	}
	u->object = o;
	u->object[u->nobjects++] = (struct usage_object){ inode, bytes };
	u->shared_bytes += bytes;
}

/* "/dev/zero (deleted)" is how the host names MAP_SHARED|MAP_ANONYMOUS, and SysV's
 * segments are "/SYSV..."; a file's size is at least where a mapping of it ends. */
static void add_shared(struct usage *u, const struct usage_process *p)
{
	char path[64];
	cleanup_free char *line = NULL;
	size_t size = 0;
	FILE *f;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/maps", (int)p->pid, (int)p->tid);
	fd = host_open(path, O_RDONLY, 0);
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f) {
		cleanup_fd_p(&fd);
		return;
	}
	while (getline(&line, &size, f) > 0) {
		uint64_t from, to, offset, inode;

		if (!strstr(line, "/dev/zero (deleted)") && !strstr(line, "/SYSV"))
			continue;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %" SCNu64, &from, &to,
			   &offset, &inode) == 4)
			add_object(u, inode, offset + (to - from));
	}
	fclose(f);
}

/* ---- a guest's ---------------------------------------------------------- */

void usage_add(struct usage *u, pid_t pid, pid_t tid)
{
	struct usage_process p, *v;

	/* The threads of a process come one after the other. */
	if (u->n && u->process[u->n - 1].pid == pid)
		return;
	if (usage_process(pid, tid, &p) < 0 || was_counted(u, &p))
		return;
	v = grow(u->process, u->n, &u->room, sizeof(*v));
	if (!v) {
		u->err = -ENOMEM;
		return;
	}
	u->process = v;
	u->process[u->n++] = p;
	u->data_bytes += p.data;
	u->resident_bytes += p.resident - MIN(p.shared, p.resident);
	if (u->with_shared)
		add_shared(u, &p);
}

/* Field 47 of /proc/TID/stat: where the break began. */
static uint64_t start_of_break(pid_t tid)
{
	char path[64], text[1024];
	const char *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return 0;
	p = strrchr(text, ')');
	for (int field = 2; p && field < 47; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p, NULL, 10) : 0;
}

/* Call @visit for each mapping until it says no. */
static void each_mapping(pid_t tid, bool (*visit)(void *ctx, uint64_t from, uint64_t to,
						  const char *rights), void *ctx)
{
	char path[64];
	cleanup_free char *line = NULL;
	size_t size = 0;
	FILE *f;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)tid);
	fd = host_open(path, O_RDONLY, 0);
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f) {
		cleanup_fd_p(&fd);
		return;
	}
	while (getline(&line, &size, f) > 0) {
		uint64_t from, to;
		char rights[5];

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &from, &to, rights) != 3 ||
		    !visit(ctx, from, to, rights))
			break;
	}
	fclose(f);
}

struct range {
	uint64_t from, to, sum;
};

static bool add_private(void *ctx, uint64_t from, uint64_t to, const char *rights)
{
	struct range *r = ctx;
	uint64_t low = MAX(from, r->from), high = MIN(to, r->to);

	if (rights[1] == 'w' && rights[3] == 'p' && low < high)
		r->sum += high - low;
	return from < r->to;
}

uint64_t usage_private_within(pid_t tid, uint64_t from, uint64_t bytes)
{
	struct range r = { from, from + bytes < from ? UINT64_MAX : from + bytes, 0 };

	each_mapping(tid, add_private, &r);
	return r.sum;
}

/* The heap lies in pieces after an mprotect(2). */
static bool extend_break(void *ctx, uint64_t from, uint64_t to, const char *rights)
{
	struct range *r = ctx;

	if (from <= r->sum && to > r->sum)
		r->sum = to;
	return from <= r->to;
}

/* The heap is the mapping that holds the start of the break, whatever its name. */
uint64_t usage_break_growth(pid_t tid, uint64_t brk)
{
	uint64_t start = start_of_break(tid);
	struct range r = { start, brk, start };

	if (!start || brk <= start)
		return 0;
	each_mapping(tid, extend_break, &r);
	return brk > r.sum ? brk - r.sum : 0;
}
