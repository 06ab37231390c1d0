/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - the guest's memory: its size, who counts it, and what the host says of it
 */
#include "kernel/memory/memory.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>

#include "kernel/cleanup.h"
#include "kernel/kernel.h"
#include "kernel/log.h"
#include "kernel/machine/machine.h"
#include "kernel/memory/memory_impl.h"
#include "kernel/sched.h"
#include "kernel/util.h"
#include "mmu/merge.h"
#include "mmu/pressure.h"
#include "passthrough/hostcall.h"

#define OOM_LATER_NS 100000000
#define LENT_ROOM (UINT64_C(8) << 20)	/* between what is lent and what is hard: less is need */
#define PRESSED_NS (10 * NSEC_PER_SEC)	/* how long after it there is still pressure */

uint64_t memory_limit(const struct kernel *k)
{
	return k->memory ? atomic_load(&k->memory->limit) : machine_own_limit(policy_own_memory(k->cfg->policy));
}

uint64_t memory_used(struct kernel *k)
{
	struct strict *s = memory_strict(k);

	return s ? strict_used(s) : cgroup_memory_used(&k->cgroup);
}

uint64_t memory_tmpfs_bytes(const struct kernel *k)
{
	return memory_limit(k) / (memory_strict(k) ? 8 : 2) & ~UINT64_C(4095);
}

struct strict *memory_strict(const struct kernel *k)
{
	return k->memory ? k->memory->strict : NULL;
}

int memory_enter(const struct kernel *k)
{
	struct rlimit data = { .rlim_cur = k->memory->boot_limit, .rlim_max = k->memory->boot_limit };
	int ret = 0;

	/* The limits come from whoever started us, and may be lower. */
	if (memory_strict(k)) {
		struct rlimit have;

		ret = host_result(getrlimit(RLIMIT_DATA, &have));
		if (ret == 0 && have.rlim_cur > data.rlim_cur)
			ret = host_result(setrlimit(RLIMIT_DATA, &data));
	}
	if (ret == 0 && k->cfg->policy->mem.merge)
		ret = merge_enable();
	return ret;
}

/* ---- the limit ------------------------------------------------------------ */

static int apply_limit(struct memory *m, uint64_t limit, bool soft)
{
	if (m->strict)
		return strict_resize(m->strict, limit);
	return soft ? cgroup_memory_lend(&m->kernel->cgroup, limit, atomic_load(&m->whole)) :
		      cgroup_memory_limit(&m->kernel->cgroup, limit);
}

/* It has been applied. Lock held. */
static void change(struct memory *m, uint64_t limit, bool soft)
{
	if (!soft)
		atomic_store(&m->whole, limit);
	atomic_store(&m->limit, limit);
	atomic_store(&m->lent, limit < atomic_load(&m->whole));
}

int memory_set_limit(struct memory *m, uint64_t limit, bool soft)
{
	int ret;

	pthread_mutex_lock(&m->lock);
	ret = soft && limit < atomic_load(&m->limit) && !atomic_load(&m->lent) ?
		      -ECANCELED : apply_limit(m, limit, soft);
	if (ret == 0)
		change(m, limit, soft);
	pthread_mutex_unlock(&m->lock);
	return ret;
}

bool memory_take_back(struct memory *m)
{
	uint64_t before, whole;
	bool lent;

	pthread_mutex_lock(&m->lock);
	before = atomic_load(&m->limit);
	whole = atomic_load(&m->whole);
	lent = atomic_load(&m->lent) && apply_limit(m, whole, true) == 0;
	if (lent)
		change(m, whole, true);
	pthread_mutex_unlock(&m->lock);
	if (lent && before < whole)
		log_info("memory: needed: %lluk that were lent are taken back",
			 (unsigned long long)(whole - before) >> 10);
	return lent;
}

/* ---- the cgroup's out-of-memory ------------------------------------------ */

