/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_strict.c - memory without a cgroup: what is promised is counted by us
 *
 * Charged are the private writable and the shared anonymous mappings of all
 * processes, when they are made (sys_memory.c), and what lies in the guest's
 * tmpfs. A process cannot have more than the whole (RLIMIT_DATA), whatever its
 * program brings along. What no call asks for first - the .bss of a program
 * that is exec'ed, a stack, a tmpfs that fills - is looked at twice a second
 * while the guest runs; is more in use than there is, a task is killed as Linux
 * would choose it. Not counted: the page cache, which is the host's to take
 * back, and the host kernel's own memory for the guest.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/hostproc.h"
#include "kernel/kernel.h"
#include "kernel/log.h"
#include "kernel/memory/memory_impl.h"
#include "kernel/sched.h"
#include "kernel/util.h"
#include "mmu/budget.h"
#include "ns/mountinfo.h"
#include "passthrough/hostcall.h"

#define WATCH_MS 500
#define MAX_TMPFS 64	/* mounts that are looked at */

struct strict {
	struct kernel *kernel;
	struct budget budget;
	_Atomic bool shared;	/* a shared anonymous mapping was made once */
	_Atomic uint64_t kills;

	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool idle, ending;	/* lock held */
};

/* ---- counting ----------------------------------------------------------- */

struct counting {
	struct kernel *kernel;
	struct usage *usage;
};

/* The agent and we are children of the same tree, but not of the guest. */
static void count_thread(void *ctx, pid_t pid, pid_t tid)
{
	struct counting *c = ctx;

	if (pid != getpid() && pid != c->kernel->agent.pid)
		usage_add(c->usage, pid, tid);
}

int memory_count(struct kernel *k, struct usage *u)
{
	struct counting c = { k, u };
	pid_t root = getpid();
	int ret = hostproc_walk(&root, 1, count_thread, &c);

	return ret < 0 ? ret : u->err;
}

/* What lies in the tmpfs that init sees, each once. */
static uint64_t tmpfs_bytes(const struct kernel *k)
{
	cleanup_fd int root = -1;
	struct mount_table t;
	fsid_t seen[MAX_TMPFS];
	unsigned nseen = 0;
	uint64_t sum = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/root", (int)k->init_pid);
	root = k->init_pid ? host_open(path, O_PATH | O_DIRECTORY, 0) : -1;
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)k->init_pid);
	if (root < 0 || mount_table_read(path, &t) < 0)
		return 0;
	for (unsigned i = 0; i < t.n && nseen < MAX_TMPFS; i++) {
		cleanup_fd int fd = -1;
		struct statfs fs;
		bool again = false;

		if (!streq(t.v[i].type, "tmpfs"))
			continue;
		fd = host_open_beneath(root, t.v[i].point, O_PATH, 0);
		if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
			continue;
		for (unsigned n = 0; n < nseen; n++)
			again |= memcmp(&seen[n], &fs.f_fsid, sizeof(fs.f_fsid)) == 0;
		if (again)
			continue;
		seen[nseen++] = fs.f_fsid;
		sum += (fs.f_blocks - fs.f_bfree) * fs.f_bsize;
	}
	mount_table_destroy(&t);
	return sum;
}

static int count(void *ctx, uint64_t *ret_bytes)
{
	struct strict *s = ctx;
	struct usage u = { .with_shared = atomic_load(&s->shared) };
	int ret = memory_count(s->kernel, &u);

	*ret_bytes = u.data_bytes + u.shared_bytes + tmpfs_bytes(s->kernel);
	usage_clear(&u);
	return ret;
}

/* ---- out of memory ------------------------------------------------------ */

/* oom_badness() of the host's mm/oom_kill.c: what the end of a process gives
 * back, and its oom_score_adj in thousandths of all there is; -1000: never. */
static int64_t badness(const struct usage_process *p, uint64_t limit)
{
	char path[64], text[16];
	long adj = 0;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)p->pid);
	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) > 0)
		adj = strtol(text, NULL, 10);
	if (adj == -1000)
		return INT64_MIN;
	return (int64_t)p->resident + adj * (int64_t)(limit / 1000);
}

