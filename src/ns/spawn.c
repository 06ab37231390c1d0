/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn.c - how a process gets into the guest
 *
 *   kernel   sends the request with a reply socket, a shared page and stdio
 *   agent    forks a usher, outside the guest's pid namespace
 *   usher    arranges stdio, then clones the guest's process with a descriptor
 *            table in common, into the guest's pid namespace; the kernel is
 *            made the parent of both (CLONE_PARENT)
 *   process  readies itself, lays the mask over itself, and writes the number
 *            of the listener to the page: memory, since no call is certain now
 *   usher    finds the listener in its own table, sends it, ends
 *   kernel   opens the door, sets page->go; the process execs
 *
 * A usher is needed since who has entered a pid namespace for its children
 * cannot come back. The first process makes the pid namespace with its clone:
 * there the agent is its own usher. That process also mounts /proc, which only
 * one of the new pid namespace can, and makes the guest's root the root of the
 * mount namespace, and by that the agent's (pivot_root(2)). The agent detaches
 * the old one meanwhile: that takes the host a while, and some rest.
 *
 * None of them can be traced or looked into by the guest: their memory belongs
 * to the host's user namespace (not exec'ed since) and is not dumpable, so the
 * listener never comes within the guest's reach.
 */
#include "ns/agent.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/agent_wire.h"
#include "passthrough/hostcall.h"

struct spawn_job {
	struct agent_self *self;
	const struct agent_msg *msg;
	int fd[HOST_MAX_FDS];
	struct spawn_page *page;
	char *blob;
};

void spawn_give_up(struct spawn_page *page, int err, const char *why)
{
	snprintf(page->why, sizeof(page->why), "%s", why);
	atomic_store(&page->error, -err);
	_exit(125);
}

static char **split_strings(char **pos, const char *end, unsigned n)
{
	char **v = calloc(n + 1, sizeof(*v));

	for (unsigned i = 0; v && i < n; i++) {
		size_t left = end - *pos, len = strnlen(*pos, left);

		if (len == left)
			return NULL;
		v[i] = *pos;
		*pos += len + 1;
	}
	return v;
}

