/* SPDX-License-Identifier: Apache-2.0 */
/*
 * freeze.c - weir pause and weir resume: all tasks of a guest, frozen
 *
 * In a frozen cgroup where weir may have one (ns/cgroup_freeze.c), else by
 * SIGSTOP: parents are stopped before their children and continued after them,
 * so no wait(2) of the guest's sees a child stopped.
 *
 * A thread of its own does it: a task that waits for an answer of ours cannot
 * be frozen until it has it, so both doors stay open all the time. Forks are a
 * race that is won by walking the tree until nothing new is found, for what has
 * been frozen forks no more (the group is frozen before the first one is in).
 */
#include "kernel/freeze.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/kernel.h"
#include "kernel/log.h"
#include "kernel/proctree.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define TRY_AGAIN_NS 1000000

enum freeze_how { BY_GROUP, BY_SIGNAL };

/* A process that got a SIGSTOP of ours. */
struct stopped {
	pid_t pid;
	uint64_t start;
};

struct freezer {
	/* event loop's thread only */
	struct kernel *kernel;
	struct event_source done;	/* eventfd: the worker is through */
	bool working;			/* the thread is to be joined */
	struct client *client;		/* who waits for it; NULL: nobody any more */

	_Atomic bool cancel;

	/* the worker's while it works, else the event loop's */
	pthread_t thread;
	enum freeze_how how;
	bool take;			/* BY_GROUP: processes must be moved in */
	pid_t *root;
	unsigned nroots;
	uint64_t start_ns, deadline_ns;
	struct stopped *stopped;	/* in the order of the signals */
	unsigned nstopped, size;
	struct proctree_node awake;	/* one that is not frozen; pid 0: none seen */
	int result;
};

/* ---- the worker ---------------------------------------------------------- */

static bool give_up(const struct freezer *f)
{
	return atomic_load(&f->cancel) || host_now() > f->deadline_ns;
}

static int visit_take(void *ctx, const struct proctree_node *n)
{
	struct freezer *f = ctx;
	int ret = give_up(f) ? -ETIMEDOUT : cgroup_freezer_take(&f->kernel->cgroup, n->live);

	if (ret < 0)
		return ret == -ESRCH ? PROCTREE_CHANGED : ret;
	return ret ? PROCTREE_GOOD : PROCTREE_CHANGED;
}

static bool is_ours(const struct freezer *f, const struct proctree_node *n)
{
	for (unsigned i = f->nstopped; i-- > 0;)
		if (f->stopped[i].pid == n->pid && f->stopped[i].start == n->start)
			return true;
	return false;
}

static int remember(struct freezer *f, const struct proctree_node *n)
{
	if (f->nstopped == f->size) {
		unsigned size = f->size ? 2 * f->size : 64;
		struct stopped *more = realloc(f->stopped, size * sizeof(*more));

		if (!more)
			return -ENOMEM;
		f->stopped = more;
		f->size = size;
	}
	f->stopped[f->nstopped++] = (struct stopped){ n->pid, n->start };
	return 0;
}

static int visit_stop(void *ctx, const struct proctree_node *n)
{
	struct freezer *f = ctx;
	int ret;

	/* One that the guest has stopped itself is not continued by us either. */
	if (n->stopped)
		return PROCTREE_GOOD;
	if (give_up(f))
		return -ETIMEDOUT;
	ret = is_ours(f, n) ? 0 : remember(f, n);
	/* Again, if another task of the guest has continued it. */
	if (ret == 0)
		ret = host_result(kill(n->pid, SIGSTOP));
	if (ret < 0)
		return ret == -ESRCH ? PROCTREE_CHANGED : ret;
	/* A parent that does not stand yet could see its child stop. */
	return PROCTREE_LATER;
}

static int visit_awake(void *ctx, const struct proctree_node *n)
{
	struct freezer *f = ctx;

	if (f->how == BY_SIGNAL ? !n->stopped : n->state == 'D' || n->state == 'R')
		f->awake = *n;
	return PROCTREE_GOOD;
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = TRY_AGAIN_NS }, NULL);
}

/* Walk until two walks in succession find nothing to do. */
static int walk_until_good(struct freezer *f, proctree_visit visit)
{
	uint64_t print, last = 0;
	int good = 0;

	while (good < 2) {
		int ret = proctree_walk(f->root, f->nroots, visit, f, &print);

		if (ret < 0)
			return ret;
		if (give_up(f))
			return -ETIMEDOUT;
		good = !ret ? 0 : print == last ? good + 1 : 1;
		last = print;
		/* A signal takes its time to arrive. */
		if (!good && f->how == BY_SIGNAL)
			nap();
	}
	return 0;
}

static int freeze_by_group(struct freezer *f)
{
	const struct cgroup *cg = &f->kernel->cgroup;
	int ret = cgroup_freeze(cg, true);

	if (ret == 0 && f->take)
		ret = walk_until_good(f, visit_take);
	while (ret == 0) {
		ret = cgroup_frozen(cg);
		if (ret)
			return MIN(ret, 0);
		if (give_up(f))
			return -ETIMEDOUT;
		nap();
		/* v1 passes over a task that is just about to wait in vfork(2), until
		 * it is told again; for v2 this is nothing new. */
		ret = cgroup_freeze(cg, true);
	}
	return ret;
}

static void thaw(struct freezer *f)
{
	if (f->how == BY_GROUP) {
		int ret = cgroup_freeze(&f->kernel->cgroup, false);

		if (ret < 0)
			log_err("resume: the group cannot be thawed: %s", strerror(-ret));
		return;
	}
	while (f->nstopped) {
		const struct stopped *s = &f->stopped[--f->nstopped];

		if (proctree_start(s->pid) == s->start)
			host_result(kill(s->pid, SIGCONT));
	}
}

