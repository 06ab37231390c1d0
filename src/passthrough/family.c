/* SPDX-License-Identifier: Apache-2.0 */
/*
 * family.c - no passing twin of a restricted call
 *
 * A call that a rule traps, fixes, kills or denies is restricted for a reason;
 * another call that does the same must not pass beside it. Two exceptions:
 * `deny ENOSYS` tells a program that the kernel lacks the call, so that it
 * falls back to a twin, and the default is no decision about one call.
 *
 * Arguments of the same name correspond: clone's flags are unshare's. A pair
 * is tried with the edge values of all that is tested; an argument that only
 * one of the two has may take any value.
 */
#include <errno.h>
#include <linux/audit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/edges.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy/groups.h"
#include "passthrough/policy/policy_impl.h"

#define MAX_TRIES 1000000	/* combinations for one pair of calls */

struct family {
	const char *calls;
	const char *twins;	/* NULL: the calls are twins of each other */
	bool whole;		/* only a call restricted for all its arguments has these twins */
	bool refused;		/* only a call that is denied or killed has them */
	bool timed;		/* a fix of them translates their timeouts, and restricts nothing */
	const char *arg;	/* the twin is one only with this value of this argument */
	uint64_t value;
};

/* clang-format off */
static const struct family families[] = {
/* files by name */
{ "open openat openat2 creat" },
{ "open openat openat2 creat", "open_by_handle_at" },
{ "stat lstat newfstatat statx" },
{ "stat lstat newfstatat statx", "fstat" },
{ "access faccessat faccessat2" },
{ "chmod fchmod fchmodat fchmodat2" },
{ "chown lchown fchown fchownat" },
{ "mkdir mkdirat" },
{ "mknod mknodat" },
{ "link linkat" },
{ "symlink symlinkat" },
{ "readlink readlinkat" },
{ "unlink rmdir", "unlinkat" },
{ "unlinkat", "unlink rmdir" },
{ "rename renameat renameat2" },
{ "truncate", "ftruncate" },
{ "utime utimes futimesat utimensat" },
{ "getdents getdents64" },
{ "setxattr lsetxattr fsetxattr setxattrat" },
{ "getxattr lgetxattr fgetxattr getxattrat" },
{ "listxattr llistxattr flistxattr listxattrat" },
{ "removexattr lremovexattr fremovexattr removexattrat" },
{ "statfs fstatfs" },
{ "name_to_handle_at", "open_by_handle_at" },
{ "quotactl quotactl_fd" },
/* descriptors */
{ "read readv pread64 preadv preadv2" },
{ "write writev pwrite64 pwritev pwritev2" },
{ "dup dup2 dup3" },
{ "pipe pipe2" },
{ "select pselect6", .timed = true },
{ "poll ppoll", .timed = true },
{ "epoll_wait epoll_pwait epoll_pwait2", .timed = true },
{ "epoll_create epoll_create1" },
{ "eventfd eventfd2" },
{ "signalfd signalfd4" },
{ "inotify_init inotify_init1" },
{ "splice tee vmsplice" },
/* mounts */
{ "mount", "fsopen fsconfig fsmount fspick move_mount open_tree open_tree_attr mount_setattr "
	"umount2" },
{ "umount2", "mount move_mount" },
{ "pivot_root", "move_mount" },
/* processes and namespaces */
{ "fork vfork", "fork vfork clone clone3" },
{ "clone", "clone3 unshare" },
{ "clone", "fork vfork", .whole = true },
{ "unshare", "clone clone3" },
{ "execve", "execveat" },
{ "kill", "tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal" },
{ "tkill tgkill rt_tgsigqueueinfo" },
{ "rt_sigqueueinfo", "rt_tgsigqueueinfo" },
{ "wait4 waitid" },
{ "ptrace", "process_vm_readv process_vm_writev pidfd_getfd" },
{ "process_vm_readv process_vm_writev", "ptrace" },
{ "setuid setreuid setresuid" },
{ "setgid setregid setresgid" },
{ "setrlimit", "prlimit64" },
{ "prlimit64", "setrlimit" },
{ "getrlimit", "prlimit64" },
{ "sched_setscheduler sched_setattr" },
{ "seccomp", "prctl", .whole = true, .arg = "option", .value = PR_SET_SECCOMP },
{ "futex", "futex_wait futex_wake futex_requeue futex_waitv", .whole = true },
/* memory */
{ "mprotect pkey_mprotect" },
{ "madvise", "process_madvise" },
{ "mlock mlock2" },
/* sockets */
{ "socket", "socketpair", .refused = true },
{ "accept accept4" },
{ "connect", "sendto sendmsg sendmmsg" },
{ "sendto sendmsg sendmmsg" },
{ "recvfrom recvmsg recvmmsg" },
/* the system */
{ "settimeofday clock_settime adjtimex clock_adjtime" },
{ "gettimeofday time" },
{ "clock_gettime", "gettimeofday time" },
{ "gettimeofday time", "clock_gettime", .arg = "clockid", .value = CLOCK_REALTIME },
{ "init_module finit_module" },
{ "kexec_load kexec_file_load" },
{ "iopl ioperm" },
{ "add_key request_key", "keyctl" },
/* io_uring runs these where no filter sees them */
{ "read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 open openat openat2 "
	"creat close statx stat lstat newfstatat fstat unlink unlinkat rmdir rename renameat "
	"renameat2 mkdir mkdirat symlink symlinkat link linkat setxattr fsetxattr getxattr "
	"fgetxattr fsync fdatasync sync_file_range fallocate ftruncate fadvise64 madvise splice "
	"tee pipe pipe2 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 poll ppoll waitid futex "
	"socket connect accept accept4 bind listen shutdown sendto sendmsg sendmmsg recvfrom "
	"recvmsg recvmmsg setsockopt getsockopt ioctl io_submit",
	"io_uring_setup io_uring_enter io_uring_register" },
};
/* clang-format on */

