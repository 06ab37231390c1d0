/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rights.c - what a process of weir's is, and what it takes from itself for good
 */
#include "ns/rights.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>

#include "kernel/util.h"
#include "ns/feature.h"
#include "passthrough/hostcall.h"

/* linux/prctl.h since 6.3 and 6.6; not in every libc's headers */
#define SET_MDWE 65
#define MDWE_REFUSE_EXEC_GAIN 1ul
#define MDWE_NO_INHERIT 2ul

#define CAPS { .version = _LINUX_CAPABILITY_VERSION_3 }

int rights_bound(uint64_t keep)
{
	struct __user_cap_header_struct h = CAPS;
	struct __user_cap_data_struct d[2];
	int ret;

	for (int cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (keep & BIT(cap))
			continue;
		ret = host_result(prctl(PR_CAPBSET_DROP, cap, 0, 0, 0));
		if (ret < 0)
			return ret;
	}
	ret = host_result(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
	if (ret == 0)
		ret = host_call(SYS_capget, &h, d);
	if (ret < 0)
		return ret;
	d[0].inheritable = d[1].inheritable = 0;
	return host_call(SYS_capset, &h, d);
}

int rights_keep(uint64_t keep)
{
	struct __user_cap_header_struct h = CAPS;
	struct __user_cap_data_struct d[2];
	int ret = rights_bound(keep);	/* first, while CAP_SETPCAP is still there */

	if (ret == 0)
		ret = host_call(SYS_capget, &h, d);
	if (ret < 0)
		return ret;
	for (int i = 0; i < 2; i++) {
		d[i].permitted &= keep >> (32 * i);
		d[i].effective = d[i].permitted;
	}
	return host_call(SYS_capset, &h, d);
}

int rights_take_root(void)
{
	int ret = host_call(SYS_setresgid, 0, 0, 0);

	return ret < 0 ? ret : host_call(SYS_setresuid, 0, 0, 0);
}

int rights_no_new_privs(void)
{
	return host_result(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

int rights_no_new_code(bool children)
{
	unsigned long how = MDWE_REFUSE_EXEC_GAIN | (children ? 0 : MDWE_NO_INHERIT);

	if (host_feature_masked("mdwe"))
		return -EINVAL;
	return host_result(prctl(SET_MDWE, how, 0, 0, 0));
}
