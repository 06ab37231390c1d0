/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.c - our process inside the guest's namespaces
 *
 * Its life, and the requests that it answers itself; spawn.c and act.c have
 * those that need a process of their own, agent_kernel.c who asks.
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

#include "kernel/cleanup.h"
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

/* The first answer: the namespaces, the view if there is one, and the disks if there
 * may be some. They are served while we build the rest: by then they answer. */
static int show_namespaces(const struct agent_config *cfg, int sock, struct ns_error *err)
{
	int fd[NUM_AGENT_NS + 2] = { -1, -1, -1, -1, -1 }, n = NUM_AGENT_NS;
	int ret = open_namespaces(fd, err);

	if (ret == 0 && cfg->view->n)
		ret = fd[n++] = view_mount(cfg->view, root_cover(cfg->root), err);
	if (ret >= 0 && cfg->has_disks)
		ret = fd[n++] = disk_dir_mount(err);
	if (ret >= 0)
		ret = agent_send_reply(sock, 0, 0, "", fd, n);
	for (int i = 0; i < n; i++)
		cleanup_fd_p(&fd[i]);
	return ret;
}
_Static_assert(NUM_AGENT_NS + 2 <= HOST_MAX_FDS, "one message has all of them");

/* The file system of a disk: the guest kernel has it read. Return: its mount, detached. */
static int mount_disk(const struct agent_config *cfg, int sock, unsigned i, struct ns_error *err)
{
	const struct agent_mount *m = &cfg->mount[i];
	struct agent_reply r = { .wants = i + 1 };
	cleanup_fd int disk = disk_dir_open(m->disk, m->readonly, &r.ino);
	int fds[HOST_MAX_FDS], ret;
	char go;

	if (disk < 0)
		return ns_fail(err, disk, "%s: /dev/ubd%s: %s", m->what, m->disk,
			       disk == -ENOENT ? "the disk has no such partition" : strerror(-disk));
	ret = host_send(sock, &r, sizeof(r), &disk, 1);
	if (ret == 0)
		ret = host_recv(sock, &go, 1, fds) == 1 && fds[0] >= 0 ? fds[0] : -EPIPE;
	return ret;
}

/* The root comes first, if it is one of them. */
static int build_root(const struct agent_config *cfg, int sock, struct ns_error *err)
{
	unsigned i = 0;
	int ret = 0;

	if (cfg->nmounts && !*cfg->mount[0].at) {
		ret = mount_disk(cfg, sock, i++, err);
		if (ret >= 0)
			root_give(cfg->root, ret);
	}
	if (ret >= 0)
		ret = root_build(cfg->root, err);
	for (; ret >= 0 && i < cfg->nmounts; i++) {
		cleanup_fd int tree = mount_disk(cfg, sock, i, err);

		ret = tree < 0 ? tree : root_attach(cfg->root, cfg->mount[i].at, tree, err);
	}
	if (ret >= 0)
		root_check_cwd(cfg->root);
	return MIN(ret, 0);
}

static int build(const struct agent_config *cfg, int sock, int mounter, struct root_kept *kept,
		 struct ns_error *err)
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
		ret = build_root(cfg, sock, err);
	if (ret == 0)
		ret = root_keep_console(cfg->root, kept, err);
	if (ret == 0 && cfg->has_disks)
		ret = disk_dir_build(cfg->root, cfg->disks, cfg->ndisks, &kept->disks, err);
	if (ret == 0 && cfg->net_up)
		ret = net_up(err);
	if (ret == 0 && cfg->hostname) {
		ret = host_result(sethostname(cfg->hostname, strlen(cfg->hostname)));
		if (ret < 0)
			snprintf(err->text, sizeof(err->text), "hostname %s: %s", cfg->hostname,
				 strerror(-ret));
	}
	return ret;
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

void agent_main(const struct agent_config *cfg, int sock, int mounter)
{
	struct agent_self *self = calloc(1, sizeof(*self));
	struct ns_error err = {};
	int ret;

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
	ret = build(cfg, sock, mounter, &self->kept, &err);
	if (ret == 0)
		ret = confine_agent(cfg, &err);
	/* The guest's own, from before it entered its root. */
	host_null_stdio(0, 2);
	if (agent_send_reply(sock, ret, 0, err.text, NULL, 0) < 0 || ret < 0)
		_exit(1);
	serve(self);
}

void agent_die_with_kernel(int reply)
{
	struct pollfd p = { .fd = reply };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (poll(&p, 1, 0) > 0 && (p.revents & POLLHUP))
		_exit(125);
}