struct pair {
	const struct lanes *lanes;
	const struct family *family;
	int call, twin;
	struct edges *edges;
	int8_t slot[6];		/* of each argument of the twin: 0..5 the call's, or 6..11 */
};

static bool restricts(const struct lane_rule *r)
{
	return r->rule && !r->rule->fidelity && !lane_passes(r->lane) && !(r->lane == LANE_DENY && r->err == ENOSYS);
}

static bool refuses(const struct lane_rule *r)
{
	return r->lane == LANE_DENY || r->lane == LANE_KILL;
}

static bool passes(const struct lane_rule *r)
{
	return lane_passes(r->lane);
}

/* Is any rule of a call, or its default, such a rule? */
static bool any_rule(const struct lanes *l, int nr, bool (*is)(const struct lane_rule *))
{
	for (unsigned i = l->first[nr]; i < l->first[nr + 1]; i++) {
		if (is(&l->rule[i]))
			return true;
		if (lane_rule_always(&l->rule[i]))
			return false;
	}
	return is(&l->rule[LANES_DEFAULT]);
}

static const char *restriction(const struct lane_rule *r)
{
	switch (r->lane) {
	case LANE_TRAP:
		return "trapped";
	case LANE_FIX:
		return "fixed";
	case LANE_KILL:
		return "answered by a kill";
	default:
		return "denied";
	}
}

/* Name both lines, the one that was written later first: it is the one to change. */
static int report(const struct pair *p, const struct lane_rule *r, const struct lane_rule *t,
		  struct policy_error *err)
{
	const char *some = lane_rule_always(r) ? "" : " for some arguments";
	char name[32], twin[32], remedy[48];

	snprintf(name, sizeof(name), "%s", syscall_name(p->call));
	snprintf(twin, sizeof(twin), "%s", syscall_name(p->twin));
	if (refuses(r))
		snprintf(remedy, sizeof(remedy), "deny");
	else
		snprintf(remedy, sizeof(remedy), "%s or deny ENOSYS", lane_str[r->lane]);
	if (t->rule && t->rule > r->rule)
		snprintf(err->text, sizeof(err->text),
			 "%s: %s passes, but %s does the same and is %s%s by %s; write %s = %s as well",
			 POS_TEXT(t->pos), twin, name, restriction(r), some, POS_TEXT(r->pos), twin,
			 remedy);
	else
		snprintf(err->text, sizeof(err->text),
			 "%s: %s is %s%s, but %s does the same and passes by %s; write %s = %s as well",
			 POS_TEXT(r->pos), name, restriction(r), some, twin, POS_TEXT(t->pos), twin,
			 remedy);
	return -EINVAL;
}

