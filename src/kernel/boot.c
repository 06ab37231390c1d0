/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.c - the guest's start, step by step
 *
 * initcalls[] is the whole of it: each step's exit undoes it, in reverse, when
 * the guest ends or when a later step fails.
 */
#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "config.h"
#include "drivers/console.h"
#include "drivers/disks.h"
#include "kernel/cleanup.h"
#include "kernel/confine.h"
#include "kernel/guest_mount.h"
#include "kernel/guest_root.h"
#include "kernel/ids/guestids.h"
#include "kernel/kernel.h"
#include "kernel/log.h"
#include "kernel/machine/procfs.h"
#include "kernel/memory/memory.h"
#include "kernel/nets.h"
#include "kernel/sched.h"
#include "kernel/time/timekeeper.h"
#include "kernel/travel/travel.h"
#include "kernel/util.h"
#include "passthrough/embedded.h"
#include "passthrough/hostcall.h"

static const struct policy *policy(const struct kernel *k)
{
	return k->cfg->policy;
}

static bool new_ns(const struct kernel *k, enum policy_ns ns)
{
	return policy(k)->ns[ns].mode == NS_MODE_NEW;
}

/* ---- event ------------------------------------------------------------- */

static int events_init(struct kernel *k, struct ns_error *err)
{
	int ret = event_init(&k->ev);

	return ret < 0 ? ret : life_init(k, err);
}

static void events_exit(struct kernel *k)
{
	event_exit(&k->ev);
}

/* ---- userns: the guest's user namespace and its ids --------------------- */

static int userns_init(struct kernel *k, struct ns_error *err)
{
	const struct policy_namespace *ns = &policy(k)->ns[POLICY_NS_USER];
	const struct id_choice *ids = k->cfg->ids;
	struct stat st;

	k->guest_uid = ids->guest_uid;
	k->guest_gid = ids->guest_gid;
	if (ns->mode == NS_MODE_HOST) {
		k->guest_uid = k->guest_gid = (struct id_map){
			.n = 1, .e = { { 0, 0, UINT32_MAX } },
		};
		return 0;
	}
	if (ns->mode == NS_MODE_JOIN) {
		k->userns_fd = host_open(ns->path, O_RDONLY, 0);
		return k->userns_fd < 0 ? k->userns_fd : 0;
	}
	k->userns_fd = ids_new_userns(ids, err);
	if (k->userns_fd < 0)
		return k->userns_fd;
	if (fstat(k->userns_fd, &st) == 0)
		k->userns_inode = st.st_ino;
	log_info("ids: %s: %s", ids->how == IDS_HOW_RANGE ? "range" : "single", ids->reason);
	if (ids->identity_risk)
		log_warn("ids: host id 0 is mapped into the guest: guest root is host root to "
			 "every file it can reach");
	return 0;
}

static void userns_exit(struct kernel *k)
{
	cleanup_fd_p(&k->userns_fd);
	k->userns_fd = -1;
}

/* ---- cgroup ------------------------------------------------------------ */

static int cgroups_init(struct kernel *k, struct ns_error *err)
{
	const struct cgroup_limits limits = {
		.memory_bytes = policy(k)->mem.budget == BUDGET_STRICT ? 0 : policy_own_memory(policy(k)),
		.vcpus = policy(k)->vcpus,
	};
	int ret = cgroup_create(k->cfg->name, &limits, &k->cgroup, err);

	/* For whoever cleans up after us, should we be killed. */
	return ret < 0 ? ret : cgroup_record(&k->cgroup, k->cfg->state_dir);
}

static void cgroups_exit(struct kernel *k)
{
	cgroup_destroy(&k->cgroup);
	unlinkat(k->cfg->state_dir, "cgroup", 0);
}

static_assert((int)POLICY_NUM_NS == (int)NUM_NS && (int)POLICY_NS_CGROUP == (int)NS_CGROUP,
	      "the policy and nsproxy count namespaces alike");

/* ---- agent: the namespaces --------------------------------------------- */

/* The namespaces are there. */
static int agent_meanwhile(void *kernel, struct ns_error *err)
{
	int ret = nets_init(kernel, err);

	return ret < 0 ? ret : confine_boot(kernel, err);
}

