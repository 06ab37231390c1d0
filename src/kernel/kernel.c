/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel.c - the guest kernel's process, from the monitor's fork to its end
 */
#include "kernel/kernel.h"

#include <errno.h>
#include <linux/audit.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "drivers/console.h"
#include "kernel/log.h"
#include "kernel/memory/memory.h"
#include "kernel/sched.h"
#include "kernel/util.h"
#include "ns/rights.h"
#include "passthrough/hostcall.h"

static void tell_monitor(const struct kernel *k, struct monitor_msg *msg, int fd)
{
	host_send(k->cfg->monitor, msg, sizeof(*msg), &fd, fd >= 0);
}

/* Rootless: become root of a user namespace that the monitor maps. */
static int become_root(const struct guest_config *cfg, struct ns_error *err)
{
	struct monitor_msg msg = { .op = MONITOR_MAP_IDS };
	char go;
	int ret = host_result(unshare(CLONE_NEWUSER));

	if (ret < 0)
		return ids_explain_userns(ret, err);
	ret = host_send(cfg->monitor, &msg, sizeof(msg), NULL, 0);
	if (ret < 0 || host_read(cfg->monitor, &go, 1) != 1)
		return -ECHILD;		/* the monitor has said why */
	return rights_take_root();
}

static void block_signals(void)
{
	sigset_t all;

	/* Terminal signals are the guest's; SIGCHLD and SIGTERM come by descriptor. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
}

static void fail(const struct kernel *k, const struct ns_error *err)
{
	struct monitor_msg msg = { .op = MONITOR_FAILED };

	snprintf(msg.text, sizeof(msg.text), "%s", err->text);
	tell_monitor(k, &msg, -1);
	_exit(125);
}

static bool policy_makes_userns(const struct lanes *l)
{
	static const int calls[] = { SYS_clone, SYS_unshare, SYS_clone3 };

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		uint64_t arg[6] = { CLONE_NEWUSER | SIGCHLD };
		enum lane lane = lanes_lookup(l, AUDIT_ARCH_X86_64, calls[i], arg)->lane;

		/* sys_clone3() makes nothing, in whatever lane. */
		if (lane == LANE_PASS || lane == LANE_WATCH ||
		    (lane == LANE_FIX && calls[i] != SYS_clone3))
			return true;
	}
	return false;
}

static int start(struct kernel *k, struct ns_error *err)
{
	const struct guest_config *cfg = k->cfg;
	/* Away from the user's terminal: guest tasks may be in our session, which
	 * must never have one. */
	int ret = host_call(SYS_setsid);

	if (ret < 0)
		return ret;
	ret = log_init();
	if (ret < 0)
		return ret;
	k->counter = calloc(lanes_count(cfg->lanes), sizeof(*k->counter));
	if (!k->counter)
		return -ENOMEM;
	k->nested_userns = policy_makes_userns(cfg->lanes);
	if (cfg->rootless) {
		ret = become_root(cfg, err);
		if (ret < 0)
			return ret;
	}
	return boot(k, err);
}

void kernel_main(const struct guest_config *cfg)
{
	static struct kernel kernel;
	struct kernel *k = &kernel;
	struct ns_error err = {};
	struct monitor_msg msg = { .op = MONITOR_UP };
	int ret;

	prctl(PR_SET_NAME, "weir-kernel");
	block_signals();
	*k = (struct kernel){
		.cfg = cfg, .start_ns = host_now(), .userns_fd = -1, .init_pidfd = -1,
		.agent = { .sock = -1, .ns = { -1, -1, -1 }, .disks = -1, .mounter = -1 },
	};
	ret = start(k, &err);
	if (ret < 0) {
		if (!err.text[0])
			snprintf(err.text, sizeof(err.text), "guest kernel: %s", strerror(-ret));
		fail(k, &err);
	}
	/* Init has them now; stderr is for the log of weir run -v. */
	host_null_stdio(0, cfg->detached || !cfg->verbose ? 2 : 1);
	tell_monitor(k, &msg, k->console && !cfg->detached ? console_master(k->console) : -1);
	sched_start(k);
	memory_start(k);
	ret = event_run(&k->ev, k);
	if (ret < 0)
		log_err("event loop: %s", strerror(-ret));
	boot_undo(k);
	/* After halt or power off init was killed by us: that is no failure. */
	msg = (struct monitor_msg){
		.op = MONITOR_END,
		.end = atomic_load(&k->ending) ? atomic_load(&k->ending) : END_EXIT,
		.status = atomic_load(&k->ending) == END_EXIT ? 0 : k->exit_status,
	};
	tell_monitor(k, &msg, -1);
	_exit(0);
}