static void map_arguments(struct pair *p)
{
	struct call_arg arg, own;

	for (unsigned i = 0; i < 6; i++) {
		p->slot[i] = 6 + i;
		if (call_arg_at(p->twin, i, &arg) == 0 &&
		    call_arg_find(p->call, arg.name, &own) == 0)
			p->slot[i] = own.index;
	}
}

static void collect_edges(struct pair *p)
{
	const struct lanes *l = p->lanes;

	edges_init(p->edges);
	for (unsigned i = l->first[p->call]; i < l->first[p->call + 1]; i++)
		for (unsigned k = 0; k < l->rule[i].rule->ntests; k++) {
			const struct policy_test *t = &l->rule[i].rule->test[k];

			edges_add(p->edges, t->arg, t);
		}
	for (unsigned i = l->first[p->twin]; i < l->first[p->twin + 1]; i++)
		for (unsigned k = 0; k < l->rule[i].rule->ntests; k++) {
			const struct policy_test *t = &l->rule[i].rule->test[k];

			edges_add(p->edges, p->slot[t->arg], t);
		}
}

static int check_pair(struct pair *p, struct policy_error *err)
{
	const struct lane_rule *r, *t;
	struct call_arg fixed;
	uint64_t arg[6], twin_arg[6];

	map_arguments(p);
	collect_edges(p);
	if (edges_count(p->edges) > MAX_TRIES) {
		r = &p->lanes->rule[p->lanes->first[p->call]];
		snprintf(err->text, sizeof(err->text),
			 "%s: too many tests on %s and its twins to try them all; use fewer",
			 POS_TEXT(r->pos), syscall_name(p->call));
		return -EINVAL;
	}
	do {
		for (unsigned i = 0; i < 6; i++) {
			arg[i] = edges_value(p->edges, i);
			twin_arg[i] = edges_value(p->edges, p->slot[i]);
		}
		if (p->family->arg && call_arg_find(p->twin, p->family->arg, &fixed) == 0)
			twin_arg[fixed.index] = p->family->value;
		r = lanes_lookup(p->lanes, AUDIT_ARCH_X86_64, p->call, arg);
		if (!restricts(r) || (p->family->refused && !refuses(r)) ||
		    (p->family->timed && r->lane == LANE_FIX))
			continue;
		t = lanes_lookup(p->lanes, AUDIT_ARCH_X86_64, p->twin, twin_arg);
		if (passes(t))
			return report(p, r, t, err);
	} while (edges_next(p->edges));
	return 0;
}

static bool next_call(const char **list, int *ret)
{
	char word[32];
	size_t len;

	*list += strspn(*list, " ");
	len = strcspn(*list, " ");
	if (len == 0)
		return false;
	snprintf(word, sizeof(word), "%.*s", (int)len, *list);
	*list += len;
	*ret = syscall_number(word);
	return true;
}

static bool passes_or_hides(const struct lane_rule *r)
{
	return !restricts(r);
}

static int check_call(struct pair *p, struct policy_error *err)
{
	const char *twins = p->family->twins ? p->family->twins : p->family->calls;
	int r;

	if (!any_rule(p->lanes, p->call, restricts))
		return 0;
	if (p->family->whole && any_rule(p->lanes, p->call, passes_or_hides))
		return 0;
	while (next_call(&twins, &p->twin)) {
		if (p->twin == p->call || !any_rule(p->lanes, p->twin, passes))
			continue;
		r = check_pair(p, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int family_find(const struct lanes *l, int *ret_twin, struct policy_error *err)
{
	cleanup_free struct edges *edges = malloc(sizeof(*edges));
	struct pair p = { .lanes = l, .edges = edges };

	if (!edges) {
		snprintf(err->text, sizeof(err->text), "no memory for the family check");
		return -ENOMEM;
	}
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		const char *calls = families[i].calls;

		p.family = &families[i];
		while (next_call(&calls, &p.call)) {
			int r = check_call(&p, err);

			if (r < 0) {
				*ret_twin = p.twin;
				return r;
			}
		}
	}
	return 0;
}

int family_check(const struct lanes *l, struct policy_error *err)
{
	int twin;

	return family_find(l, &twin, err);
}