static int agent_init(struct kernel *k, struct ns_error *err)
{
	static const enum ns_mode mode[] = {
		[NS_MODE_NEW] = NS_NEW,
		[NS_MODE_HOST] = NS_HOST,
		[NS_MODE_JOIN] = NS_JOIN,
	};
	const struct policy *p = policy(k);
	const int not_ours[] = { k->cfg->state_dir, k->cfg->state_lock, k->cfg->control,
				 k->cfg->monitor, -1 };
	struct view_config view;
	struct agent_config cfg = {
		.view = &view,
		.serve_view = procfs_serve,
		.not_ours = not_ours,
		.userns_fd = k->userns_fd,
		.ns = &k->ns,
		.hostname = new_ns(k, POLICY_NS_UTS) ? (p->hostname ? p->hostname : k->cfg->name) :
						       NULL,
		.root = k->root,
		.net_up = new_ns(k, POLICY_NS_NET),
		.caps = p->caps,
		.meanwhile = agent_meanwhile,
		.enter = guest_enter,
		.ctx = k,
	};
	struct stat st;
	int ret;

	cfg.has_disks = k->disks != NULL;
	cfg.ndisks = disks_names(k->disks, &cfg.disks);
	cfg.mounter = guest_mounts_ops();
	cfg.nmounts = guest_root_mounts(k, &cfg.mount);
	ret = procfs_plan(k, &view);
	nsproxy_init(&k->ns);
	for (int i = 0; i < POLICY_NUM_NS; i++) {
		k->ns.ns[i].mode = mode[p->ns[i].mode];
		k->ns.ns[i].path = p->ns[i].path;
	}
	k->ns.monotonic_ns = p->monotonic_offset_ns;
	k->ns.boottime_ns = p->boottime_offset_ns;
	if (ret == 0)
		ret = nsproxy_open(&k->ns, err);
	if (ret < 0)
		return ret;
	ret = agent_start(&k->agent, &cfg, err);
	if (ret == 0)
		ret = host_result(fstat(k->agent.ns[AGENT_MNT], &st));
	if (ret < 0)
		return ret;
	k->mntns_inode = st.st_ino;
	log_info("agent: namespaces are made");
	return 0;
}

static void agent_exit(struct kernel *k)
{
	procfs_exit(k);
	nets_exit(k);
	agent_stop(&k->agent);
	nsproxy_destroy(&k->ns);
}

/* ---- console ----------------------------------------------------------- */

static bool wants_pty(const struct kernel *k)
{
	const struct guest_config *cfg = k->cfg;

	switch (policy(k)->console) {
	case CONSOLE_PTY:
		return true;
	case CONSOLE_FD:
	case CONSOLE_NULL:
		return false;
	default:
		return cfg->detached || cfg->tty[0] || cfg->tty[1] || cfg->tty[2];
	}
}

static int console_init(struct kernel *k, struct ns_error *err)
{
	int master, slave, ret;

	if (!wants_pty(k))
		return 0;
	ret = agent_pty(&k->agent, true, &master, &slave);
	if (ret < 0) {
		snprintf(err->text, sizeof(err->text), "console: no pseudo-terminal: %s",
			 strerror(-ret));
		return ret;
	}
	console_size(master, k->cfg->stdio);
	ret = console_create(master, slave, &k->console);
	if (ret == 0 && k->cfg->detached)
		ret = console_keep(k->console, &k->ev);
	return ret;
}

static void console_exit(struct kernel *k)
{
	console_destroy(k->console);
	k->console = NULL;
}

/* ---- init -------------------------------------------------------------- */

/* Made by meson: the built-in init, init.c linked static and freestanding. */
extern const struct embedded_file kernel_files[];

