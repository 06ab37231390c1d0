/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.c - our process inside the guest's namespaces
 *
 * Its life, and the requests that it answers itself; spawn.c and act.c have
 * those that need a process of their own.
 *
 * Neither it nor what it forks can be traced or looked into by the guest: their
 * memory belongs to the host's user namespace (nothing was exec'ed since) and
 * is not dumpable.
 */
#include "ns/agent.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/act.h"
#include "ns/agent_wire.h"
#include "ns/disk_dir.h"
#include "ns/mounter.h"
#include "ns/net.h"
#include "ns/rights.h"
#include "passthrough/hostcall.h"

int agent_send_reply(int sock, int result, pid_t pid, const char *text, const int *fds,
		      unsigned nfds)
{
	struct agent_reply r = { .result = result, .pid = pid };

	snprintf(r.text, sizeof(r.text), "%s", text);
	return host_send(sock, &r, sizeof(r), fds, nfds);
}

static void agent_do_pty(struct agent_self *self, const struct agent_msg *msg, int *fds)
{
	struct ns_error err = {};
	int pty[2] = { -1, -1 };
	int ret = root_open_pty(self->cfg->root, &self->kept, &pty[0], &pty[1], &err);

	if (ret == 0 && (msg->flags & 1))
		ret = root_bind_console(self->cfg->root, &self->kept, pty[1], &err);
	agent_send_reply(fds[0], ret, 0, err.text, pty, ret < 0 ? 0 : 2);
	close(pty[0]);
	close(pty[1]);
}

static void agent_do_act(struct agent_self *self, const struct agent_msg *msg, int *fds)
{
	pid_t pid = host_result(fork());

	if (pid == 0) {
		agent_die_with_kernel(fds[0]);
		close(self->sock);
		act_perform((const struct act_wire *)(msg + 1), msg->size, fds, self->pidns,
			    &self->kept);
	}
}

/* The name follows, with its NUL. */
static void agent_do_disk(struct agent_self *self, const struct agent_msg *msg, int *fds)
{
	const char *name = (const char *)(msg + 1);
	int ret = msg->size > 0 && name[msg->size - 1] == '\0' ? disk_dir_link(name, msg->flags & 1) :
								 -EINVAL;

	agent_send_reply(fds[0], ret, 0, "", NULL, 0);
}

/* ---- the agent's life -------------------------------------------------- */

static void (*const agent_op[NUM_AGENT_OPS])(struct agent_self *, const struct agent_msg *,
					      int *fds) = {
	[AGENT_SPAWN] = agent_do_spawn,
	[AGENT_PTY] = agent_do_pty,
	[AGENT_ACT] = agent_do_act,
	[AGENT_DISK] = agent_do_disk,
};

static void __attribute__((noreturn)) serve(struct agent_self *self)
{
	static char buf[sizeof(struct agent_msg) + sizeof(struct act_wire) + AGENT_MAX_DATA]
		__attribute__((aligned(16)));
	struct agent_msg *msg = (struct agent_msg *)buf;
	int fds[HOST_MAX_FDS];

	for (;;) {
		ssize_t n = host_recv(self->sock, buf, sizeof(buf), fds);

		if (n <= 0)
			break;
		if ((size_t)n >= sizeof(*msg) && msg->op < NUM_AGENT_OPS && fds[0] >= 0 &&
		    ((msg->op != AGENT_ACT && msg->op != AGENT_DISK) || msg->size == n - sizeof(*msg)))
			agent_op[msg->op](self, msg, fds);
		for (int i = 0; i < HOST_MAX_FDS; i++)
			cleanup_fd_p(&fds[i]);
	}
	/* The kernel is gone: no guest without it. */
	if (self->init_pidfd >= 0)
		host_pidfd_kill(self->init_pidfd, SIGKILL);
	_exit(0);
}

/* Its root is not ours: it goes before the host does. @sock is closed. */
static int start_mounter(const struct agent_config *cfg, int sock)
{
	const char *place = root_cover(cfg->root);
	int ret = place ? mounter_fork(cfg->mounter, place, sock) : 0;

	close(sock);
	return ret;
}

static int enter_userns(const struct agent_config *cfg, int mounter)
{
	int fd = cfg->userns_fd, ret = 0;

	if (fd >= 0) {
		ret = host_call(SYS_setns, fd, CLONE_NEWUSER);
		if (ret < 0)
			return ret;
	}
	if (mounter >= 0)
		ret = start_mounter(cfg, mounter);
	if (ret < 0)
		return ret;
	view_open_device();
	if (cfg->has_disks)
		disk_dir_open_device();
	if (fd < 0)
		return 0;
	/* With setgroups denied (a single id) the list stays, and does not matter. */
	setgroups(0, NULL);
	return rights_take_root();
}

