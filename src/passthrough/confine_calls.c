/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine_calls.c - the system calls of a guest kernel whose guest runs
 *
 * An allow list, in the order of what the calls are for; beside ours it has those
 * that libc makes for us. What is not here (execve, fork, mount, setting clocks,
 * modules, bpf, keys, io_uring ...) is what a guest kernel that has been taken
 * over would want most.
 */
#include <errno.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/confine.h"
#include "passthrough/hostcall.h"

#define C(name) SCMP_SYS(name)

const int confine_kernel_calls[] = {
	/* the doors: requests, answers, who waits for whom */
	C(ioctl), C(poll), C(ppoll), C(futex), C(epoll_create1), C(epoll_ctl), C(epoll_wait),
	C(epoll_pwait), C(nanosleep), C(clock_nanosleep), C(restart_syscall),
	/* guest memory, and which process it is */
	C(process_vm_readv), C(process_vm_writev), C(pidfd_open), C(pidfd_getfd), C(kcmp),
	C(capget),
	/* files: /proc, /sys, groups, and descriptors handed on */
	C(open), C(openat), C(openat2), C(close), C(close_range), C(read), C(write), C(readv),
	C(writev), C(pread64), C(pwrite64), C(lseek), C(fstat), C(stat), C(lstat), C(newfstatat),
	C(statx), C(fstatfs), C(statfs), C(access), C(faccessat), C(faccessat2), C(readlink),
	C(readlinkat), C(getdents64), C(fcntl), C(flock), C(dup), C(dup2), C(dup3), C(ftruncate),
	C(fallocate), C(mkdir), C(mkdirat), C(rmdir), C(unlink), C(unlinkat), C(rename),
	C(renameat), C(fchmod), C(fchown), C(fchownat), C(utimensat), C(getcwd), C(umask),
	C(pipe2), C(splice), C(vmsplice), C(memfd_create), C(eventfd2), C(signalfd4),
	C(timerfd_create), C(timerfd_settime), C(timerfd_gettime), C(timer_create), C(timer_settime),
	C(timer_delete),
	/* the monitor, the agent, the control socket */
	C(sendmsg), C(sendto), C(recvmsg), C(recvfrom), C(accept4), C(getsockopt), C(setsockopt),
	C(shutdown),
	/* tasks: ends, signals, CPUs, what the host tells of their sleeps */
	C(kill), C(tgkill), C(pidfd_send_signal), C(wait4), C(waitid), C(sched_setaffinity),
	C(sched_getaffinity), C(sched_setattr), C(sched_getattr), C(sched_setscheduler),
	C(sched_getscheduler), C(sched_getparam), C(sched_yield), C(sched_get_priority_max),
	C(sched_get_priority_min), C(getpriority), C(setpriority), C(perf_event_open),
	C(prlimit64), C(getrlimit), C(getrusage), C(times),
	/* facts */
	C(getpid), C(gettid), C(getppid), C(getuid), C(geteuid), C(getgid), C(getegid), C(getsid),
	C(getpgrp), C(getpgid), C(uname), C(sysinfo), C(getcpu), C(clock_gettime),
	C(clock_getres), C(gettimeofday), C(time), C(adjtimex), C(clock_adjtime), C(getrandom),
	/* names that a guest gives itself, in its namespace */
	C(sethostname), C(setdomainname),
	/* memory and threads */
	C(brk), C(munmap), C(mremap), C(madvise), C(membarrier), C(rseq), C(set_robust_list),
	C(get_robust_list), C(set_tid_address), C(rt_sigaction), C(rt_sigprocmask),
	C(rt_sigreturn), C(rt_sigtimedwait), C(rt_sigpending), C(rt_sigsuspend), C(sigaltstack),
	C(arch_prctl), C(exit), C(exit_group),
	-1,
};

/* What only some guests' kernels do: more_for[] in kernel/confine.c says which. */
const int confine_more_calls[] = {
	/* waits on the guest's clocks: tracee.c */
	C(ptrace), C(tkill),
	/* times of files: cred.c */
	C(setresuid), C(setresgid), C(setgroups), C(capset),
	/* users over one id: ids_*.c */
	C(setxattr), C(lsetxattr), C(fsetxattr), C(getxattr), C(lgetxattr), C(fgetxattr),
	C(listxattr), C(llistxattr), C(flistxattr), C(removexattr), C(lremovexattr),
	C(fremovexattr), C(symlinkat), C(mknodat), C(linkat), C(renameat2), C(chmod), C(fchmodat),
	C(chdir), C(fchdir), C(truncate), C(bind), C(connect),
	/* disks: aio.c */
	C(io_setup), C(io_submit), C(io_getevents), C(io_pgetevents), C(io_cancel), C(io_destroy), C(fsync),
	C(fdatasync), C(preadv), C(pwritev), C(preadv2), C(pwritev2),
	-1,
};

/* The process of a file system (ns/mounter.c): the disk, FUSE, the socket, memory. */
const int confine_disk_calls[] = {
	C(read), C(write), C(readv), C(writev), C(pread64), C(pwrite64), C(fdatasync), C(lseek),
	C(io_submit), C(io_getevents), C(io_destroy), C(poll), C(ppoll), C(recvfrom), C(sendto), C(recvmsg), C(sendmsg), C(close), C(fcntl),
	C(brk), C(munmap), C(mremap), C(madvise), C(futex), C(clock_gettime), C(gettimeofday),
	C(time), C(getpid), C(gettid), C(getrandom), C(sched_getaffinity), C(sched_yield),
	C(rt_sigaction), C(rt_sigprocmask), C(rt_sigreturn), C(restart_syscall), C(exit),
	C(exit_group), C(newfstatat), C(fstat), C(getuid), C(geteuid), C(getgid), C(getegid),
	/* libraries look for /proc and /sys: nothing but /fuse is there */
	C(openat),
	-1,
};

