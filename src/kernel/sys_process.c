/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_process.c - what a policy may let a task do to itself
 *
 * These calls change the caller itself, which no other process can do for it.
 * Their decision is made on registers alone, and the host then does the call:
 * what the pointers lead to plays no part in it.
 */
#include <errno.h>
#include <linux/reboot.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "kernel/log.h"
#include "kernel/syscall.h"
#include "kernel/util.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

#define CLONE_NEW_ANY                                                                              \
	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC |                 \
	 CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWTIME)

/* A trapped clone or unshare: processes and threads, but no new namespaces; one
 * that is only to be fixed makes what the mask lets it make.
 * (CLONE_NEWTIME shares a bit with clone's exit signal; only unshare has it.) */
long sys_clone(struct kernel *k, struct call *c)
{
	int ret;

	if (c->rule->lane != LANE_FIX && c->arg[0] & (CLONE_NEW_ANY & ~CLONE_NEWTIME))
		return -EPERM;
	ret = c->arg[0] & CLONE_VM ? 0 : charge_fork(k, c);
	if (ret < 0)
		return ret;
	return call_continue(c, "the flags are in a register: no CLONE_NEW*, or those that the policy "
				"lets pass; the new task is as confined as its maker");
}

long sys_clone3(struct kernel *k, struct call *c)
{
	return -ENOSYS;	/* the flags are in memory: the C library falls back to clone */
}

long sys_unshare(struct kernel *k, struct call *c)
{
	if (c->rule->lane != LANE_FIX && c->arg[0] & CLONE_NEW_ANY)
		return -EPERM;
	return call_continue(c, "the flags are in a register: no CLONE_NEW*, or those that the policy "
				"lets pass; the rest is the caller's own");
}

long sys_setns(struct kernel *k, struct call *c)
{
	return -EPERM;
}

long sys_seccomp(struct kernel *k, struct call *c)
{
	if (arg_u32(c, 0) == SECCOMP_SET_MODE_FILTER &&
	    (c->arg[1] & SECCOMP_FILTER_FLAG_NEW_LISTENER))
		return -EBUSY;	/* what the host says of a second listener */
	return call_continue(c, "operation and flags are in registers; a filter on top of the mask "
				"can only forbid more, since the stricter answer wins");
}

long sys_prctl(struct kernel *k, struct call *c)
{
	return call_continue(c, "prctl changes only the caller and what it starts, within its own "
				"capabilities; PR_SET_SECCOMP cannot make a listener");
}

long sys_ioctl(struct kernel *k, struct call *c)
{
	static const uint32_t input_forgery[] = {
		TIOCSTI, TIOCSETD, TIOCCONS, 0x541c /* TIOCLINUX */,
	};

	for (size_t i = 0; i < ARRAY_SIZE(input_forgery); i++)
		if (arg_u32(c, 1) == input_forgery[i])
			return -EPERM;
	return call_continue(c, "the command is in a register and not one that forges input; the "
				"host checks the rest against the open file");
}

long sys_reboot(struct kernel *k, struct call *c)
{
	uint32_t magic1 = arg_u32(c, 0), magic2 = arg_u32(c, 1);

	if (!caller_capable(k, c, CAP_SYS_BOOT) || !call_valid(c))
		return -EPERM;
	if (magic1 != LINUX_REBOOT_MAGIC1 ||
	    (magic2 != LINUX_REBOOT_MAGIC2 && magic2 != LINUX_REBOOT_MAGIC2A &&
	     magic2 != LINUX_REBOOT_MAGIC2B && magic2 != LINUX_REBOOT_MAGIC2C))
		return -EINVAL;
	switch (arg_u32(c, 2)) {
	case LINUX_REBOOT_CMD_RESTART:
	case LINUX_REBOOT_CMD_RESTART2:
		log_info("reboot: restarting system");
		guest_end(k, END_RESTART);
		return 0;
	case LINUX_REBOOT_CMD_HALT:
		log_info("reboot: system halted");
		guest_end(k, END_EXIT);
		return 0;
	case LINUX_REBOOT_CMD_POWER_OFF:
		log_info("reboot: power down");
		guest_end(k, END_EXIT);
		return 0;
	case LINUX_REBOOT_CMD_CAD_ON:
	case LINUX_REBOOT_CMD_CAD_OFF:
		return 0;	/* a guest has no keyboard */
	default:
		return -EINVAL;
	}
}
