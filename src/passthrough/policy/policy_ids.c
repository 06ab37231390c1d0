/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_ids.c - the rules that ids of the guest's own bring
 *
 * With [ids] uid = single the host gives the guest one id, and the guest kernel keeps
 * its users and the owners of its files (kernel/ids/guestids.h). Then every call that
 * shows an id, or whose outcome depends on one, has to stop: where the policy lets
 * it pass. These rules are there for the right answer, not to keep a guest from
 * anything, and so a call that does nearly the same may pass beside them.
 */
#include <stdio.h>

#include "kernel/util.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy/policy_impl.h"

#define FIX_TEXT " = fix (ids are single)"

/* Whatever their arguments. */
static const char *const calls[] = {
	"getuid", "getgid", "geteuid", "getegid", "getresuid", "getresgid", "getgroups",
	"setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid",
	"setfsgid", "setgroups", "capget", "capset",
	"kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal",
	"execve", "execveat",
	"stat", "fstat", "lstat", "newfstatat", "statx",
	"chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat",
	"open", "creat", "openat", "openat2", "bind", "mkdir", "mkdirat", "symlink", "symlinkat",
	"mknod", "mknodat",
	"access", "faccessat", "faccessat2", "connect", "truncate", "chdir", "chroot",
	"rename", "renameat", "renameat2", "rmdir", "link", "linkat", "unlink", "unlinkat",
	"readlink", "readlinkat", "utime", "utimes", "futimesat", "utimensat",
	"setxattr", "lsetxattr", "fsetxattr", "getxattr", "lgetxattr", "fgetxattr",
	"listxattr", "llistxattr", "flistxattr", "removexattr", "lremovexattr", "fremovexattr",
};

/* With some arguments only. */
static const struct derived_rule some[] = {
	{ "prctl", "option", "fix",
	  (const char *const[]){ "PR_GET_KEEPCAPS", "PR_SET_KEEPCAPS", "PR_CAPBSET_READ",
				 "PR_CAPBSET_DROP", "PR_GET_SECUREBITS", "PR_SET_SECUREBITS",
				 "PR_CAP_AMBIENT", NULL } },
	{ "getsockopt", "optname", "fix", (const char *const[]){ "SO_PEERCRED", NULL } },
	/* the limit that carries a task's credentials */
	{ "getrlimit", "resource", "fix", (const char *const[]){ "RLIMIT_LOCKS", NULL } },
	{ "setrlimit", "resource", "fix", (const char *const[]){ "RLIMIT_LOCKS", NULL } },
	{ "prlimit64", "resource", "fix", (const char *const[]){ "RLIMIT_LOCKS", NULL } },
};

/* Calls that would do one of these unseen. Programs have a way around. */
static const char *const unseen[] = {
	"fchmodat2", "setxattrat", "getxattrat", "listxattrat", "removexattrat",
};

bool policy_keeps_ids(const struct policy *p)
{
	return p->uid.mode == IDS_SINGLE && p->ns[POLICY_NS_USER].mode == NS_MODE_NEW;
}

static bool is_of_ids(int nr)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (syscall_number(calls[i]) == nr)
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		if (syscall_number(some[i].call) == nr)
			return true;
	return false;
}

static int add_rules(struct loader *ld, const struct policy_pos *pos)
{
	char text[64];
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(calls) && r == 0; i++) {
		char *own;

		snprintf(text, sizeof(text), "%s" FIX_TEXT, calls[i]);
		own = policy_strdup(ld->p, text);
		r = own ? policy_derive_fix(ld, syscall_number(calls[i]), pos, own) :
			  policy_no_memory(ld->err);
	}
	for (size_t i = 0; i < ARRAY_SIZE(some) && r == 0; i++)
		r = policy_derive_where_passed(ld, &some[i], pos);
	for (size_t i = 0; i < ARRAY_SIZE(unseen) && r == 0; i++) {
		const struct derived_rule deny = { unseen[i], NULL, "deny ENOSYS", NULL };

		r = policy_derive_where_passed(ld, &deny, pos);
	}
	return r;
}

int policy_ids_finish(struct loader *ld)
{
	struct policy *p = ld->p;
	int r;

	if (!policy_keeps_ids(p))
		return 0;
	if (p->gid.mode == IDS_RANGE)
		return policy_fail(ld->err, &p->gid.pos,
				   "gid lists ids beside uid = single; write gid = single");
	p->gid.mode = IDS_SINGLE;
	r = add_rules(ld, &p->uid.pos);
	for (size_t i = 0; i < p->nrules; i++)
		if (p->rule[i].lane == LANE_FIX && is_of_ids(p->rule[i].nr))
			p->rule[i].fidelity = true;
	return r;
}