#define LOW UINT64_C(0xffffffff)	/* an int; libc leaves the high half as it was */

/* And calls with some arguments only: what no line of its call allows is refused. */
static const struct tested {
	int nr;
	struct scmp_arg_cmp test;
} tested[] = {
	/* threads, but no process */
	{ C(clone), { 0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD } },
	/* no memory to write code to; the other half of it is PR_SET_MDWE */
	{ C(mmap), { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	{ C(mmap), { 2, SCMP_CMP_MASKED_EQ, PROT_WRITE, 0 } },
	{ C(mprotect), { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	/* what sys_socket.c makes */
	{ C(socket), { 0, SCMP_CMP_MASKED_EQ, LOW, AF_UNIX } },
	{ C(socket), { 0, SCMP_CMP_MASKED_EQ, LOW, AF_INET } },
	{ C(socket), { 0, SCMP_CMP_MASKED_EQ, LOW, AF_INET6 } },
	{ C(socketpair), { 0, SCMP_CMP_MASKED_EQ, LOW, AF_UNIX } },
	{ C(prctl), { 0, SCMP_CMP_MASKED_EQ, LOW, PR_SET_NAME } },
	{ C(prctl), { 0, SCMP_CMP_MASKED_EQ, LOW, PR_GET_NAME } },
	{ C(prctl), { 0, SCMP_CMP_MASKED_EQ, LOW, PR_CAPBSET_READ } },
}, tested_disk[] = {
	{ C(mmap), { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	{ C(mprotect), { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	{ C(prctl), { 0, SCMP_CMP_MASKED_EQ, LOW, PR_SET_NAME } },
}, tested_more[] = {
	/* a thread's directory of its own: ids_path.c */
	{ C(unshare), { 0, SCMP_CMP_EQ, CLONE_FS } },
};

static int add_list(scmp_filter_ctx ctx, const int *nr)
{
	int ret = 0;

	for (; ret == 0 && *nr >= 0; nr++)
		ret = seccomp_rule_add_exact(ctx, SCMP_ACT_ALLOW, *nr, 0);
	return ret;
}

static int add_tested(scmp_filter_ctx ctx, const struct tested *t, size_t n)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < n; i++)
		ret = seccomp_rule_add_exact(ctx, SCMP_ACT_ALLOW, t[i].nr, 1, t[i].test);
	return ret;
}

static int add_calls(scmp_filter_ctx ctx)
{
	int ret = add_list(ctx, confine_kernel_calls);

	if (ret == 0)
		ret = add_tested(ctx, tested, ARRAY_SIZE(tested));
	/* The other filter's. */
	return ret ?: seccomp_rule_add_exact(ctx, SCMP_ACT_ALLOW, C(clone3), 0);
}

static int add_more(scmp_filter_ctx ctx)
{
	int ret = add_calls(ctx);

	if (ret == 0)
		ret = add_list(ctx, confine_more_calls);
	return ret ?: add_tested(ctx, tested_more, ARRAY_SIZE(tested_more));
}

static int add_disk(scmp_filter_ctx ctx)
{
	int ret = add_list(ctx, confine_disk_calls);

	if (ret == 0)
		ret = add_tested(ctx, tested_disk, ARRAY_SIZE(tested_disk));
	return ret ?: seccomp_rule_add_exact(ctx, SCMP_ACT_ALLOW, C(clone3), 0);
}

/* clone3's flags lie in memory, where no filter sees them; libc falls back to
 * clone, for each thread that it makes. */
static int refuse_quietly(scmp_filter_ctx ctx)
{
	return seccomp_rule_add_exact(ctx, SCMP_ACT_ERRNO(ENOSYS), C(clone3), 0);
}

static const struct {
	uint32_t otherwise;
	int (*fill)(scmp_filter_ctx ctx);
} filters[NUM_CONFINE_FILTERS] = {
	[CONFINE_ALLOW] = { SCMP_ACT_ERRNO(EPERM), add_calls },
	[CONFINE_MORE] = { SCMP_ACT_ERRNO(EPERM), add_more },
	[CONFINE_DISK] = { SCMP_ACT_ERRNO(EPERM), add_disk },
	[CONFINE_QUIET] = { SCMP_ACT_ALLOW, refuse_quietly },
};

static int export(scmp_filter_ctx ctx, struct sock_filter *insn)
{
	const size_t room = BPF_MAXINSNS * sizeof(*insn);
	cleanup_fd int fd = host_result(memfd_create("confine", MFD_CLOEXEC));
	ssize_t len;
	int ret;

	if (fd < 0)
		return fd;
	ret = seccomp_export_bpf(ctx, fd);
	if (ret < 0)
		return ret;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -EIO;
	len = host_read(fd, insn, room);
	if (len < 0)
		return len;
	return (size_t)len == room ? -E2BIG : (int)(len / sizeof(*insn));
}

int confine_build(enum confine_filter which, struct sock_filter *insn)
{
	scmp_filter_ctx ctx = seccomp_init(filters[which].otherwise);
	int ret;

	if (!ctx)
		return -ENOMEM;
	ret = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (ret == 0)
		ret = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (ret == 0)
		ret = filters[which].fill(ctx);
	if (ret == 0)
		ret = export(ctx, insn);
	seccomp_release(ctx);
	return ret;
}
