/* SPDX-License-Identifier: Apache-2.0 */
/*
 * orphan.c - what tasks can do whose guest kernel is gone
 *
 * Run by tests/faults, which kills the guest kernel. Processes make trapped calls all the
 * time, and try to become their own supervisor: by a listener, by descriptors of the
 * others, by tracing. Whoever lives on when the calls are answered no more (ENOSYS) says
 * "alone" and goes on trying. "ready" is printed once, and a line FAILED for what was had.
 * With an argument one process tries each once: natively it has a listener.
 */
#include <dirent.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

#include "../guest/t.h"
#include "raw.h"

#define PROCESSES 8

/* A listener over our own calls, and of the calls that are refused at all times. */
static void listen_to_ourselves(void)
{
	struct sock_filter insn[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_acct, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(insn), insn };
	long fd = raw64(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			(long)&prog, 0, 0, 0);

	if (fd >= 0)
		failed("a listener: %ld", fd);
}

/* Is any descriptor of any process we see a listener? */
static void look_for_listeners(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;

	while (proc && (e = readdir(proc))) {
		char path[300], link[64];
		int pidfd;

		if (atoi(e->d_name) <= 0)
			continue;
		pidfd = syscall(SYS_pidfd_open, atoi(e->d_name), 0);
		for (int fd = 0; fd < 32; fd++) {
			ssize_t n;
			long got;

			snprintf(path, sizeof(path), "/proc/%s/fd/%d", e->d_name, fd);
			n = readlink(path, link, sizeof(link) - 1);
			link[n > 0 ? n : 0] = '\0';
			if (strstr(link, "seccomp"))
				failed("%s of %s is %s", path, e->d_name, link);
			got = fd > 2 && pidfd >= 0 ? syscall(SYS_pidfd_getfd, pidfd, fd, 0) : -1;
			if (got < 0)
				continue;
			snprintf(path, sizeof(path), "/proc/self/fd/%ld", got);
			n = readlink(path, link, sizeof(link) - 1);
			link[n > 0 ? n : 0] = '\0';
			if (strstr(link, "seccomp"))
				failed("pidfd_getfd gave %s", link);
			close(got);
		}
		if (pidfd >= 0)
			close(pidfd);
	}
	if (proc)
		closedir(proc);
}

static void forbidden(void)
{
	if (raw64(SYS_socket, 38 /* AF_ALG */, 5, 0, 0, 0, 0) >= 0)
		failed("an AF_ALG socket");
	if (raw64(425 /* io_uring_setup */, 1, (long)&(long[32]){ 0 }, 0, 0, 0, 0) >= 0)
		failed("io_uring");
	if (raw64(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */, 0, 0, 0, 0, 0) == 0)
		failed("a user namespace");
}

static void go_on(bool once)
{
	bool alone = false;

	do {
		long ret = raw64(SYS_sethostname, (long)"orphan", 6, 0, 0, 0, 0);

		/* Nobody is there to answer: the host says ENOSYS, and does not do it. */
		if (ret == -ENOSYS && !alone) {
			dprintf(1, "alone\n");
			alone = true;
		}
		if (ret != 0 && ret != -ENOSYS && ret != -EPERM)
			failed("sethostname: %ld", ret);
		if (raw64(SYS_mount, (long)"none", (long)"/tmp", (long)"ext4", 0, 0, 0) == 0)
			failed("a mount that the guest kernel refuses");
		listen_to_ourselves();
		look_for_listeners();
		forbidden();
	} while (!once);
}

int main(int argc, char **argv)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (argc > 1) {
		go_on(true);
		return t_failed;
	}
	for (int i = 0; i < PROCESSES; i++)
		if (need("fork", fork()) == 0) {
			/* A session of its own, and no parent: what a hang-up or a reaper would
			 * end, goes on. */
			setsid();
			signal(SIGHUP, SIG_IGN);
			signal(SIGTERM, SIG_IGN);
			if (fork() == 0)
				go_on(false);
			_exit(0);
		}
	dprintf(1, "ready\n");
	go_on(false);
	return 0;
}
