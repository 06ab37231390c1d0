/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cred.h - a caller's rights over files, taken on for a moment
 *
 * A thread of a door looks a path up as the caller would: it takes on the
 * caller's ids and groups and puts its own capabilities down, for itself only.
 * That is a few calls, where an act (ns/act.h) is a process. It is less: what
 * the caller's capabilities allow beyond its ids is decided by whoever asks.
 */
#ifndef WEIR_KERNEL_CRED_H
#define WEIR_KERNEL_CRED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/kernel.h"
#include "ns/agent.h"
#include "passthrough/trap.h"

/* Ids are numbers of the guest kernel's own user namespace. */
struct host_cred {
	uid_t uid;		/* for files */
	gid_t gid;
	unsigned ngroups;
	gid_t group[AGENT_MAX_GROUPS];
	uint64_t caps;		/* in effect over the guest's user namespace */

	pid_t tgid;			/* host; 0: not asked for */
	pid_t guest_tgid, guest_tid;	/* in the caller's own pid namespace */
};

/**
 * cred_read() - The rights of a caller that waits
 * @exact: false: where capabilities decide over every directory, guest root's
 *         ids without groups will do, and cost one call instead of a file
 *
 * They are the caller's if call_valid() says so afterwards.
 * Return: 0, -ESRCH if the caller is gone, -E2BIG with too many groups.
 */
int cred_read(const struct kernel *k, const struct call *c, bool exact, struct host_cred *ret);

static inline bool cred_has(const struct host_cred *cred, int cap)
{
	return cred->caps >> cap & 1;
}

/* Would one of these do over a file with these ids? capable_wrt_inode_uidgid()
 * of the host: both must be the guest's. */
bool cred_owns_ids(const struct kernel *k, uid_t uid, gid_t gid);

/**
 * cred_override() - Take on a caller's ids, without any capability
 *
 * The calling thread only, until cred_revert(). In between it must not do
 * anything that the guest kernel's own rights are needed for, nor start a thread
 * (call_slow() may): that one would keep them.
 * Return: 0, or a negative errno and nothing has changed.
 */
int cred_override(const struct host_cred *cred);
void cred_revert(const struct host_cred *cred);

#endif
