/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.c - processes that the kernel itself puts into the guest
 *
 * Init, and those of `weir exec`. Each has a mask of its own, and so a
 * listener and a door of its own, which all its descendants share; the door is
 * closed when the last of them is gone. The kernel is their parent.
 */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "kernel/cleanup.h"
#include "kernel/kernel.h"
#include "kernel/log.h"
#include "kernel/sched.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define PROCESS_OF(src) ((struct guest_process *)((char *)(src) - offsetof(struct guest_process, hangup)))

static void process_free(struct guest_process *p)
{
	struct guest_process **pp;

	for (pp = &p->kernel->process; *pp; pp = &(*pp)->next) {
		if (*pp == p) {
			*pp = p->next;
			break;
		}
	}
	cleanup_fd_p(&p->pidfd);
	free(p);
}

/* The hang-up's source was removed. At the end of the guest the door's threads
 * end with us, and need not be waited for. */
static void on_removed(struct event_source *src)
{
	struct guest_process *p = PROCESS_OF(src);

	if (p->kernel->state != GUEST_DEAD)
		door_close(p->door);
	process_free(p);
}

/* Nobody is left behind the listener. */
static void on_hangup(struct kernel *k, struct event_source *src, uint32_t events)
{
	event_remove(&k->ev, src);
}

static int open_door(struct kernel *k, struct spawned *s, struct guest_process *p)
{
	struct door_config cfg = {
		.listener = s->listener,
		.lanes = k->cfg->lanes,
		.counter = k->counter,
		.handler = syscall_handle,
		.ctx = k,
		.recorder = k->cfg->recorder,
	};

	if (s->listener < 0)
		return 0;
	return door_open(&cfg, &p->door);
}

/* The process has ended; those it left behind still need the door. Not watched
 * before: every trap would have to wake the event loop's place in the
 * listener's queue, too. */
static int await_hangup(struct kernel *k, struct guest_process *p)
{
	p->hangup = (struct event_source){
		.fd = door_listener(p->door),
		.name = "hangup",
		.handler = on_hangup,
		.release = on_removed,
	};
	/* EPOLLHUP alone: requests are the door's business. */
	return event_add(&k->ev, &p->hangup, 0);
}

static void note_stdio(struct guest_process *p, const struct spawn_request *rq)
{
	struct stat st;

	for (int i = 0; i < 3; i++) {
		if (fstat(rq->stdio[i], &st) < 0)
			continue;
		p->stdio[i].dev = st.st_dev;
		p->stdio[i].ino = st.st_ino;
	}
}

/* A pipe that root hands to a guest belongs to host root, whom the guest does
 * not have: it could read and write it, but not open it again as /dev/stdout.
 * Pipes have no other owner to mind; files and terminals are left alone. */
static void adopt_pipes(const struct kernel *k, const struct spawn_request *rq)
{
	int64_t uid = ids_to_outer(&k->guest_uid, 0), gid = ids_to_outer(&k->guest_gid, 0);
	struct statfs fs;

	for (int i = 0; i < 3 && !k->cfg->rootless && uid >= 0 && gid >= 0; i++)
		if (fstatfs(rq->stdio[i], &fs) == 0 && fs.f_type == PIPEFS_MAGIC)
			host_result(fchown(rq->stdio[i], uid, gid));
}

int process_start(struct kernel *k, const struct spawn_request *rq, struct client *client,
		  struct guest_process **ret, struct ns_error *err)
{
	struct guest_process *p = calloc(1, sizeof(*p));
	struct spawned s;
	int r;

	if (!p)
		return -ENOMEM;
	adopt_pipes(k, rq);
	note_stdio(p, rq);
	r = agent_spawn(&k->agent, rq, &s, err);
	if (r < 0) {
		free(p);
		return r;
	}
	p->kernel = k;
	p->pid = s.pid;
	p->pidfd = s.pidfd;
	p->client = client;
	r = cgroup_attach(&k->cgroup, s.pid);
	if (r < 0)
		snprintf(err->text, sizeof(err->text), "cgroup: %s", strerror(-r));
	if (r == 0)
		r = open_door(k, &s, p);
	if (r < 0)
		host_pidfd_kill(s.pidfd, SIGKILL);
	sched_adopt(k, s.pid);
	int go = spawn_go(&s, err);

	if (r == 0)
		r = go;
	if (r == 0)
		sched_adopted(k, p->pid);
	if (r < 0) {
		waitpid(p->pid, NULL, 0);
		door_close(p->door);
		process_free(p);
		return r;
	}
	p->next = k->process;
	k->process = p;
	*ret = p;
	return 0;
}

static int wait_status(const siginfo_t *si)
{
	return si->si_code == CLD_EXITED ? si->si_status : 128 + si->si_status;
}

static void ended(struct kernel *k, struct guest_process *p, int status)
{
	p->pid = 0;
	if (p->client)
		client_process_ended(k, p->client, status);
	p->client = NULL;
	if (!p->door || await_hangup(k, p) < 0)
		process_free(p);
}

/* A child has ended. */
static void reaped(struct kernel *k, const siginfo_t *si)
{
	struct guest_process *p, *next;

	if (si->si_pid == k->init_pid) {
		k->exit_status = wait_status(si);
		k->state = GUEST_DEAD;
		k->init_pid = 0;
		log_info("init: ended with status %d", k->exit_status);
		event_stop(&k->ev);
	}
	if (si->si_pid == k->agent.pid) {
		k->agent.pid = 0;
		if (k->state != GUEST_DEAD) {
			log_err("agent: died");
			guest_end(k, END_KILLED);
		}
	}
	for (p = k->process; p; p = next) {
		next = p->next;
		if (p->pid == si->si_pid)
			ended(k, p, wait_status(si));
	}
}

/*
 * A child that another thread of ours has stopped for a moment (tracee.h) shows
 * that stop here as well, whatever we wait for: it is the other thread's to take.
 * Return: was there one that has ended?
 */
static bool reap(struct kernel *k, idtype_t which, pid_t pid, int whose)
{
	siginfo_t si = {};

	if (waitid(which, pid, &si, WEXITED | WNOHANG | WNOWAIT | whose) != 0 || !si.si_pid ||
	    (si.si_code != CLD_EXITED && si.si_code != CLD_KILLED && si.si_code != CLD_DUMPED))
		return false;
	pid = si.si_pid;
	si.si_pid = 0;
	if (waitid(P_PID, pid, &si, WEXITED | WNOHANG) != 0 || !si.si_pid)
		return false;
	reaped(k, &si);
	return true;
}

/*
 * Reap every child that has ended: guest processes, the agent, ushers. A stop
 * hides the children behind it, and one that was a tracee when it died is seen
 * only in all threads' names: those that somebody waits for are asked for by id.
 */
void process_reap(struct kernel *k)
{
	struct guest_process *p, *next;

	while (reap(k, P_ALL, 0, __WNOTHREAD))
		;
	if (k->agent.pid)
		reap(k, P_PID, k->agent.pid, 0);
	for (p = k->process; p; p = next) {
		next = p->next;
		if (p->pid)
			reap(k, P_PID, p->pid, 0);
	}
}

void process_forget_client(struct kernel *k, struct client *c)
{
	for (struct guest_process *p = k->process; p; p = p->next) {
		if (p->client != c)
			continue;
		p->client = NULL;
		/* Who asked for it went away: as if its terminal had. */
		if (p->pid)
			host_pidfd_kill(p->pidfd, SIGHUP);
	}
}