/* For the kernel, whose threads work in some of them: while the host's /proc is
 * still there. */
static int open_namespaces(int ns[NUM_AGENT_NS], struct ns_error *err)
{
	static const char *const path[NUM_AGENT_NS] = {
		[AGENT_UTS] = "/proc/self/ns/uts",
		[AGENT_NET] = "/proc/self/ns/net",
		[AGENT_MNT] = "/proc/self/ns/mnt",
	};

	for (int i = 0; i < NUM_AGENT_NS; i++) {
		ns[i] = host_open(path[i], O_RDONLY, 0);
		if (ns[i] < 0)
			return ns_fail(err, ns[i], "%s: %s", path[i], strerror(-ns[i]));
	}
	return 0;
}

/* The first answer: the namespaces, and the view if there is one. It is served
 * while we build the rest: by then it answers. */
static int show_namespaces(const struct agent_config *cfg, int sock, struct ns_error *err)
{
	int fd[NUM_AGENT_NS + 1] = { -1, -1, -1, -1 }, n = NUM_AGENT_NS;
	int ret = open_namespaces(fd, err);

	if (ret == 0 && cfg->view->n)
		ret = fd[n++] = view_mount(cfg->view, root_cover(cfg->root), err);
	if (ret >= 0)
		ret = agent_send_reply(sock, 0, 0, "", fd, n);
	for (int i = 0; i < n; i++)
		cleanup_fd_p(&fd[i]);
	return ret;
}
_Static_assert(NUM_AGENT_NS + 1 <= HOST_MAX_FDS, "one message has all of them");

static int build(const struct agent_config *cfg, int sock, int mounter, struct root_kept *kept,
		 int *ret_disks, struct ns_error *err)
{
	int ret = nsproxy_join(cfg->ns, err);

	if (ret < 0)
		return ret;
	ret = enter_userns(cfg, mounter);
	if (ret < 0) {
		snprintf(err->text, sizeof(err->text), "user namespace: %s", strerror(-ret));
		return ret;
	}
	prctl(PR_SET_DUMPABLE, 0);
	ret = nsproxy_enter(cfg->ns, err);
	if (ret == 0)
		ret = show_namespaces(cfg, sock, err);
	if (ret == 0)
		ret = root_build(cfg->root, err);
	if (ret == 0)
		ret = root_keep_console(cfg->root, kept, err);
	if (ret == 0 && cfg->has_disks)
		ret = *ret_disks = disk_dir_build(cfg->root, cfg->disks, cfg->ndisks, &kept->disks, err);
	if (ret >= 0 && cfg->net_up)
		ret = net_up(err);
	if (ret >= 0 && cfg->hostname) {
		ret = host_result(sethostname(cfg->hostname, strlen(cfg->hostname)));
		if (ret < 0)
			snprintf(err->text, sizeof(err->text), "hostname %s: %s", cfg->hostname,
				 strerror(-ret));
	}
	return MIN(ret, 0);
}

/* What the agent and those that it forks still do in the guest's name: enter
 * namespaces, mount, take on a task's place and ids, lay the mask, end init. */
#define AGENT_CAPS                                                                                 \
	(BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_CHROOT) | BIT(CAP_SETUID) | BIT(CAP_SETGID) |            \
	 BIT(CAP_SETPCAP) | BIT(CAP_KILL) | BIT(CAP_CHOWN) | BIT(CAP_FOWNER) |                     \
	 BIT(CAP_DAC_OVERRIDE) | BIT(CAP_MKNOD) | BIT(CAP_SYS_NICE) | BIT(CAP_SYS_RESOURCE))

uint64_t agent_own_caps(void)
{
	return AGENT_CAPS;
}

/*
 * The root is built.
 *
 * Should:
 *  - leave no capability that neither a request nor the guest needs
 *  - let none of our writable memory become code
 * Must not:
 *  - take what the policy gives to the guest, whose tasks descend from us: so
 *    there is no filter here and no no_new_privs, which they would inherit, and
 *    they may make code
 */
static int confine_agent(const struct agent_config *cfg, struct ns_error *err)
{
	int ret = 0;

	/* In the host's user namespace init's capabilities are not ours to know. */
	if (cfg->userns_fd >= 0)
		ret = rights_keep(AGENT_CAPS | cfg->caps);
	if (ret < 0)
		return ns_fail(err, ret, "agent: capabilities: %s", strerror(-ret));
	rights_no_new_code(false);	/* where the host has it; the kernel's log says */
	return 0;
}