static void *freeze_thread(void *arg)
{
	struct freezer *f = arg;
	uint64_t one = 1;

	f->result = f->how == BY_GROUP ? freeze_by_group(f) : -EXDEV;
	if (f->result == -EXDEV) {
		/* The guest sorts its tasks into groups of its own: leave them. */
		if (f->how == BY_GROUP)
			thaw(f);
		f->how = BY_SIGNAL;
		f->result = walk_until_good(f, visit_stop);
	}
	if (f->result < 0) {
		f->awake.pid = 0;
		proctree_walk(f->root, f->nroots, visit_awake, f, NULL);
		thaw(f);
	}
	host_write(f->done.fd, &one, sizeof(one));
	return NULL;
}

/* ---- the event loop's side ----------------------------------------------- */

static void explain(const struct freezer *f, char *buf, size_t size)
{
	if (atomic_load(&f->cancel))
		snprintf(buf, size, "the guest was resumed or ended meanwhile");
	else if (f->result != -ETIMEDOUT)
		snprintf(buf, size, "%s; the guest runs on", strerror(-f->result));
	else if (f->awake.pid)
		snprintf(buf, size,
			 "host process %d (%s, state %c) did not freeze in time; the guest "
			 "runs on (-t gives it more seconds)",
			 (int)f->awake.pid, f->awake.comm, f->awake.state);
	else
		snprintf(buf, size, "not all tasks froze in time; the guest runs on "
				    "(-t gives them more seconds)");
}

static void join(struct freezer *f)
{
	pthread_join(f->thread, NULL);
	f->working = false;
	free(f->root);
	f->root = NULL;
}

static void on_done(struct kernel *k, struct event_source *src, uint32_t events)
{
	struct freezer *f = k->freezer;
	char text[256];
	uint64_t n;

	host_read(src->fd, &n, sizeof(n));
	join(f);
	/* It was through before it saw that it should not. */
	if (f->result == 0 && (atomic_load(&f->cancel) || k->state != GUEST_RUNNING)) {
		f->result = -ECANCELED;
		thaw(f);
	}
	if (f->result == 0) {
		k->state = GUEST_PAUSED;
		log_info("pause: frozen %s after %llu us",
			 f->how == BY_GROUP ? "in a cgroup" : "by SIGSTOP",
			 (unsigned long long)(host_now() - f->start_ns) / 1000);
	} else {
		explain(f, text, sizeof(text));
		log_info("pause: %s", text);
	}
	if (f->client)
		client_pause_ended(k, f->client, f->result < 0 ? text : NULL);
	f->client = NULL;
}

/* What the kernel put into the guest: all others descend from these. */
static int find_roots(struct kernel *k, struct freezer *f)
{
	unsigned n = 0;

	for (const struct guest_process *p = k->process; p; p = p->next)
		n += p->pid != 0;
	f->root = calloc(MAX(n, 1), sizeof(*f->root));
	if (!f->root)
		return -ENOMEM;
	f->nroots = 0;
	for (const struct guest_process *p = k->process; p; p = p->next)
		if (p->pid)
			f->root[f->nroots++] = p->pid;
	return 0;
}

static int choose_group(struct kernel *k, struct freezer *f)
{
	int ret = cgroup_freezer(&k->cgroup, k->cfg->name);

	f->how = ret < 0 ? BY_SIGNAL : BY_GROUP;
	f->take = ret > 0;
	/* For whoever cleans up after us, should we be killed. */
	return ret > 0 ? cgroup_record(&k->cgroup, k->cfg->state_dir) : 0;
}

int freeze_start(struct kernel *k, unsigned patience_ms, struct client *client)
{
	struct freezer *f = k->freezer;
	int ret;

	if (f->working)
		return -EBUSY;
	ret = choose_group(k, f);
	if (ret == 0)
		ret = find_roots(k, f);
	if (ret < 0)
		return ret;
	f->start_ns = host_now();
	f->deadline_ns = f->start_ns + patience_ms * UINT64_C(1000000);
	f->nstopped = 0;
	f->client = client;
	atomic_store(&f->cancel, false);
	ret = -pthread_create(&f->thread, NULL, freeze_thread, f);
	f->working = ret == 0;
	if (ret < 0)
		free(take_ptr(f->root));
	return ret;
}

void freeze_end(struct kernel *k)
{
	struct freezer *f = k->freezer;

	if (f->working) {
		atomic_store(&f->cancel, true);
		return;
	}
	if (k->state != GUEST_PAUSED)
		return;
	thaw(f);
	k->state = GUEST_RUNNING;
	log_info("resume: the guest runs again");
}

void freeze_forget_client(struct kernel *k, struct client *c)
{
	if (k->freezer && k->freezer->client == c)
		k->freezer->client = NULL;
}

int freeze_init(struct kernel *k)
{
	struct freezer *f = calloc(1, sizeof(*f));
	int fd;

	if (!f)
		return -ENOMEM;
	fd = host_result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (fd < 0) {
		free(f);
		return fd;
	}
	f->kernel = k;
	f->done = (struct event_source){ .fd = fd, .name = "freeze", .handler = on_done };
	k->freezer = f;
	return event_add(&k->ev, &f->done, EPOLLIN);
}

void freeze_exit(struct kernel *k)
{
	struct freezer *f = k->freezer;

	if (!f)
		return;
	if (f->working) {
		atomic_store(&f->cancel, true);
		join(f);
	}
	close(f->done.fd);
	free(f->stopped);
	free(f);
	k->freezer = NULL;
}