/* The built-in init as a file that nobody can change: a sealed memfd. */
static int init_program(void)
{
	cleanup_fd int fd = host_result(memfd_create("weir-init", MFD_CLOEXEC | MFD_ALLOW_SEALING |
							  0x10 /* MFD_EXEC, Linux 6.3 */));
	int ret;

	if (fd == -EINVAL)
		fd = host_result(memfd_create("weir-init", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	if (fd < 0)
		return fd;
	ret = host_write(fd, kernel_files[0].data, kernel_files[0].size);
	if (ret >= 0)
		ret = host_result(fchmod(fd, 0555));
	if (ret >= 0)
		ret = host_result(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW |
					F_SEAL_SHRINK | F_SEAL_SEAL));
	return ret < 0 ? ret : take_fd(&fd);
}

/* stdio of init: the pty where the monitor has a terminal, else its own. */
static void init_stdio(struct kernel *k, struct spawn_request *rq, char *tty)
{
	const struct guest_config *cfg = k->cfg;

	*tty = '-';
	for (int i = 0; i < 3; i++) {
		bool pty = k->console && (cfg->detached || cfg->tty[i]);

		rq->stdio[i] = pty ? console_slave(k->console) : cfg->stdio[i];
		if (pty && *tty == '-')
			*tty = '0' + i;
	}
}

/* argv for the built-in init that runs CMD. */
static char **command_argv(const struct kernel *k, char *tty)
{
	size_t n = 0;
	char **argv;

	while (k->cfg->cmd[n])
		n++;
	argv = calloc(n + 3, sizeof(*argv));
	if (!argv)
		return NULL;
	argv[0] = (char *)"weir-init";
	argv[1] = tty;
	memcpy(argv + 2, k->cfg->cmd, n * sizeof(*argv));
	return argv;
}

/* The monitor builds the mask meanwhile. NULL: it was killed before it could;
 * its end of the socket says so, which is looked at every now and then. */
static const struct mask *await_mask(const struct kernel *k)
{
	struct guest_mask *m = k->cfg->mask;
	struct timespec nap = { .tv_nsec = 50000000 };
	struct pollfd monitor = { .fd = k->cfg->monitor };

	while (!atomic_load(&m->ready)) {
		host_call(SYS_futex, &m->ready, FUTEX_WAIT, 0, &nap, NULL, 0);
		if (poll(&monitor, 1, 0) > 0 && (monitor.revents & POLLHUP))
			return NULL;
	}
	return &m->mask;
}

static int init_init(struct kernel *k, struct ns_error *err)
{
	cleanup_free char **command = NULL;
	char *direct[] = { policy(k)->init, NULL }, tty[2] = "-";
	struct spawn_request rq = {
		.flags = SPAWN_FIRST | SPAWN_SESSION,
		.envp = k->cfg->env,
		.argv = direct,
		.cwd = guest_root_cwd(k),
		.program = -1,
		.meanwhile = confine_run,
		.ctx = k,
	};
	cleanup_fd int image = -1;
	const struct mask *mask = await_mask(k);
	struct guest_process *p;
	int ret;

	if (!policy(k)->cwd)
		rq.flags |= SPAWN_ANYWHERE;
	if (!mask)
		return -EPIPE;
	init_stdio(k, &rq, tty);
	if (k->cfg->cmd) {
		image = init_program();
		if (image < 0)
			return image;
		rq.program = image;
		rq.flags &= ~SPAWN_SESSION;	/* it makes one for its command */
		rq.argv = command = command_argv(k, tty);
		if (!command)
			return -ENOMEM;
	}
	ret = process_start(k, &rq, NULL, &p, err);
	if (ret < 0)
		return ret;
	k->init_pid = p->pid;
	k->init_pidfd = p->pidfd;
	if (p->door)
		log_info("mask: %u instructions; the trap door is open%s", mask->len,
			 door_sync_wakeup(p->door) ?
				 ", answering on the caller's CPU" :
				 "; no SYNC_WAKE_UP on this host: answers may cross CPUs");
	else
		log_info("mask: %u instructions; nothing is trapped", mask->len);
	return 0;
}

static void init_exit(struct kernel *k)
{
	if (k->init_pid && k->init_pidfd >= 0) {
		host_pidfd_kill(k->init_pidfd, SIGKILL);
		waitpid(k->init_pid, NULL, 0);
		k->init_pid = 0;
	}
}

static void controls_exit(struct kernel *k)
{
	control_exit(k);
}

/* ---- the list ---------------------------------------------------------- */

static const struct initcall {
	const char *name;
	int (*init)(struct kernel *k, struct ns_error *err);
	void (*exit)(struct kernel *k);
} initcalls[] = {
	{ "event",	events_init,	events_exit },	 /* signals, monitor, timers */
	{ "userns",	userns_init,	userns_exit },	 /* the guest's ids */
	{ "ids",	guestids_init,	guestids_exit }, /* users and owners, if we keep them */
	{ "cgroup",	cgroups_init,	cgroups_exit },	 /* the policy's limits */
	{ "memory",	memory_init,	memory_exit },	 /* how much, and who counts it */
	{ "sched",	sched_init,	sched_exit },	 /* the guest's CPUs */
	{ "disks",	guest_disks_init, guest_disks_exit },	 /* opened and locked */
	{ "root",	guest_root_init, guest_root_exit },	 /* opened, not yet mounted */
	{ "agent",	agent_init,	agent_exit },	 /* namespaces */
	{ "ubd",	ubd_init,	ubd_exit },	 /* the disks answer */
	{ "mounts",	guest_mounts_init, guest_mounts_exit },	 /* of file systems on them */
	{ "build",	guest_root_build, guest_root_leave },	 /* the root is mounted */
	{ "console",	console_init,	console_exit },
	{ "time",	timekeeper_init, timekeeper_exit }, /* the guest's clocks, if it has any */
	{ "travel",	travel_init,	travel_exit },	 /* and who takes them to the next deadline */
	{ "control",	control_init,	controls_exit }, /* weir exec, stats ... */
	{ "init",	init_init,	init_exit },	 /* mask, door, first program */
};
static_assert(ARRAY_SIZE(initcalls) <= BOOT_MAX_STEPS, "boot steps have no room");

int boot(struct kernel *k, struct ns_error *err)
{
	log_info("weir %s: guest %s, policy %s", WEIR_VERSION, k->cfg->name, policy(k)->name);
	for (size_t i = 0; i < ARRAY_SIZE(initcalls); i++) {
		uint64_t start = host_now();
		int ret = initcalls[i].init(k, err);

		if (ret < 0) {
			if (!err->text[0])
				snprintf(err->text, sizeof(err->text), "%s: %s", initcalls[i].name,
					 strerror(-ret));
			initcalls[i].exit(k);
			while (i-- > 0)
				initcalls[i].exit(k);
			return ret;
		}
		k->step[k->nsteps++] = (struct boot_step){ initcalls[i].name, host_now() - start };
		log_debug("boot: %s", initcalls[i].name);
	}
	k->state = GUEST_RUNNING;
	k->boot_ns = host_now() - k->start_ns;
	log_info("boot: init runs after %llu us", (unsigned long long)k->boot_ns / 1000);
	return 0;
}

void boot_undo(struct kernel *k)
{
	for (size_t i = ARRAY_SIZE(initcalls); i-- > 0;)
		initcalls[i].exit(k);
}
