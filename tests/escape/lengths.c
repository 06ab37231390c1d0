/* SPDX-License-Identifier: Apache-2.0 */
/* lengths.c - lengths and counts far beyond sense are refused before anything is allocated */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "../guest/t.h"
#include "raw.h"

int main(void)
{
	static const long sizes[] = { 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000,
				      0x7fffffffffffffff, -1 };
	size_t big = 1ul << 31;
	char *two_gib = mmap(NULL, big, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t begin = now_ns(CLOCK_MONOTONIC);
	struct sock_fprog prog;
	char *path;

	need("mmap", two_gib == MAP_FAILED ? -1 : 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		/* The length is an int: 2^32 is 0. */
		bool none = (int)sizes[i] == 0;

		check("sethostname",
		      none == !raw64(SYS_sethostname, (long)two_gib, sizes[i], 0, 0, 0, 0));
		check("setdomainname",
		      none == !raw64(SYS_setdomainname, (long)two_gib, sizes[i], 0, 0, 0, 0));
		check("syslog", raw64(SYS_syslog, 3, (long)two_gib, sizes[i], 0, 0, 0) < (1 << 26));
		raw64(SYS_sched_getaffinity, 0, sizes[i] & ~7l, (long)two_gib, 0, 0, 0);
		raw64(SYS_sched_setaffinity, 0, sizes[i], (long)two_gib, 0, 0, 0);
		raw64(SYS_sched_setattr, 0, (long)&sizes[i], 0, 0, 0, 0);
		raw64(SYS_sched_getattr, 0, (long)two_gib, sizes[i], 0, 0, 0);
		raw64(SYS_clone3, (long)two_gib, sizes[i], 0, 0, 0, 0);
		/* with ids of the guest's own the guest kernel does these, too */
		check("setgroups", none || raw64(SYS_setgroups, sizes[i], (long)two_gib, 0, 0, 0, 0) < 0);
		raw64(SYS_getgroups, sizes[i], (long)two_gib, 0, 0, 0, 0);
		check("setxattr",
		      raw64(SYS_setxattr, (long)"/tmp", (long)"user.x", (long)two_gib, sizes[i], 0, 0) < 0);
		raw64(SYS_getxattr, (long)"/tmp", (long)"user.x", (long)two_gib, sizes[i], 0, 0);
		raw64(SYS_listxattr, (long)"/tmp", (long)two_gib, sizes[i], 0, 0, 0);
		raw64(SYS_readlink, (long)"/proc/self/exe", (long)two_gib, sizes[i], 0, 0, 0);
		raw64(SYS_bind, 0, (long)two_gib, sizes[i], 0, 0, 0);
		raw64(SYS_connect, 0, (long)two_gib, sizes[i], 0, 0, 0);
		raw64(SYS_openat2, AT_FDCWD, (long)"/", (long)two_gib, sizes[i], 0, 0);
		raw64(442, AT_FDCWD, (long)"/", 0, (long)two_gib, sizes[i], 0);
	}
	enter_dir();
	mkdir("m", 0755);
	memset(two_gib, 'a', 1 << 20);
	check("a path of a megabyte", mknod(two_gib, S_IFIFO, 0) == -1 && errno == ENAMETOOLONG);
	check("a mount of such a path",
	      mount("none", two_gib, "tmpfs", 0, NULL) == -1 && errno == ENAMETOOLONG);
	check("such a type", mount("none", "m", two_gib, 0, NULL) == -1);
	check("such a source", mount(two_gib, "m", "tmpfs", 0, NULL) == -1);
	say("such options", mount("none", "m", "tmpfs", 0, two_gib));
	while (umount2("m", MNT_DETACH) == 0)
		;
	path = two_gib + 4096 - 100;
	for (int i = 0; i < 4094; i += 2)
		memcpy(path + i, "./", 2);
	strcpy(path + 4090, "fifo");
	check("a path of 4094 bytes", mknod(path, S_IFIFO | 0600, 0) == 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prog = (struct sock_fprog){ 65535, (struct sock_filter *)two_gib };
	check("a filter of 65535 instructions",
	      raw64(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)&prog, 0, 0, 0) < 0);
	check("all of it in good time", now_ns(CLOCK_MONOTONIC) - begin < 20000000000ull);
	check("the guest kernel answers", answers());
	return t_failed;
}