static void kill_worst(struct strict *s, const struct usage *u, uint64_t limit)
{
	const struct usage_process *worst = NULL;
	int64_t most = INT64_MIN;
	struct hostproc_stat st = { .comm = "?" };

	for (unsigned i = 0; i < u->n; i++) {
		int64_t bad = badness(&u->process[i], limit);

		if (u->process[i].pid != s->kernel->init_pid && bad > most) {
			worst = &u->process[i];
			most = bad;
		}
	}
	if (!worst || hostproc_stat(worst->pid, &st) < 0 ||
	    host_result(kill(worst->pid, SIGKILL)) < 0)
		return;
	atomic_fetch_add(&s->kills, 1);
	log_warn("memory: out of memory: killed host process %d (%s), anon-rss:%llukB, of %llukB",
		 (int)worst->pid, st.comm,
		 (unsigned long long)(worst->resident - MIN(worst->shared, worst->resident)) >> 10,
		 (unsigned long long)limit >> 10);
}

static void look(struct strict *s)
{
	struct usage u = {};
	uint64_t limit = memory_limit(s->kernel);

	/* So that the budget knows, too, of what came without a call. */
	budget_used(&s->budget);
	if (memory_count(s->kernel, &u) == 0 &&
	    u.resident_bytes + tmpfs_bytes(s->kernel) > limit)
		kill_worst(s, &u, limit);
	usage_clear(&u);
}

static void *watch(void *arg)
{
	struct strict *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->ending) {
		struct timespec until;

		if (s->idle) {
			pthread_cond_wait(&s->wake, &s->lock);
			continue;
		}
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += WATCH_MS * 1000000l;
		until.tv_sec += until.tv_nsec / (long)NSEC_PER_SEC;
		until.tv_nsec %= (long)NSEC_PER_SEC;
		pthread_cond_timedwait(&s->wake, &s->lock, &until);
		if (s->ending)
			break;
		pthread_mutex_unlock(&s->lock);
		look(s);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

void strict_idle(struct strict *s, bool idle)
{
	pthread_mutex_lock(&s->lock);
	s->idle = idle;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

/* ---- the budget --------------------------------------------------------- */

int strict_charge(struct strict *s, struct call *c, uint64_t bytes, uint64_t over)
{
	uint64_t covered;
	int err;

	if (budget_try(&s->budget, c->tid, c->nr, bytes) == 0)
		return 0;
	call_slow(c);
	covered = over ? usage_private_within(c->tid, over, bytes) : 0;
	err = budget_charge(&s->budget, c->tid, c->nr, bytes, covered);
	if (err < 0 && memory_take_back(s->kernel->memory))
		err = budget_charge(&s->budget, c->tid, c->nr, bytes, covered);
	return err;
}

void strict_shares(struct strict *s)
{
	atomic_store(&s->shared, true);
}

uint64_t strict_used(struct strict *s)
{
	return budget_used(&s->budget);
}

uint64_t strict_refused(struct strict *s)
{
	return budget_refused(&s->budget);
}

uint64_t strict_kills(struct strict *s)
{
	return atomic_load(&s->kills);
}

int strict_resize(struct strict *s, uint64_t limit)
{
	return budget_resize(&s->budget, limit);
}

int strict_create(struct kernel *k, uint64_t limit, struct strict **ret)
{
	struct strict *s = calloc(1, sizeof(*s));
	pthread_condattr_t clock;
	int err;

	if (!s)
		return -ENOMEM;
	s->kernel = k;
	budget_init(&s->budget, limit, count, s);
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &clock);
	pthread_condattr_destroy(&clock);
	err = -pthread_create(&s->thread, NULL, watch, s);
	if (err < 0) {
		budget_exit(&s->budget);
		free(s);
		return err;
	}
	*ret = s;
	return 0;
}

void strict_destroy(struct strict *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->ending = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	budget_exit(&s->budget);
	free(s);
}
