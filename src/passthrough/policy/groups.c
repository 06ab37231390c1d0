/* SPDX-License-Identifier: Apache-2.0 */
/*
 * groups.c - what weir knows of system calls: names, arguments, @groups
 *
 * Numbers, names and arguments are those of calls_x86_64.def. It knows calls
 * that the libseccomp of the day does not; a unit test compares the two. The
 * groups bear systemd's names where systemd has the group and then have its
 * members, with calls added since in their obvious place.
 */
#include "passthrough/policy/groups.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/util.h"
#include "passthrough/lanes.h"

static_assert(CALL_MAX_NR == LANES_MAX_NR, "groups.h and lanes.h disagree");

struct call {
	const char *name;
	const char *args;
};

/* clang-format off */
static const struct call calls[] = {
#define CALL(nr, name, args)	[nr] = { #name, args },
#include "passthrough/calls_x86_64.def"
#undef CALL
};

/* Numbers plus one, each at the hash of its name or behind; 0: free. */
#define NUM_SLOTS 1024
static uint16_t call_slot[NUM_SLOTS];
static_assert(ARRAY_SIZE(calls) <= NUM_SLOTS / 2, "the table of names is too full");

static const struct call_group groups[] = {
{ "@default", "what every program needs to start, wait and end",
	"arch_prctl brk clock_getres clock_gettime clock_nanosleep execve exit exit_group futex "
	"futex_requeue futex_wait futex_waitv futex_wake get_robust_list get_thread_area getegid "
	"geteuid getgid getgroups getpgid getpgrp getpid getppid getrandom getresgid getresuid "
	"getrlimit getsid gettid gettimeofday getuid map_shadow_stack membarrier mmap mprotect "
	"mseal munmap nanosleep pause prlimit64 restart_syscall rseq rt_sigreturn "
	"sched_getaffinity sched_yield set_robust_list set_thread_area set_tid_address time "
	"uprobe uretprobe" },
{ "@aio", "asynchronous I/O",
	"io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit io_uring_enter "
	"io_uring_register io_uring_setup" },
{ "@basic-io", "reading and writing open descriptors",
	"close close_range dup dup2 dup3 lseek pread64 preadv preadv2 pwrite64 pwritev pwritev2 "
	"read readv write writev" },
{ "@chown", "changing the owner of files", "chown fchown fchownat lchown" },
{ "@clock", "setting the system's clocks",
	"adjtimex clock_adjtime clock_settime settimeofday" },
{ "@cpu-emulation", "old CPU modes", "modify_ldt" },
{ "@debug", "debugging, tracing and measuring",
	"lookup_dcookie perf_event_open pidfd_getfd ptrace" },
{ "@file-system", "files and directories by name",
	"access cachestat chdir chmod close creat faccessat faccessat2 fallocate fchdir fchmod "
	"fchmodat fchmodat2 fcntl fgetxattr file_getattr file_setattr flistxattr fremovexattr "
	"fsetxattr fstat fstatfs ftruncate futimesat getcwd getdents getdents64 getxattr "
	"getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch lgetxattr link "
	"linkat listxattr listxattrat llistxattr lremovexattr lsetxattr lstat mkdir mkdirat mknod "
	"mknodat newfstatat open openat openat2 readlink readlinkat removexattr removexattrat "
	"rename renameat renameat2 rmdir setxattr setxattrat stat statfs statx symlink symlinkat "
	"truncate unlink unlinkat utime utimensat utimes" },
{ "@io-event", "waiting for descriptors",
	"epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait "
	"epoll_wait_old eventfd eventfd2 poll ppoll pselect6 select" },
{ "@ipc", "pipes, SysV and POSIX message queues, memory of other processes",
	"memfd_create mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink "
	"msgctl msgget msgrcv msgsnd pipe pipe2 process_madvise process_vm_readv "
	"process_vm_writev semctl semget semop semtimedop shmat shmctl shmdt shmget" },
{ "@keyring", "the kernel's key rings", "add_key keyctl request_key" },
{ "@memlock", "locking memory", "mlock mlock2 mlockall munlock munlockall" },
{ "@module", "kernel modules", "delete_module finit_module init_module" },
{ "@mount", "mounting, and changing the root",
	"chroot fsconfig fsmount fsopen fspick listmount mount mount_setattr move_mount open_tree "
	"open_tree_attr pivot_root statmount umount2" },
{ "@network-io", "sockets",
	"accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg "
	"recvmsg sendmmsg sendmsg sendto setsockopt shutdown socket socketpair" },
{ "@obsolete", "calls that Linux no longer has or that nobody uses",
	"_sysctl afs_syscall create_module get_kernel_syms getpmsg putpmsg query_module security "
	"sysfs tuxcall uselib ustat vserver" },
{ "@pkey", "memory protection keys", "pkey_alloc pkey_free pkey_mprotect" },
{ "@privileged", "calls that need a capability",
	"@chown @clock @module @raw-io @reboot @swap _sysctl acct bpf capset chroot fanotify_init "
	"fanotify_mark nfsservctl open_by_handle_at pivot_root quotactl quotactl_fd setdomainname "
	"setfsuid setgroups sethostname setresuid setreuid setuid vhangup" },
{ "@process", "making, signalling and waiting for processes; namespaces",
	"capget clone clone3 execveat fork getrusage kill pidfd_open pidfd_send_signal prctl "
	"rt_sigqueueinfo rt_tgsigqueueinfo setns tgkill times tkill unshare vfork wait4 waitid" },
{ "@raw-io", "I/O ports", "ioperm iopl" },
{ "@reboot", "restarting and replacing the kernel", "kexec_file_load kexec_load reboot" },
{ "@resources", "limits, priorities, CPU and memory placement",
	"ioprio_set mbind migrate_pages move_pages sched_setaffinity sched_setattr sched_setparam "
	"sched_setscheduler set_mempolicy set_mempolicy_home_node setpriority setrlimit" },
{ "@sandbox", "a program confining itself",
	"landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp" },
{ "@setuid", "changing user and group ids",
	"setgid setgroups setregid setresgid setresuid setreuid setuid" },
{ "@signal", "handling signals",
	"rt_sigaction rt_sigpending rt_sigprocmask rt_sigsuspend rt_sigtimedwait sigaltstack "
	"signalfd signalfd4" },
{ "@swap", "swap devices", "swapoff swapon" },
{ "@sync", "writing files through to disk", "fdatasync fsync msync sync sync_file_range syncfs" },
{ "@system-service", "what an ordinary service may need; not all of it is wise in a guest",
	"@aio @basic-io @chown @default @file-system @io-event @ipc @keyring @memlock @network-io "
	"@process @resources @setuid @signal @sync @timer capget capset copy_file_range fadvise64 "
	"flock get_mempolicy getcpu getpriority ioctl ioprio_get kcmp madvise mremap "
	"name_to_handle_at personality readahead remap_file_pages sched_get_priority_max "
	"sched_get_priority_min sched_getattr sched_getparam sched_getscheduler "
	"sched_rr_get_interval sched_yield sendfile setfsgid setfsuid setpgid setsid splice "
	"sysinfo tee umask uname userfaultfd vmsplice" },
{ "@timer", "timers and alarms",
	"alarm getitimer setitimer timer_create timer_delete timer_getoverrun timer_gettime "
	"timer_settime timerfd_create timerfd_gettime timerfd_settime times" },
{ "@io-uring", "io_uring, which runs calls that no filter sees",
	"io_uring_enter io_uring_register io_uring_setup" },
{ "@lsm", "attributes of security modules",
	"lsm_get_self_attr lsm_list_modules lsm_set_self_attr" },
{ "@new-mount", "the mount calls since Linux 5.2",
	"fsconfig fsmount fsopen fspick listmount mount_setattr move_mount open_tree "
	"open_tree_attr statmount" },
{ "@known", "every call weir knows by name", NULL },
};
/* clang-format on */