/* What the guest's init does for the whole guest. */
static void first_steps(const struct spawn_job *job)
{
	struct root *root = job->self->cfg->root;
	struct ns_error err = {};
	int pidns = host_open("/proc/self/ns/pid", O_RDONLY, 0), ret;

	if (pidns < 0)
		spawn_give_up(job->page, pidns, "spawn: no /proc/self/ns/pid");
	job->page->pidns = pidns;
	ret = root_mount_proc(root, &err);
	if (ret == 0)
		ret = root_enter(root, &err);
	if (ret < 0)
		spawn_give_up(job->page, ret, err.text);
	atomic_store(&job->page->entered, 1);
	host_call(SYS_futex, &job->page->entered, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void __attribute__((noreturn)) process_main(struct spawn_job *job)
{
	const struct agent_config *cfg = job->self->cfg;
	struct spawn s = {
		.flags = job->msg->flags,
		.page = job->page,
		.program = job->fd[FD_PROGRAM],
	};
	char *pos = job->blob, *end = job->blob + job->msg->size;

	agent_die_with_kernel(job->fd[FD_REPLY]);
	if (s.flags & SPAWN_FIRST)
		first_steps(job);
	if (s.flags & SPAWN_SESSION)
		setsid();
	else
		setpgid(0, 0);	/* kill(0, …) is not to reach the kernel */
	s.argv = split_strings(&pos, end, job->msg->argc);
	s.envp = split_strings(&pos, end, job->msg->envc);
	if (!s.argv || !s.envp || strnlen(pos, end - pos) == (size_t)(end - pos))
		spawn_give_up(job->page, -EINVAL, "spawn: malformed request");
	s.cwd = s.flags & SPAWN_ANYWHERE ? root_cwd(cfg->root) : pos;
	cfg->enter(cfg->ctx, &s);
}

static int place_stdio(struct spawn_job *job)
{
	/* From the highest down: none lands on another's source, they are all > 2. */
	for (int i = 2; i >= 0; i--) {
		int ret = host_result(dup2(job->fd[FD_STDIO + i], i));

		if (ret < 0)
			return ret;
	}
	return 0;
}

static pid_t clone_process(unsigned flags)
{
	/* CLONE_PARENT: the kernel is the parent, whatever its exit signal. */
	return host_call(SYS_clone, CLONE_PARENT | CLONE_FILES | SIGCHLD | flags, 0, 0, 0, 0);
}

/* Wait until a word of the page is written. Who writes it wakes us, if the mask
 * lets it: so look every now and then. Ends early, with 0, if the process does. */
static int await_word(_Atomic int *word, int pidfd)
{
	struct timespec nap = { .tv_nsec = 300000 };
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };

	while (!atomic_load(word) && poll(&ended, 1, 0) == 0)
		host_call(SYS_futex, word, FUTEX_WAIT, 0, &nap, NULL, 0);
	return atomic_load(word);
}

static int await_listener(const struct spawn_job *job, int pidfd)
{
	return await_word(&job->page->listener, pidfd) ?: -ESRCH;
}

/* The process is there and masked, or has given up. */
static int report_process(struct spawn_job *job, pid_t pid, int pidfd, int listener)
{
	if (listener == -ESRCH)
		return agent_send_reply(job->fd[FD_REPLY], -ECHILD, pid, "ended early", &pidfd, 1);
	return agent_send_reply(job->fd[FD_REPLY], 0, pid, "", (int[]){ pidfd, listener - 1 },
				listener == SPAWN_NO_LISTENER ? 1 : 2);
}

static int report_error(struct spawn_job *job, int err, const char *what)
{
	return agent_send_reply(job->fd[FD_REPLY], err, 0, what, NULL, 0);
}

static int usher(struct spawn_job *job)
{
	int pidfd, ret;
	pid_t pid;

	agent_die_with_kernel(job->fd[FD_REPLY]);
	ret = host_call(SYS_setns, job->self->pidns, CLONE_NEWPID);
	if (ret < 0)
		return report_error(job, ret, "cannot enter the guest's pid namespace");
	ret = place_stdio(job);
	if (ret < 0)
		return report_error(job, ret, "cannot arrange stdio");
	pid = clone_process(0);
	if (pid == 0)
		process_main(job);
	if (pid < 0)
		return report_error(job, pid, "cannot fork into the guest");
	pidfd = host_pidfd_open(pid, 0);
	if (pidfd < 0)
		return report_error(job, pidfd, "cannot hold the new process");
	return report_process(job, pid, pidfd, await_listener(job, pidfd));
}

/* Init enters the root, and we with it. While it readies itself, take away the
 * old root, put our files over those of /proc and /sys, and keep what the guest
 * must not be able to change under us. Return: 0 before init may run. */
static int share_root(struct agent_self *self, struct spawn_job *job, int host)
{
	struct ns_error err = {};
	int ret;

	/* While init is on its way. */
	if (self->cfg->view->n)
		view_prepare(self->cfg->view, host, AT_FDCWD);
	if (!await_word(&job->page->entered, self->init_pidfd))
		return -ESRCH;
	ret = root_detach_old(self->cfg->root, &err);
	if (ret == 0)
		ret = view_attach(self->cfg->view, AT_FDCWD, &err);
	if (ret == 0)
		ret = root_keep(self->cfg->root, &self->kept, &err);
	if (ret < 0)
		log_err("%s", err.text);
	return ret;
}

/* The descriptors are no longer common with init's: take back what was for it. */
static void part_from_init(struct agent_self *self, struct spawn_job *job, int null, int listener)
{
	if (host_result(unshare(CLONE_FILES)) < 0)
		return;
	self->pidns = job->page->pidns;
	for (int i = 0; i < 3; i++)
		host_result(dup2(null, i));
	if (listener > 0)
		close(listener - 1);
}

static int first_spawn(struct agent_self *self, struct spawn_job *job)
{
	/* stdin is /dev/null, as are the other two. */
	cleanup_fd int null = host_result(fcntl(0, F_DUPFD_CLOEXEC, 3));
	/* Looked at after init has moved it away. */
	cleanup_fd int host = host_open("/", O_PATH | O_DIRECTORY, 0);
	int ret = null < 0 ? null : place_stdio(job), listener;
	pid_t pid;

	if (ret < 0)
		return report_error(job, ret, "cannot arrange stdio");
	pid = clone_process(CLONE_NEWPID);
	if (pid == 0)
		process_main(job);
	if (pid < 0)
		return report_error(job, pid, "cannot make the guest's pid namespace");
	self->init_pidfd = host_pidfd_open(pid, 0);
	if (self->init_pidfd < 0)
		return report_error(job, self->init_pidfd, "cannot hold the guest's init");
	ret = share_root(self, job, host);
	if (ret < 0 && ret != -ESRCH)
		return report_error(job, ret, "cannot take the host's root away");
	listener = await_listener(job, self->init_pidfd);
	ret = report_process(job, pid, self->init_pidfd, listener);
	part_from_init(self, job, null, listener);
	view_settle();
	return ret;
}

static void later_spawn(struct agent_self *self, struct spawn_job *job)
{
	pid_t pid = host_call(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(usher(job) < 0);
	/* The kernel wants to know if the usher dies before it has spoken. */
	if (pid > 0)
		host_send(job->fd[FD_REPLY], &(struct agent_reply){ .usher = 1, .pid = pid },
			  sizeof(struct agent_reply), NULL, 0);
}

void agent_do_spawn(struct agent_self *self, const struct agent_msg *msg, int *fds)
{
	struct spawn_job job = { .self = self, .msg = msg };

	memcpy(job.fd, fds, sizeof(job.fd));
	job.page = mmap(NULL, sizeof(*job.page), PROT_READ | PROT_WRITE, MAP_SHARED, fds[FD_PAGE],
			0);
	job.blob = mmap(NULL, msg->size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fds[FD_BLOB], 0);
	if (job.page == MAP_FAILED || job.blob == MAP_FAILED || msg->size == 0)
		return;
	if (msg->flags & SPAWN_FIRST)
		first_spawn(self, &job);
	else
		later_spawn(self, &job);
	munmap(job.page, sizeof(*job.page));
	munmap(job.blob, msg->size);
}

/* ---- the kernel's side ------------------------------------------------- */

static uint32_t count_strings(char *const *list, uint32_t *bytes)
{
	uint32_t n = 0;

	for (; list && list[n]; n++)
		*bytes += strlen(list[n]) + 1;
	return n;
}

static char *copy_strings(char *const *list, char *to)
{
	for (; list && *list; list++)
		to = stpcpy(to, *list) + 1;
	return to;
}

/* The strings of argv, then those of envp, then the directory. */
static int pack_strings(int fd, const struct spawn_request *rq, struct agent_msg *msg)
{
	const char *cwd = rq->cwd ? rq->cwd : "";
	cleanup_free char *blob = NULL;

	msg->size = strlen(cwd) + 1;
	msg->argc = count_strings(rq->argv, &msg->size);
	msg->envc = count_strings(rq->envp, &msg->size);
	blob = malloc(msg->size);
	if (!blob)
		return -ENOMEM;
	strcpy(copy_strings(rq->envp, copy_strings(rq->argv, blob)), cwd);
	return MIN(host_write(fd, blob, msg->size), 0);
}

static int memory_fd(const char *name, size_t size)
{
	int fd = host_result(memfd_create(name, MFD_CLOEXEC));

	if (fd >= 0 && size)
		host_result(ftruncate(fd, size));
	return fd;
}

/* Return: the socket on which it is answered. */
static int send_spawn(struct agent *a, const struct spawn_request *rq, int page)
{
	struct agent_msg msg = { .op = AGENT_SPAWN, .flags = rq->flags };
	cleanup_fd int blob = memory_fd("weir-spawn", 0);
	int ret;

	if (blob < 0)
		return blob;
	ret = pack_strings(blob, rq, &msg);
	if (ret < 0)
		return ret;
	return agent_request(a, &msg, sizeof(msg),
			     (int[]){ page, blob, rq->stdio[0], rq->stdio[1], rq->stdio[2],
				      rq->program },
			     rq->program >= 0 ? 6 : 5);
}

static void spawn_release(struct spawn_page *page, int go)
{
	atomic_store(&page->go, go);
	host_call(SYS_futex, &page->go, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void spawned_release(struct spawned *s)
{
	if (s->page)
		munmap(s->page, sizeof(*s->page));
	s->page = NULL;
	cleanup_fd_p(&s->reply);
	s->reply = -1;
}

/* The usher's report. The agent names the usher first, or, when the usher is
 * quick, too late to matter. */
static int await_usher(const struct agent *a, int sock, struct agent_reply *r,
		       int fds[HOST_MAX_FDS])
{
	cleanup_fd int usher = -1;

	for (;;) {
		ssize_t n = agent_await(sock, (int[]){ a->pidfd, usher }, r, sizeof(*r), fds);

		if (n < 0)
			return n;
		if (n != sizeof(*r))
			return -EPIPE;
		if (!r->usher)
			break;
		if (usher < 0)
			usher = MAX(host_pidfd_open(r->pid, 0), -1);
	}
	r->text[sizeof(r->text) - 1] = '\0';
	return r->result;
}

/* What the process wrote before it gave up, if it did. */
static int spawn_error(const struct spawn_page *page, struct ns_error *err)
{
	int e = atomic_load(&page->error);

	if (!e)
		return 0;
	snprintf(err->text, sizeof(err->text), "%.247s", page->why);
	return -e;
}

int agent_spawn(struct agent *a, const struct spawn_request *rq, struct spawned *ret_s,
		struct ns_error *err)
{
	cleanup_fd int page = memory_fd("weir-spawn-page", sizeof(struct spawn_page));
	struct spawned s = { .pidfd = -1, .listener = -1, .reply = -1 };
	struct agent_reply r = {};
	int fds[HOST_MAX_FDS], ret;

	if (page < 0)
		return page;
	s.page = mmap(NULL, sizeof(*s.page), PROT_READ | PROT_WRITE, MAP_SHARED, page, 0);
	if (s.page == MAP_FAILED)
		return host_result(-1);
	s.reply = send_spawn(a, rq, page);
	ret = MIN(s.reply, 0);
	if (ret == 0 && rq->meanwhile)
		ret = rq->meanwhile(rq->ctx, err);
	if (ret == 0)
		ret = await_usher(a, s.reply, &r, fds);
	if (ret < 0) {
		int why = spawn_error(s.page, err);

		/* If there is a process after all, it is not to wait for us. */
		spawn_release(s.page, SPAWN_GIVE_UP);
		if (!why && !err->text[0])
			ns_fail(err, ret, "%.200s: %s",
				r.text[0] ? r.text : "cannot start a process in the guest",
				strerror(-ret));
		spawned_release(&s);
		return why ? why : ret;
	}
	s.pid = r.pid;
	s.pidfd = fds[0];
	s.listener = fds[1];
	*ret_s = s;
	return 0;
}

int spawn_go(struct spawned *s, struct ns_error *err)
{
	int fds[HOST_MAX_FDS], ret;
	struct agent_reply r;

	spawn_release(s->page, SPAWN_GO);
	/* The end of the socket is the exec, or the end. */
	while (agent_await(s->reply, (int[]){ s->pidfd, -1 }, &r, sizeof(r), fds) > 0)
		;
	ret = spawn_error(s->page, err);
	spawned_release(s);
	return ret;
}
