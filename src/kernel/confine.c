/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine.c - what the guest kernel takes from itself, in stages
 *
 * A guest kernel that a guest has taken over is to be worth as little as can be.
 * Both stages lie before the guest's first instruction, and at a moment at which
 * the kernel would only wait for the agent: they cost a start next to nothing.
 *
 *   boot  the agent has made the guest's namespaces; no other thread of ours runs
 *         yet, so what is dropped is dropped for those to come
 *         Should:   enter the guest's namespaces that handlers work in; leave only the capabilities of kept[]; let no program that we
 *                   could run gain rights; let no writable memory become code
 *         Must not: keep us from the guest's tasks and files: over the guest's user
 *                   namespace, which we own, we have every capability all the same
 *   run   the first process of the guest is being made
 *         Should:   leave only the system calls of confine_calls.c, to every
 *                   thread: no exec, no new process, no mount, no other identity
 *         Must not: refuse what exec, pause, reboot, clocks, the observer or the end
 *                   of the guest need later
 *
 * Landlock is of no use here: the host forbids a process in a Landlock domain to
 * look into one outside of it, so that the guest's memory could not be read.
 */
#include "kernel/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "kernel/kernel.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/rights.h"
#include "passthrough/confine.h"
#include "passthrough/hostcall.h"

/* linux/capability.h since 5.8 */
#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif

/* The guest's user namespace is not our child: what we may do to its tasks we may
 * only do with capabilities of our own. */
static bool shares_userns(const struct kernel *k)
{
	return k->cfg->policy->ns[POLICY_NS_USER].mode != NS_MODE_NEW;
}

static bool has_clocks(const struct kernel *k)
{
	return policy_clock_on(&k->cfg->policy->clock);
}

static bool has_disks(const struct kernel *k)
{
	return k->disks != NULL;
}

static bool has_ids(const struct kernel *k)
{
	return policy_keeps_ids(k->cfg->policy);
}

/* Times of files are looked at and set by us. */
static bool has_stamps(const struct kernel *k)
{
	return has_clocks(k) && k->cfg->policy->clock.guest_stamps;
}

static const struct kept {
	int cap;
	bool (*when)(const struct kernel *k);	/* NULL: always */
	/* what for */
} kept[] = {
	{ CAP_CHOWN,		NULL },	/* a pipe given to guest root: process.c */
	{ CAP_DAC_OVERRIDE,	NULL },	/* /proc/TID/mem and /proc/TID/fd of guest tasks */
	{ CAP_PERFMON,		NULL },	/* the observer, where the host is strict */
	{ CAP_SYS_RESOURCE,	NULL },	/* the memory of its rings */
	{ CAP_SYS_NICE,		NULL },	/* guest tasks and our threads on their CPUs */
	{ CAP_SETUID,		has_stamps },	/* cred.c: a caller's ids, for a moment */
	{ CAP_SETGID,		has_stamps },
	{ CAP_FOWNER,		has_stamps },	/* the times of a file that is a caller's with that right */
	{ CAP_FOWNER,		has_ids },	/* owners and modes: ids_*.c */
	{ CAP_SYS_PTRACE,	has_ids },	/* whose task is it */
	{ CAP_KILL,		shares_userns },
	{ CAP_SYS_PTRACE,	shares_userns },
};

uint64_t confine_kept_caps(const struct kernel *k)
{
	uint64_t caps = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (!kept[i].when || kept[i].when(k))
			caps |= BIT(kept[i].cap);
	return caps;
}

/* uname, sethostname and socket are done there, where they stop; entering takes
 * CAP_SYS_ADMIN over our own user namespace, which we are about to drop. */
static int enter_namespaces(const struct kernel *k)
{
	static const struct {
		enum policy_ns ns;
		int agent, flag;
	} entered[] = {
		{ POLICY_NS_UTS, AGENT_UTS, CLONE_NEWUTS },
		{ POLICY_NS_NET, AGENT_NET, CLONE_NEWNET },
	};
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < ARRAY_SIZE(entered); i++)
		if (k->cfg->policy->ns[entered[i].ns].mode != NS_MODE_HOST)
			ret = host_call(SYS_setns, k->agent.ns[entered[i].agent], entered[i].flag);
	return ret;
}

int confine_boot(void *kernel, struct ns_error *err)
{
	const struct kernel *k = kernel;
	uint64_t caps = confine_kept_caps(k);
	int ret = enter_namespaces(k), mdwe;

	if (ret == 0)
		ret = rights_keep(caps);
	if (ret == 0)
		ret = rights_no_new_privs();
	if (ret < 0)
		return ns_fail(err, ret, "guest kernel: cannot give up rights: %s", strerror(-ret));
	mdwe = rights_no_new_code(true);
	log_info("confine: boot: capabilities %#llx, no_new_privs%s", (unsigned long long)caps,
		 mdwe < 0 ? "; absent: no_new_code (Linux 6.3)" : ", no_new_code");
	return 0;
}

/* Whose kernels make calls of confine_more_calls[]. */
static const struct {
	const char *what;
	bool (*when)(const struct kernel *k);
} more_for[] = {
	{ "clocks of the guest's own", has_clocks },
	{ "disks", has_disks },
	{ "users over one id", has_ids },
};

static enum confine_filter choose_filter(const struct kernel *k, const char **ret_why)
{
	for (size_t i = 0; i < ARRAY_SIZE(more_for); i++) {
		if (more_for[i].when(k)) {
			*ret_why = more_for[i].what;
			return CONFINE_MORE;
		}
	}
	*ret_why = NULL;
	return CONFINE_ALLOW;
}

int confine_run(void *kernel, struct ns_error *err)
{
	const char *why;
	enum confine_filter which = choose_filter(kernel, &why);
	int ret = confine_filter(which);

	if (ret < 0)
		return ns_fail(err, ret, "guest kernel: cannot filter its own system calls: %s",
			       strerror(-ret));
	log_info("confine: run: system calls by list%s%s, a filter of %u instructions over every "
		 "thread", why ? ", the longer one for " : "", why ?: "", confine_kernel[which].len);
	return 0;
}