bool call_known(int nr)
{
	return nr >= 0 && (size_t)nr < ARRAY_SIZE(calls) && calls[nr].name;
}

const char *syscall_name(int nr)
{
	static __thread char buf[24];

	if (call_known(nr))
		return calls[nr].name;
	snprintf(buf, sizeof(buf), "syscall_%d", nr);
	return buf;
}

/* FNV-1a */
static unsigned first_slot(const char *name)
{
	uint32_t h = 0x811c9dc5;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x01000193;
	return h % NUM_SLOTS;
}

static void fill_slots(void)
{
	for (size_t nr = 0; nr < ARRAY_SIZE(calls); nr++) {
		unsigned i;

		if (!calls[nr].name)
			continue;
		for (i = first_slot(calls[nr].name); call_slot[i]; i = (i + 1) % NUM_SLOTS)
			;
		call_slot[i] = nr + 1;
	}
}

int syscall_number(const char *name)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fill_slots);
	for (unsigned i = first_slot(name); call_slot[i]; i = (i + 1) % NUM_SLOTS)
		if (streq(calls[call_slot[i] - 1].name, name))
			return call_slot[i] - 1;
	return -ENOENT;
}

/* Split off the next word of @p; its length, 0 at the end. */
static size_t next_word(const char **p)
{
	*p += strspn(*p, " ");
	return strcspn(*p, " ");
}

