/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_uts.c - uname, sethostname, setdomainname
 *
 * Our threads are in the guest's UTS namespace (confine.c): the call is one host
 * call on the copied name.
 */
#include <errno.h>
#include <sys/capability.h>
#include <sys/utsname.h>

#include "kernel/machine/machine.h"
#include "kernel/syscall.h"
#include "passthrough/hostcall.h"

#define UTS_NAME_MAX 64	/* __NEW_UTS_LEN, linux/utsname.h */

static long set_name(struct kernel *k, struct call *c, long nr)
{
	int len = arg_int(c, 1);
	char name[UTS_NAME_MAX];
	int ret;

	/* In the host's namespace the name is the host's, and no guest root's. */
	if (!caller_capable(k, c, CAP_SYS_ADMIN) ||
	    k->cfg->policy->ns[POLICY_NS_UTS].mode == NS_MODE_HOST)
		return -EPERM;
	if (len < 0 || len > UTS_NAME_MAX)
		return -EINVAL;
	ret = arg_copy_in(c, 0, name, len);
	return ret < 0 ? ret : host_call(nr, name, len);
}

long sys_sethostname(struct kernel *k, struct call *c)
{
	return set_name(k, c, SYS_sethostname);
}

long sys_setdomainname(struct kernel *k, struct call *c)
{
	return set_name(k, c, SYS_setdomainname);
}

long sys_uname(struct kernel *k, struct call *c)
{
	struct utsname u = {};
	int ret = host_result(uname(&u));

	if (ret < 0)
		return ret;
	machine_release(k, &u);
	return arg_copy_out(c, 0, &u, sizeof(u));
}
