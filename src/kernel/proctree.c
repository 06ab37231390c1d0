/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proctree.c - the processes of a guest, as the host's /proc has them
 *
 * proc(5): /proc/PID/task/TID/syscall, and hostproc.c. Only the children of
 * processes that do not run are listed reliably, see proctree.h.
 */
#include "kernel/proctree.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/children.h"
#include "kernel/cleanup.h"
#include "kernel/hostproc.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

/* The host lists the newest child last, and an orphan after those that its new
 * parent has: a stack brings us to those first who may be gone in a moment. */
struct walk {
	struct found {
		pid_t pid;
		bool root;
	} *stack;
	unsigned n, size;
	struct children children;
	uint64_t print;
	bool good;
};

static int push(struct walk *w, pid_t pid, bool root)
{
	if (w->n == w->size) {
		unsigned size = w->size ? 2 * w->size : 64;
		struct found *more = realloc(w->stack, size * sizeof(*more));

		if (!more)
			return -ENOMEM;
		w->stack = more;
		w->size = size;
	}
	w->stack[w->n++] = (struct found){ pid, root };
	w->print += pid * UINT64_C(0x9e3779b97f4a7c15);
	return 0;
}

/* What has ended is no failure: its children went elsewhere, and the next walk
 * meets them there. Return: @ret, or 0 for that. */
static int unless_gone(struct walk *w, int ret)
{
	if (ret != -ENOENT && ret != -ESRCH)
		return ret;
	w->good = false;
	return 0;
}

uint64_t proctree_start(pid_t pid)
{
	struct hostproc_stat s;

	return hostproc_stat(pid, &s) == 0 ? s.start : 0;
}

/* vfork(2) keeps the caller asleep, deaf to stop signals, until the child is
 * through with its memory; a stopped child keeps it there. */
static bool waits_in_vfork(int task, const char *tid)
{
	char file[288], text[256];
	long nr;

	snprintf(file, sizeof(file), "%s/syscall", tid);
	if (host_read_file(task, file, text, sizeof(text)) <= 0)
		return false;
	nr = strtol(text, NULL, 10);
#ifdef SYS_vfork
	if (nr == SYS_vfork)
		return true;
#endif
	return nr == SYS_clone || nr == SYS_clone3;
}

static bool is_stopped(int task, const char *tid, char state)
{
	return state == 'T' || state == 't' || (state == 'D' && waits_in_vfork(task, tid));
}

static int look_at_thread(int task, const char *tid, struct proctree_node *n, pid_t *ppid)
{
	struct hostproc_stat s;
	int ret = hostproc_stat(atoi(tid), &s);

	if (ret < 0)
		return ret;
	if (atoi(tid) == n->pid) {
		n->start = s.start;
		*ppid = s.ppid;
	}
	if (s.state == 'Z' || s.state == 'X')
		return 0;
	n->live = atoi(tid);
	if (is_stopped(task, tid, s.state))
		return 0;
	/* one that is kept by the host tells more than one that could run */
	if (n->stopped || s.state == 'D') {
		n->state = s.state;
		snprintf(n->comm, sizeof(n->comm), "%s", s.comm);
	}
	n->stopped = false;
	return 0;
}

static int push_child(void *walk, pid_t pid)
{
	return push(walk, pid, false);
}

/* Do something with each thread: look at it, or find its children. */
static int each_thread(struct walk *w, int task, pid_t pid, struct proctree_node *n, pid_t *ppid)
{
	int copy = host_openat(task, ".", O_RDONLY | O_DIRECTORY, 0), ret = 0;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d) {
		ret = copy < 0 ? copy : -ENOMEM;
		cleanup_fd_p(&copy);
		return unless_gone(w, ret);
	}
	while (ret == 0 && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		ret = unless_gone(w, n ? look_at_thread(task, e->d_name, n, ppid) :
					 children_of(&w->children, task, pid,
							 atoi(e->d_name), push_child, w));
	}
	closedir(d);
	return ret;
}

static int visit_one(struct walk *w, struct found found, proctree_visit visit, void *ctx)
{
	struct proctree_node n = { .pid = found.pid, .stopped = true };
	cleanup_fd int task = -1;
	char path[64];
	pid_t ppid = 0;
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)n.pid);
	task = host_open(path, O_RDONLY | O_DIRECTORY, 0);
	if (task < 0)
		return unless_gone(w, task);
	ret = each_thread(w, task, n.pid, &n, &ppid);
	/* The kernel's child has ended, and another process has got its id. */
	if (ret < 0 || (found.root && ppid != getpid()))
		return ret;
	if (n.live == 0)
		return 0;
	ret = visit(ctx, &n);
	if (ret < 0)
		return ret;
	w->good = w->good && ret == PROCTREE_GOOD;
	return ret == PROCTREE_LATER ? 0 : each_thread(w, task, n.pid, NULL, NULL);
}

int proctree_walk(const pid_t *root, unsigned nroots, proctree_visit visit, void *ctx,
		  uint64_t *ret_print)
{
	struct walk w = { .good = true };
	int ret = children_begin(&w.children);

	for (unsigned i = 0; ret == 0 && i < nroots; i++)
		ret = push(&w, root[i], true);
	while (ret == 0 && w.n) {
		struct found next = w.stack[--w.n];

		ret = visit_one(&w, next, visit, ctx);
	}
	if (ret_print)
		*ret_print = w.print;
	free(w.stack);
	children_end(&w.children);
	return ret < 0 ? ret : w.good;
}
