/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procfs_lease.c - the files of proc_files.h without FUSE
 *
 * They lie in a tmpfs, and the guest kernel holds a write lease on each that
 * changes (fcntl(2), F_SETLEASE): who opens one waits until we have written it
 * anew and given up the lease. So a text is of the moment at which its file was
 * opened, and nothing is done for files that nobody reads.
 *
 * As long as somebody has a file open, the lease cannot be had again: the file
 * is then rewritten every now and then, since its reader may go back to the
 * beginning. Such a reader may get parts of two texts; one that opens, reads
 * and closes, as nearly all do, never does.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/machine/proc_files.h"
#include "kernel/machine/procfs.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define MAX_LIVE 16
#define SOON_NS 2000000		/* after a file was opened: it is mostly closed by then */
#define LATER_NS 100000000	/* it is kept open: the age its text may reach */

struct live_file {
	unsigned index;		/* in proc_nodes[] */
	int fd;
	bool leased;
	uint64_t again_ns;	/* when to write it and ask for the lease; 0 if leased */
	uint64_t wait_ns;
};

struct procfs_lease {
	struct kernel *k;
	sem_t ready;		/* posted when the leases are ours */
	pthread_t thread;
	struct live_file file[MAX_LIVE];
	unsigned n;
	struct machine_facts facts;
	struct text text;
};

static int lease_signal(void)
{
	return SIGRTMIN + 1;
}

/* In one write, so that no reader sees half of it but by chance. */
static void rewrite(struct procfs_lease *l, struct live_file *f)
{
	if (proc_node_text(l->k, &l->facts, f->index, 0, &l->text) < 0)
		return;
	if (host_result(pwrite(f->fd, l->text.buf, l->text.len, 0)) == (long)l->text.len)
		host_result(ftruncate(f->fd, l->text.len));
}

/* Ask for the lease. -EAGAIN: somebody has the file open. */
static void try_lease(struct procfs_lease *l, struct live_file *f)
{
	f->leased = host_result(fcntl(f->fd, F_SETLEASE, F_WRLCK)) == 0;
	f->again_ns = f->leased ? 0 : host_now() + f->wait_ns;
	f->wait_ns = MIN(f->wait_ns * 2, (uint64_t)LATER_NS);
}

/* Somebody waits in open(2). */
static void on_open(struct procfs_lease *l, int fd)
{
	for (unsigned i = 0; i < l->n; i++) {
		struct live_file *f = &l->file[i];

		if (f->fd != fd && fd >= 0)
			continue;
		rewrite(l, f);
		host_result(fcntl(f->fd, F_SETLEASE, F_UNLCK));
		f->leased = false;
		f->wait_ns = SOON_NS;
		f->again_ns = host_now() + f->wait_ns;
	}
}

/* Return: when the next is due, 0 if all are leased. */
static uint64_t handle_due(struct procfs_lease *l)
{
	uint64_t next = 0, now = host_now();

	for (unsigned i = 0; i < l->n; i++) {
		struct live_file *f = &l->file[i];

		if (!f->leased && f->again_ns <= now) {
			rewrite(l, f);
			try_lease(l, f);
		}
		if (!f->leased && (!next || f->again_ns < next))
			next = f->again_ns;
	}
	return next;
}

static int wait_for_open(uint64_t until_ns, siginfo_t *si)
{
	struct timespec left = {};
	uint64_t now = host_now();
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, lease_signal());
	sigaddset(&set, SIGIO);		/* in its place when the queue is full */
	if (!until_ns)
		return host_result(sigwaitinfo(&set, si));
	if (until_ns > now) {
		left.tv_sec = (until_ns - now) / NSEC_PER_SEC;
		left.tv_nsec = (until_ns - now) % NSEC_PER_SEC;
	}
	return host_result(sigtimedwait(&set, si, &left));
}

static void own_signals(struct procfs_lease *l)
{
	struct f_owner_ex me = { F_OWNER_TID, host_call(SYS_gettid) };

	for (unsigned i = 0; i < l->n; i++) {
		host_result(fcntl(l->file[i].fd, F_SETSIG, lease_signal()));
		host_result(fcntl(l->file[i].fd, F_SETOWN_EX, &me));
		l->file[i].wait_ns = SOON_NS;
		try_lease(l, &l->file[i]);
	}
}

static void *keep(void *lease)
{
	struct procfs_lease *l = lease;

	pthread_setname_np(pthread_self(), "weir-procfs");
	own_signals(l);
	sem_post(&l->ready);
	for (;;) {
		siginfo_t si;
		int sig = wait_for_open(handle_due(l), &si);

		if (sig == lease_signal())
			on_open(l, si.si_fd);
		else if (sig == SIGIO)
			on_open(l, -1);
	}
	return NULL;
}

static int open_files(struct procfs_lease *l, int dir)
{
	for (unsigned i = 0; i < proc_nnodes && l->n < MAX_LIVE; i++) {
		const struct proc_node *n = &proc_nodes[i];
		char path[64];
		int fd;

		if (n->kind != PROC_FILE || !n->live)
			continue;
		/* The table has live files in the root and in node/node0. */
		snprintf(path, sizeof(path), "%s%s", n->parent == PROC_ROOT ? "" : "node/node0/",
			 n->name);
		fd = host_openat(dir, path, O_RDWR | O_NOFOLLOW, 0);
		if (fd == -ENOENT)
			continue;
		if (fd < 0)
			return fd;
		l->file[l->n++] = (struct live_file){ .index = i, .fd = fd };
	}
	return 0;
}

static void release(struct procfs_lease *l)
{
	for (unsigned i = 0; i < l->n; i++)
		close(l->file[i].fd);
	text_free(&l->text);
	free(l);
}

int procfs_lease_start(struct kernel *k, int fd, struct procfs_lease **ret_l)
{
	struct procfs_lease *l = calloc(1, sizeof(*l));
	cleanup_fd int dir = fd;
	int ret;

	if (!l)
		return -ENOMEM;
	l->k = k;
	sem_init(&l->ready, 0, 0);
	ret = open_files(l, dir);
	if (ret == 0)
		ret = -pthread_create(&l->thread, NULL, keep, l);
	if (ret < 0) {
		release(l);
		return ret;
	}
	/* What is opened before there is a lease would be as old as the boot. */
	while (sem_wait(&l->ready) < 0)
		;
	*ret_l = l;
	return 0;
}

void procfs_lease_stop(struct procfs_lease *l)
{
	if (!l)
		return;
	/* It is in sigwaitinfo(2), or about to be, and holds nothing we do not free. */
	pthread_cancel(l->thread);
	pthread_join(l->thread, NULL);
	release(l);
}
