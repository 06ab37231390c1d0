/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysctl.c - no switch of the host can be turned
 *
 * Every file below /proc/sys and /sys is opened for writing (nothing is
 * written); what opens must belong to a namespace. The usual ways out are named
 * one by one (CVE-2022-0492, CVE-2022-0811).
 */
#include <ftw.h>

#include "../guest/t.h"

/* What the guest's own namespaces hold. */
static const char *const ours[] = {
	"/proc/sys/net/",
	"/proc/sys/user/",
	"/proc/sys/kernel/hostname",
	"/proc/sys/kernel/domainname",
	"/proc/sys/kernel/sem",
	"/proc/sys/kernel/shm",
	"/proc/sys/kernel/msg",
	"/proc/sys/kernel/auto_msgmni",
	"/proc/sys/kernel/ns_last_pid",
	"/proc/sys/kernel/pid_max",
	"/proc/sys/vm/memfd_noexec",
	"/proc/sys/fs/mqueue/",
	"/proc/sys/fs/binfmt_misc/",
	"/sys/fs/cgroup/",
};

static int opened, tried;

static int each(const char *path, const struct stat *st, int type, struct FTW *f)
{
	int fd;

	(void)f;
	if (type != FTW_F || !S_ISREG(st->st_mode))
		return 0;
	tried++;
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd == -1)
		return 0;
	close(fd);
	opened++;
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (strncmp(path, ours[i], strlen(ours[i])) == 0)
			return 0;
	failed("%s opens for writing", path);
	return 0;
}

static void closed(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	struct stat st;

	/* What is hidden has /dev/null over it. */
	if (fd >= 0 && (fstat(fd, &st) == -1 || !S_ISCHR(st.st_mode) || st.st_rdev != 0x103))
		failed("%s opens for writing", path);
	else
		check(path, true);
}

int main(void)
{
	closed("/proc/sys/kernel/core_pattern");
	closed("/proc/sys/kernel/modprobe");
	closed("/proc/sys/kernel/hotplug");
	closed("/proc/sys/kernel/panic");
	closed("/proc/sys/kernel/sysrq");
	closed("/proc/sys/kernel/randomize_va_space");
	closed("/proc/sys/vm/overcommit_memory");
	closed("/proc/sys/vm/panic_on_oom");
	closed("/proc/sys/fs/suid_dumpable");
	closed("/proc/sysrq-trigger");
	closed("/proc/kcore");
	closed("/proc/kmsg");
	closed("/proc/irq/0/smp_affinity");
	closed("/proc/mtrr");
	closed("/proc/timer_list");
	closed("/sys/kernel/uevent_helper");
	closed("/sys/kernel/mm/ksm/run");
	closed("/sys/power/state");
	closed("/sys/module/kernel/parameters/panic");
	closed("/sys/fs/cgroup/release_agent");
	closed("/sys/fs/cgroup/memory/release_agent");
	closed("/sys/fs/cgroup/systemd/release_agent");
	closed("/dev/mem");
	closed("/dev/kmsg");
	closed("/dev/kvm");
	closed("/dev/loop-control");
	closed("/dev/vda");
	closed("/dev/sda");
	nftw("/proc/sys", each, 30, FTW_PHYS);
	nftw("/sys", each, 30, FTW_PHYS);
	check("files were tried", tried > 100);
	check("the kernel's log of the host is closed", open("/proc/kmsg", O_RDONLY) == -1);
	check("the host's memory is closed", open("/proc/kcore", O_RDONLY) == -1);
	return t_failed;
}
