/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_kernel.c - the guest kernel's side of the agent
 */
#include "ns/agent.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "ns/act.h"
#include "ns/agent_wire.h"
#include "passthrough/hostcall.h"

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

/* What came with the first answer: see agent.c. */
static int take_first(struct agent *a, const struct agent_config *cfg, int *fd, struct ns_error *err)
{
	int n = NUM_AGENT_NS, view = cfg->view->n ? fd[n++] : -1, ret;

	memcpy(a->ns, fd, sizeof(a->ns));
	a->disks = cfg->has_disks ? fd[n] : -1;
	ret = cfg->meanwhile(cfg->ctx, err);
	if (ret == 0 && cfg->view->n)
		ret = cfg->serve_view(cfg->ctx, view, err);
	return ret;
}

static int explain(int ret, const struct agent_reply *r, struct ns_error *err)
{
	if (ret < 0)
		snprintf(err->text, sizeof(err->text), "%s",
			 r->text[0] ? r->text : "the agent died while it built the guest");
	return ret;
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
	return ret < 0 ? explain(ret, &r, err) : take_first(a, cfg, fds, err);
}

int agent_wait(struct agent *a, agent_mount_fn *mount_disk, void *ctx, struct ns_error *err)
{
	for (;;) {
		cleanup_fd int disk = -1, tree = -1;
		struct agent_reply r = {};
		int fds[HOST_MAX_FDS], ret = get_reply(a, a->sock, &r, fds);

		if (ret < 0 || !r.wants)
			return explain(ret, &r, err);
		disk = fds[0];
		tree = mount_disk(ctx, r.wants - 1, disk, r.ino, err);
		ret = tree < 0 ? tree : host_send(a->sock, "m", 1, &tree, 1);
		if (ret < 0)
			return ret;
	}
}

void agent_leave(struct agent *a)
{
	/* It may be waiting for a process that was killed. */
	if (a->pid > 0)
		host_pidfd_kill(a->pidfd, SIGKILL);
	for (int i = 0; i < NUM_AGENT_NS; i++) {
		cleanup_fd_p(&a->ns[i]);
		a->ns[i] = -1;
	}
}

void agent_stop(struct agent *a)
{
	if (a->sock < 0)
		return;
	agent_leave(a);
	cleanup_fd_p(&a->sock);
	cleanup_fd_p(&a->mounter);
	cleanup_fd_p(&a->pidfd);
	a->sock = a->mounter = a->pidfd = -1;
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