static void log_kills(struct kernel *k)
{
	struct memory *m = k->memory;
	uint64_t kills = cgroup_memory_kills(&k->cgroup);

	if (kills > m->kills)
		log_warn("memory: out of memory: the host killed %llu task%s of the guest, which has "
			 "%llukB", (unsigned long long)(kills - m->kills),
			 kills - m->kills == 1 ? "" : "s", (unsigned long long)memory_limit(k) >> 10);
	m->kills = kills;
}

static void on_oom_later(struct kernel *k, struct event_source *src, uint32_t events)
{
	uint64_t n;

	host_read(src->fd, &n, sizeof(n));
	log_kills(k);
}

/* A group that is at what it may use now, for its page cache or for more than that? */
static bool needs_back(struct memory *m)
{
	struct memory_kinds have;
	uint64_t limit = atomic_load(&m->limit);

	memory_kinds(m, &have);
	return have.hard + LENT_ROOM > limit;
}

/* v2: it is told again only after the file was read through this descriptor. v1
 * tells that nothing is left, and then chooses whom to kill. */
static void on_oom(struct kernel *k, struct event_source *src, uint32_t events)
{
	static const struct itimerspec later = { .it_value = { .tv_nsec = OOM_LATER_NS } };
	struct memory *m = k->memory;
	char text[512];

	if (m->oom_is_v2) {
		host_result(pread(src->fd, text, sizeof(text), 0));
		log_kills(k);
		if (atomic_load(&m->lent) && needs_back(m))
			memory_take_back(m);
		return;
	}
	host_read(src->fd, text, sizeof(uint64_t));
	if (memory_take_back(m))
		return;
	timerfd_settime(m->oom_later.fd, 0, &later, NULL);
}

/* It is for the log alone: without it the stats still have the number. */
static void watch_oom(struct memory *m)
{
	struct event_loop *ev = &m->kernel->ev;

	m->oom = (struct event_source){
		.fd = cgroup_memory_watch(&m->kernel->cgroup, &m->oom_is_v2),
		.name = "oom",
		.handler = on_oom,
	};
	m->oom_later = (struct event_source){
		.fd = host_result(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)),
		.name = "oom-later",
		.handler = on_oom_later,
	};
	if (m->oom.fd < 0 || m->oom_later.fd < 0 || event_add(ev, &m->oom_later, EPOLLIN) < 0 ||
	    event_add(ev, &m->oom, m->oom_is_v2 ? EPOLLPRI : EPOLLIN) < 0)
		log_info("memory: the host does not tell of tasks that it kills");
}

/* ---- the host's pressure -------------------------------------------------- */

/* An idle guest gives half of what it can spare at the first sign, another an
 * eighth: it would have to read it again. */
static void on_pressure(struct kernel *k, struct event_source *src, uint32_t events)
{
	struct memory *m = k->memory;
	struct memory_kinds have;
	struct memory_work work = { .action = MEMORY_RELEASE, .type = MEMORY_CLEAN };

	if (events & EPOLLERR) {
		event_remove(&k->ev, src);
		return;
	}
	m->pressed_ns = host_now();
	memory_kinds(m, &have);
	work.bytes = have.clean / (atomic_load(&m->idle) ? 2 : 8);
	work.deadline_ns = m->pressed_ns + NSEC_PER_SEC;
	if (work.bytes && memory_work_start(m, &work, NULL) == 0)
		log_debug("memory: the host is short of it, asked to release %llukB",
			  (unsigned long long)work.bytes >> 10);
}

static void on_idle(struct kernel *k, bool idle, uint64_t since_ns)
{
	struct memory *m = k->memory;

	atomic_store(&m->idle, idle);
	if (m->strict)
		strict_idle(m->strict, idle);
}

static void watch_pressure(struct memory *m)
{
	int fd = pressure_watch();

	m->pressure = (struct event_source){ .fd = fd, .name = "pressure", .handler = on_pressure };
	if (fd < 0)
		log_info("memory: the host tells nothing of its pressure: %s", strerror(-fd));
	else if (event_add(&m->kernel->ev, &m->pressure, EPOLLPRI) < 0)
		cleanup_fd_p(&m->pressure.fd);
}