static void __attribute__((noreturn))
agent_main(const struct agent_config *cfg, int sock, int mounter)
{
	struct agent_self *self = calloc(1, sizeof(*self));
	struct ns_error err = {};
	int disks = -1, ret;

	for (const int *fd = cfg->not_ours; fd && *fd >= 0; fd++)
		close(*fd);
	prctl(PR_SET_NAME, "weir-agent");
	/* Not killed with the kernel: we hear of its end by the socket's, and then
	 * have something to do. Terminal signals are for the guest; act processes
	 * reap themselves. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	*self = (struct agent_self){ .cfg = cfg, .sock = sock, .pidns = -1, .init_pidfd = -1 };
	ret = build(cfg, sock, mounter, &self->kept, &disks, &err);
	if (ret == 0)
		ret = confine_agent(cfg, &err);
	/* The guest's own, from before it entered its root. */
	host_null_stdio(0, 2);
	if (agent_send_reply(sock, ret, 0, err.text, &disks, ret == 0 && disks >= 0) < 0 || ret < 0)
		_exit(1);
	cleanup_fd_p(&disks);
	serve(self);
}

/* ---- the kernel's side ------------------------------------------------- */

void agent_die_with_kernel(int reply)
{
	struct pollfd p = { .fd = reply };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (poll(&p, 1, 0) > 0 && (p.revents & POLLHUP))
		_exit(125);
}

int agent_request(struct agent *a, const void *msg, size_t size, const int *fds, unsigned nfds)
{
	int sv[2], all[HOST_MAX_FDS], ret;

	ret = host_result(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv));
	if (ret < 0)
		return ret;
	all[FD_REPLY] = sv[1];
	for (unsigned i = 0; i < nfds; i++)
		all[FD_REPLY + 1 + i] = fds[i];
	ret = host_send(a->sock, msg, size, all, FD_REPLY + 1 + nfds);
	close(sv[1]);
	if (ret == 0)
		return sv[0];
	close(sv[0]);
	return ret;
}

ssize_t agent_await(int sock, const int watched[2], void *buf, size_t len,
		    int fds[HOST_MAX_FDS])
{
	struct pollfd p[3] = {
		{ .fd = sock, .events = POLLIN },
		{ .fd = watched[0], .events = POLLIN },
		{ .fd = watched[1], .events = POLLIN },
	};
	ssize_t n;

	for (;;) {
		p[0].revents = 0;
		if (poll(p, 3, -1) < 0)
			continue;
		/* What was sent before an end still counts. */
		if (!p[0].revents && poll(p, 1, 0) == 0)
			return -EPIPE;
		n = host_recv(sock, buf, len, fds);
		return n == 0 ? -EPIPE : n;
	}
}

/* A reply that the agent itself gives. */
static int get_reply(const struct agent *a, int sock, struct agent_reply *r,
		     int fds[HOST_MAX_FDS])
{
	ssize_t n = agent_await(sock, (int[]){ a->pidfd, -1 }, r, sizeof(*r), fds);

	if (n < 0)
		return n;
	if (n != sizeof(*r))
		return -EPIPE;
	r->text[sizeof(r->text) - 1] = '\0';
	return r->result;
}

int agent_start(struct agent *a, const struct agent_config *cfg, struct ns_error *err)
{
	struct agent_reply r = {};
	int sv[2], mv[2] = { -1, -1 }, fds[HOST_MAX_FDS], ret;

	ret = host_result(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv));
	if (ret < 0)
		return ret;
	if (cfg->has_disks && cfg->mounter)
		ret = host_result(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, mv));
	a->pid = ret < 0 ? ret : host_result(fork());
	if (a->pid == 0) {
		/* Only what the agent needs; above all not the kernel's own ends. */
		close(sv[0]);
		cleanup_fd_p(&mv[0]);
		agent_main(cfg, sv[1], mv[1]);
	}
	close(sv[1]);
	cleanup_fd_p(&mv[1]);
	a->mounter = mv[0];
	a->sock = sv[0];
	if (a->pid < 0)
		return a->pid;
	a->pidfd = host_pidfd_open(a->pid, 0);
	ret = get_reply(a, a->sock, &r, fds);
	if (ret == 0) {
		memcpy(a->ns, fds, sizeof(a->ns));
		ret = cfg->meanwhile(cfg->ctx, err);
		if (ret == 0 && cfg->view->n)
			ret = cfg->serve_view(cfg->ctx, fds[NUM_AGENT_NS], err);
		if (ret < 0)
			return ret;
		ret = get_reply(a, a->sock, &r, fds);
	}
	if (ret < 0)
		snprintf(err->text, sizeof(err->text), "%s",
			 r.text[0] ? r.text : "the agent died while it built the guest");
	a->disks = ret == 0 && cfg->has_disks ? fds[0] : -1;
	return ret;
}

