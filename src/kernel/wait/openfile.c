/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openfile.c - an open file of the guest's, known again without being kept open
 */
#include "kernel/wait/openfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "kernel/cleanup.h"
#include "kernel/hostproc.h"
#include "kernel/kernel.h"
#include "kernel/sched.h"
#include "passthrough/hostcall.h"

#define WHAT_BYTES 64	/* of a link in /proc/PID/fd that is of interest */

struct openfile {
	_Atomic unsigned refs;
	int epfd;	/* a set with this one file */
	int fd;		/* the number by which it is in the set */
};

static _Atomic unsigned watched;
static _Atomic bool unable;	/* the host has no kcmp(2) */

/* ---- one file ------------------------------------------------------------ */

/* 0 if a descriptor is on the file; another number if not; or a negative errno. */
static long compare(const struct openfile *o, pid_t tid, int fd)
{
	struct kcmp_epoll_slot slot = { .efd = o->epfd, .tfd = o->fd };

	return host_call(SYS_kcmp, tid, getpid(), KCMP_EPOLL_TFD, fd, &slot);
}

struct openfile *openfile_watch(int fd)
{
	struct epoll_event nothing = {};
	struct openfile *o;
	long ret;

	if (atomic_load(&unable) || atomic_load(&watched) >= OPENFILE_MAX)
		return NULL;
	o = malloc(sizeof(*o));
	if (!o)
		return NULL;
	*o = (struct openfile){ .refs = 1, .fd = fd };
	o->epfd = host_result(epoll_create1(EPOLL_CLOEXEC));
	atomic_fetch_add(&watched, 1);
	ret = o->epfd < 0 ? o->epfd : host_result(epoll_ctl(o->epfd, EPOLL_CTL_ADD, fd, &nothing));
	if (ret == 0)
		ret = compare(o, getpid(), fd);
	if (ret == -ENOSYS)
		atomic_store(&unable, true);
	if (ret != 0) {
		openfile_put(o);
		return NULL;
	}
	return o;
}

struct openfile *openfile_get(struct openfile *o)
{
	if (o)
		atomic_fetch_add(&o->refs, 1);
	return o;
}

void openfile_put(struct openfile *o)
{
	if (!o || atomic_fetch_sub(&o->refs, 1) != 1)
		return;
	if (o->epfd >= 0)
		close(o->epfd);
	free(o);
	atomic_fetch_sub(&watched, 1);
}

bool openfile_is_open(const struct openfile *o)
{
	/* Compared with anything: the set is asked first. */
	return compare(o, getpid(), o->epfd) != -ENOENT;
}

bool openfile_is(const struct openfile *o, pid_t tid, int fd)
{
	return compare(o, tid, fd) == 0;
}

/* ---- all of them --------------------------------------------------------- */

struct walk {
	openfile_visit *visit;
	void *ctx;
	pid_t done;	/* a process whose table was seen */
};

/* A thread that has ended has no table any more, but the others of its process do. */
static void visit_thread(void *ctx, pid_t pid, pid_t tid)
{
	struct walk *w = ctx;
	char path[32], what[WHAT_BYTES];
	struct dirent *e;
	DIR *dir;

	if (pid == w->done)
		return;
	snprintf(path, sizeof(path), "/proc/%d/fd", tid);
	dir = opendir(path);
	if (!dir)
		return;
	while ((e = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, what, sizeof(what) - 1);

		if (n < 0)
			continue;
		what[n] = '\0';
		w->done = pid;
		w->visit(w->ctx, pid, tid, atoi(e->d_name), what);
	}
	closedir(dir);
}

int openfile_walk(struct kernel *k, openfile_visit *visit, void *ctx)
{
	struct walk w = { visit, ctx, 0 };

	return sched_walk(k, visit_thread, &w);
}