void memory_start(struct kernel *k)
{
	struct memory *m = k->memory;

	sched_on_idle(k, on_idle);
	/* Without a group there is nothing of the guest's that could be given. */
	if (k->cfg->policy->mem.release && atomic_load(&m->limit) && !m->strict)
		watch_pressure(m);
}

/* ---- the boot step --------------------------------------------------------- */

static int begin_merge(const struct policy *p, struct ns_error *err)
{
	if (!p->mem.merge)
		return 0;
	if (!merge_offered())
		return ns_fail(err, -EOPNOTSUPP,
			       "%s:%d: merge = yes needs Linux 6.4 or later with KSM; write merge = no",
			       p->mem.merge_pos.file, p->mem.merge_pos.line);
	log_info("memory: merge: %s", merge_runs() ? "the host merges equal pages" :
		 "the host's KSM does not run (/sys/kernel/mm/ksm/run is not 1): nothing is merged");
	return 0;
}

static int begin(struct memory *m, struct ns_error *err)
{
	struct kernel *k = m->kernel;
	const struct policy *p = k->cfg->policy;
	int ret = begin_merge(p, err);

	if (ret < 0 || !m->boot_limit)
		return ret;
	if (p->mem.budget != BUDGET_STRICT) {
		watch_oom(m);
		return 0;
	}
	log_info("memory: strict: no cgroup, what is mapped is counted; no memfd, shared memory of "
		 "SysV in single pages only");
	ret = strict_create(k, m->boot_limit, &m->strict);
	return ret < 0 ? ns_fail(err, ret, "memory: %s", strerror(-ret)) : 0;
}

int memory_init(struct kernel *k, struct ns_error *err)
{
	const struct policy *p = k->cfg->policy;
	struct memory *m = calloc(1, sizeof(*m));
	int ret;

	if (!m)
		return -ENOMEM;
	m->kernel = k;
	m->boot_limit = machine_own_limit(policy_own_memory(p));
	m->floor = MIN(p->mem.floor, m->boot_limit ?: p->mem.floor);
	m->oom.fd = m->oom_later.fd = m->pressure.fd = -1;
	change(m, m->boot_limit, false);
	pthread_mutex_init(&m->lock, NULL);
	k->memory = m;
	ret = memory_work_init(m);
	return ret < 0 ? ret : begin(m, err);
}

void memory_exit(struct kernel *k)
{
	struct memory *m = k->memory;

	if (!m)
		return;
	memory_work_exit(m);
	strict_destroy(m->strict);
	cleanup_fd_p(&m->oom.fd);
	cleanup_fd_p(&m->oom_later.fd);
	cleanup_fd_p(&m->pressure.fd);
	k->memory = NULL;
	free(m);
}

/* ---- stats ------------------------------------------------------------------ */

static const char *pressure_text(const struct memory *m)
{
	if (m->pressure.fd < 0)
		return "unknown";
	return m->pressed_ns && host_now() - m->pressed_ns < PRESSED_NS ? "some" : "none";
}

static const char *counted_by(const struct kernel *k)
{
	if (memory_strict(k))
		return "strict";
	return memory_limit(k) ? "cgroup" : "none";
}

json_t *memory_stats(struct kernel *k)
{
	struct memory *m = k->memory;
	uint64_t limit;
	struct strict *s;

	if (!m)	/* not yet, or no more */
		return json_object();
	limit = memory_limit(k);
	s = memory_strict(k);
	return json_pack("{s:I, s:I, s:I, s:s, s:I, s:s, s:I, s:I, s:I}", "limit_bytes",
			 (json_int_t)limit, "used_bytes", (json_int_t)memory_used(k),
			 "unplugged_bytes",
			 (json_int_t)(m->boot_limit > limit ? m->boot_limit - limit : 0), "pressure",
			 pressure_text(m), "released_bytes", (json_int_t)atomic_load(&m->released),
			 "budget", counted_by(k), "floor_bytes", (json_int_t)m->floor, "oom_kills",
			 (json_int_t)(s ? strict_kills(s) : cgroup_memory_kills(&k->cgroup)),
			 "refused_calls", (json_int_t)(s ? strict_refused(s) : 0));
}
