/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strangers.c - no process of the host can be seen, signalled, traced or read
 *
 *   strangers PID...
 *
 * The pids are the runner's and weir's on the host. pid 1 has no parent, and
 * its memory, root and descriptors lead nowhere outside.
 */
#include <ctype.h>
#include <dirent.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "../guest/t.h"

static void try_pid(pid_t pid)
{
	char path[64], byte;
	struct iovec local = { &byte, 1 }, remote = { (void *)0x400000, 1 };
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (stat(path, &st) == 0) {
		fact("a pid of the host is in use inside too", "not tried");
		return;
	}
	check("kill", kill(pid, 0) == -1 && errno == ESRCH);
	check("tgkill", syscall(SYS_tgkill, pid, pid, 0) == -1 && errno == ESRCH);
	check("ptrace", ptrace(PTRACE_SEIZE, pid, 0, 0) == -1);
	check("process_vm_readv", process_vm_readv(pid, &local, 1, &remote, 1, 0) == -1);
	check("pidfd_open", syscall(SYS_pidfd_open, pid, 0) == -1);
	check("prlimit", prlimit(pid, RLIMIT_NOFILE, NULL, NULL) == -1);
	check("setpriority", setpriority(PRIO_PROCESS, pid, 5) == -1);
	check("sched_setaffinity",
	      syscall(SYS_sched_setaffinity, pid, 8, &(unsigned long){ 1 }) == -1);
	check("getpgid", getpgid(pid) == -1);
	check("rt_sigqueueinfo", syscall(SYS_rt_sigqueueinfo, pid, 0, NULL) == -1);
}

static void pid1(void)
{
	char text[4096], path[300], link[4096];
	struct stat a, b;
	struct dirent *e;
	DIR *d;

	check("pid 1 has no parent we know", read_file("/proc/1/status", text, sizeof(text)) > 0 &&
						     strstr(text, "\nPPid:\t0\n"));
	if (stat("/proc/1/root/", &a) == 0 && stat("/", &b) == 0)
		check("pid 1's root is ours", a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	if (stat("/proc/1/root/..", &a) == 0 && stat("/", &b) == 0)
		check("nothing above it", a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	d = opendir("/proc/1/fd");
	while (d && (e = readdir(d))) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/1/fd/%s", e->d_name);
		memset(link, 0, sizeof(link));
		if (readlink(path, link, sizeof(link) - 1) == -1)
			continue;
		if (stat(path, &a) == 0 && S_ISDIR(a.st_mode))
			failed("pid 1 holds a directory: %s", link);
		if (strncmp(link, "anon_inode:seccomp", 18) == 0 ||
		    (strncmp(link, "anon_inode:[pidfd", 17) == 0 && atoi(e->d_name) > 9999))
			failed("pid 1 holds %s", link);
		if (strstr(link, "/weir/"))
			failed("pid 1 holds %s", link);
	}
	check("write to pid 1's program", open("/proc/1/exe", O_WRONLY) == -1);
	say("open pid 1's memory", open("/proc/1/mem", O_RDWR));
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (atoi(argv[i]) > 1)
			try_pid(atoi(argv[i]));
	pid1();
	return t_failed;
}