void agent_stop(struct agent *a)
{
	if (a->sock < 0)
		return;
	close(a->sock);
	a->sock = -1;
	cleanup_fd_p(&a->mounter);
	/* It may be waiting for a process that was killed. */
	if (a->pid > 0)
		host_pidfd_kill(a->pidfd, SIGKILL);
	cleanup_fd_p(&a->pidfd);
	for (int i = 0; i < NUM_AGENT_NS; i++)
		cleanup_fd_p(&a->ns[i]);
}

int agent_pty(struct agent *a, bool console, int *ret_master, int *ret_slave)
{
	struct agent_msg msg = { .op = AGENT_PTY, .flags = console };
	cleanup_fd int reply = agent_request(a, &msg, sizeof(msg), NULL, 0);
	struct agent_reply r = {};
	int fds[HOST_MAX_FDS], ret;

	ret = reply < 0 ? reply : get_reply(a, reply, &r, fds);
	if (ret < 0)
		return ret;
	*ret_master = fds[0];
	*ret_slave = fds[1];
	return 0;
}

int agent_disk(struct agent *a, const char *name, bool there)
{
	struct {
		struct agent_msg msg;
		char name[16];
	} rq = { .msg = { .op = AGENT_DISK, .flags = there } };
	cleanup_fd int reply = -1;
	struct agent_reply r = {};
	int fds[HOST_MAX_FDS];

	if (strlen(name) >= sizeof(rq.name))
		return -ENAMETOOLONG;
	strcpy(rq.name, name);
	rq.msg.size = strlen(name) + 1;
	reply = agent_request(a, &rq, sizeof(rq.msg) + rq.msg.size, NULL, 0);
	return reply < 0 ? reply : get_reply(a, reply, &r, fds);
}

static size_t pack_act(const struct act *act, struct act_wire *w)
{
	size_t used = 0;

	w->kind = act->kind;
	w->nr = act->nr;
	w->out_arg = act->out ? act->out_arg : -1;
	w->cred = *act->cred;
	for (int i = 0; i < 6; i++) {
		w->arg[i] = act->arg[i];
		w->len[i] = act->ptr[i] ? act->len[i] : ACT_NO_POINTER;
		if (!act->ptr[i])
			continue;
		if (act->len[i] > AGENT_MAX_DATA - used - 8)
			return 0;
		memcpy(w->data + used, act->ptr[i], act->len[i]);
		used += (act->len[i] + 7) & ~7u;
	}
	return sizeof(*w) + used;
}

long agent_act(struct agent *a, const struct act *act)
{
	size_t room = sizeof(struct agent_msg) + sizeof(struct act_wire) + AGENT_MAX_DATA;
	cleanup_free struct agent_msg *msg = malloc(room);
	cleanup_free struct act_result *r = malloc(sizeof(*r) + AGENT_MAX_DATA);
	cleanup_fd int reply = -1;
	int fds[HOST_MAX_FDS], sent[4] = { act->root, act->cwd, act->mntns }, nsent = 2;
	ssize_t n;

	if (!msg || !r)
		return -ENOMEM;
	*msg = (struct agent_msg){ .op = AGENT_ACT };
	msg->size = pack_act(act, (struct act_wire *)(msg + 1));
	if (!msg->size)
		return -E2BIG;
	if (act->mntns >= 0)
		nsent = 3;
	if (act->given) {
		sent[2] = act->mntns >= 0 ? act->mntns : a->ns[AGENT_MNT];
		sent[3] = *act->given;
		nsent = 4;
	}
	reply = agent_request(a, msg, sizeof(*msg) + msg->size, sent, nsent);
	if (reply < 0)
		return reply;
	n = agent_await(reply, (int[]){ a->pidfd, -1 }, r, sizeof(*r) + AGENT_MAX_DATA, fds);
	if (n < (ssize_t)sizeof(*r))
		return -EIO;
	if (act->got)
		*act->got = take_fd(&fds[0]);
	for (int i = 0; i < HOST_MAX_FDS; i++)
		cleanup_fd_p(&fds[i]);
	if (act->out && r->result >= 0)
		memcpy(act->out, r->data, MIN((size_t)n - sizeof(*r), act->len[act->out_arg]));
	return r->result;
}
