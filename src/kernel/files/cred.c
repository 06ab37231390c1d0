/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cred.c - a caller's rights over files, taken on for a moment
 *
 * System calls by number, not libc's functions of the same name: those change
 * all threads of the process. The real and saved user ids stay root's, so that
 * the effective one may always go back; leaving root's takes the capabilities
 * out of effect and coming back puts them in again, capabilities(7).
 */
#include "kernel/files/cred.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

#include "kernel/caller.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define KEEP ((uid_t)-1)
#define SEARCHES (BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH))

/* What this thread is without an override. */
static __thread struct {
	bool ready;
	bool groups;		/* it may change them; not with a single id */
	gid_t gid;
	uint32_t permitted[2];
} own;

static int set_effective(const uint32_t effective[2])
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = {
		{ .permitted = own.permitted[0], .effective = effective[0] },
		{ .permitted = own.permitted[1], .effective = effective[1] },
	};

	return host_call(SYS_capset, &h, d);
}

/* Once for each thread: from here on it has no groups of its own. */
static int look_at_own(void)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = {};
	int ret = host_call(SYS_capget, &h, d);

	if (ret < 0)
		return ret;
	own.permitted[0] = d[0].permitted;
	own.permitted[1] = d[1].permitted;
	own.gid = getegid();
	own.groups = host_call(SYS_setgroups, 0, NULL) == 0;
	own.ready = true;
	return 0;
}

void cred_revert(const struct host_cred *cred)
{
	int ret = cred->uid ? host_call(SYS_setresuid, KEEP, 0, KEEP) : set_effective(own.permitted);

	if (ret == 0 && cred->gid != own.gid)
		ret = host_call(SYS_setresgid, KEEP, own.gid, KEEP);
	if (ret == 0 && own.groups && cred->ngroups)
		ret = host_call(SYS_setgroups, 0, NULL);
	/* It was allowed to before it left: a thread that cannot come back must not
	 * answer for anybody. */
	if (ret < 0)
		abort();
}

int cred_override(const struct host_cred *cred)
{
	static const uint32_t none[2];
	int ret = own.ready ? 0 : look_at_own();

	if (ret == 0 && own.groups && cred->ngroups)
		ret = host_call(SYS_setgroups, cred->ngroups, cred->group);
	if (ret < 0)
		return ret;
	if (cred->gid != own.gid)
		ret = host_call(SYS_setresgid, KEEP, cred->gid, KEEP);
	if (ret == 0)
		ret = cred->uid ? host_call(SYS_setresuid, KEEP, cred->uid, KEEP) :
				  set_effective(none);
	if (ret < 0)
		cred_revert(cred);
	return ret;
}

bool cred_owns_ids(const struct kernel *k, uid_t uid, gid_t gid)
{
	return ids_to_inner(&k->guest_uid, uid) >= 0 && ids_to_inner(&k->guest_gid, gid) >= 0;
}

int cred_read(const struct kernel *k, const struct call *c, bool exact, struct host_cred *ret)
{
	int64_t root = ids_to_outer(&k->guest_uid, 0), wheel = ids_to_outer(&k->guest_gid, 0);

	ret->caps = caller_capabilities(k, c);
	ret->tgid = 0;
	if (exact || !(ret->caps & SEARCHES) || root < 0 || wheel < 0)
		return caller_file_ids(c, ret);
	ret->uid = root;
	ret->gid = wheel;
	ret->ngroups = 0;
	return 0;
}