static unsigned width_of(char c)
{
	switch (c) {
	case 'h':
		return 16;
	case 'i':
		return 32;
	case 'l':
	case 'p':
		return 64;
	default:
		return 0;
	}
}

int call_arg_at(int nr, unsigned index, struct call_arg *ret)
{
	const char *p = call_known(nr) ? calls[nr].args : "";
	size_t len;

	for (unsigned i = 0; (len = next_word(&p)) > 0; i++, p += len) {
		if (i != index)
			continue;
		ret->index = i;
		ret->width = width_of(p[len - 1]);
		snprintf(ret->name, sizeof(ret->name), "%.*s", (int)len - 2, p);
		return 0;
	}
	return -ENOENT;
}

int call_arg_find(int nr, const char *name, struct call_arg *ret)
{
	if (str_starts(name, "arg") && name[3] >= '0' && name[3] <= '5' && !name[4]) {
		unsigned index = name[3] - '0';

		if (call_arg_at(nr, index, ret) == 0)
			return 0;
		*ret = (struct call_arg){ .index = index };
		snprintf(ret->name, sizeof(ret->name), "arg%u", index);
		return 0;
	}
	for (unsigned i = 0; call_arg_at(nr, i, ret) == 0; i++)
		if (streq(ret->name, name))
			return 0;
	return -ENOENT;
}

void call_arg_list(int nr, char *buf, size_t size)
{
	struct call_arg arg;
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned i = 0; call_arg_at(nr, i, &arg) == 0 && len < size; i++)
		if (arg.width)
			len += snprintf(buf + len, size - len, "%s%s", len ? ", " : "", arg.name);
}

const struct call_group *call_group_at(unsigned i)
{
	return i < ARRAY_SIZE(groups) ? &groups[i] : NULL;
}

const struct call_group *call_group_find(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(groups); i++)
		if (streq(groups[i].name, name))
			return &groups[i];
	return NULL;
}

static void expand(const char *members, struct call_set *ret)
{
	char word[32];
	size_t len;

	for (const char *p = members; (len = next_word(&p)) > 0; p += len) {
		len = MIN(len, sizeof(word) - 1);
		memcpy(word, p, len);
		word[len] = '\0';
		if (word[0] == '@')
			expand(call_group_find(word)->members, ret);
		else
			call_set_add(ret, syscall_number(word));
	}
}

void call_group_expand(const struct call_group *g, struct call_set *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (g->members) {
		expand(g->members, ret);
		return;
	}
	for (size_t nr = 0; nr < ARRAY_SIZE(calls); nr++)
		if (calls[nr].name)
			call_set_add(ret, nr);
}
