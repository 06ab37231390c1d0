/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pointers.c - bad pointers to every call that the guest kernel may do
 *
 * Each pointer argument of each call is, one at a time: NULL, an unmapped page,
 * a kernel address, an address that is no address, a page that may not be read,
 * the last bytes before an unmapped page. A call fails with an error or
 * succeeds; the caller is not killed, a read-only page is not written, and the
 * guest kernel goes on answering. A string or struct that ends exactly at the end of
 * a mapping is read whole.
 */
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/timex.h>
#include <sys/utsname.h>

#include "../guest/t.h"
#include "raw.h"

#define V(x) { 0, (long)(x) }			/* a plain value */
#define P(...) { 1, (long)(__VA_ARGS__) }	/* a pointer; this is the good one */

static const struct call {
	const char *name;
	int nr;
	struct {
		int pointer;
		long good;
	} arg[6];
} calls[] = {
	{ "mount", SYS_mount, { P("none"), P("m"), P("tmpfs"), V(0), P("size=1m") } },
	{ "mount bind", SYS_mount, { P("m"), P("m2"), P(""), V(MS_BIND), P("") } },
	{ "mount remount", SYS_mount, { P("m"), P("m"), P(""), V(MS_REMOUNT), P("") } },
	{ "umount2", SYS_umount2, { P("missing"), V(0) } },
	{ "pivot_root", SYS_pivot_root, { P("missing"), P("missing") } },
	{ "mknod", SYS_mknod, { P("node"), V(S_IFCHR | 0600), V(0x103) } },
	{ "mknod fifo", SYS_mknod, { P("fifo"), V(S_IFIFO | 0600), V(0) } },
	{ "mknodat", SYS_mknodat, { V(AT_FDCWD), P("nodeat"), V(S_IFCHR | 0600), V(0x103) } },
	{ "sethostname", SYS_sethostname, { P("name"), V(4) } },
	{ "setdomainname", SYS_setdomainname, { P("name"), V(4) } },
	{ "reboot, wrong words", SYS_reboot, { V(1), V(2), V(3), P("x") } },
	{ "reboot, unknown command", SYS_reboot, { V(0xfee1dead), V(672274793), V(0x77777777), P("x") } },
	{ "swapon", SYS_swapon, { P("file"), V(0) } },
	{ "swapoff", SYS_swapoff, { P("file") } },
	{ "settimeofday", SYS_settimeofday, { P(&(struct timeval){ 0, 0 }), P(&(int[2]){ 0, 0 }) } },
	{ "clock_settime", SYS_clock_settime, { V(0), P(&(struct timespec){ 0, 0 }) } },
	{ "adjtimex", SYS_adjtimex, { P(&(struct timex){ 0 }) } },
	{ "clock_adjtime", SYS_clock_adjtime, { V(0), P(&(struct timex){ 0 }) } },
	{ "syslog", SYS_syslog, { V(3), P(&(char[64]){ 0 }), V(64) } },
	{ "sysinfo", SYS_sysinfo, { P(&(struct sysinfo){ 0 }) } },
	{ "uname", SYS_uname, { P(&(struct utsname){ { 0 } }) } },
	{ "sched_setaffinity", SYS_sched_setaffinity, { V(0), V(8), P(&(long[2]){ 1, 0 }) } },
	{ "sched_getaffinity", SYS_sched_getaffinity, { V(0), V(128), P(&(long[16]){ 0 }) } },
	{ "sched_setscheduler", SYS_sched_setscheduler, { V(0), V(0), P(&(int[4]){ 0 }) } },
	{ "sched_setparam", SYS_sched_setparam, { V(0), P(&(int[4]){ 0 }) } },
	{ "sched_setattr", SYS_sched_setattr, { V(0), P(&(int[32]){ 48 }), V(0) } },
	{ "sched_getattr", SYS_sched_getattr, { V(0), P(&(int[32]){ 0 }), V(48), V(0) } },
	{ "setrlimit", SYS_setrlimit, { V(RLIMIT_CORE), P(&(long[2]){ 0, 0 }) } },
	{ "getrlimit", SYS_getrlimit, { V(RLIMIT_CORE), P(&(long[2]){ 0, 0 }) } },
	{ "prlimit64", SYS_prlimit64,
	  { V(0), V(RLIMIT_CORE), P(&(long[2]){ 0, 0 }), P(&(long[2]){ 0, 0 }) } },
	{ "chroot", SYS_chroot, { P("/missing") } },
	{ "seccomp filter", SYS_seccomp, { V(1), V(0), P(&(long[2]){ 0, 0 }) } },
	{ "seccomp action", SYS_seccomp, { V(2), V(0), P(&(int[2]){ 0x7fff0000, 0 }) } },
	{ "prctl seccomp", SYS_prctl, { V(PR_SET_SECCOMP), V(2), P(&(long[2]){ 0, 0 }) } },
	{ "socketpair", SYS_socketpair, { V(AF_UNIX), V(SOCK_STREAM), V(0), P(&(int[2]){ 0, 0 }) } },
	{ "acct", SYS_acct, { P("file") } },
	{ "quotactl", SYS_quotactl, { V(0x800007 << 8), P("file"), V(0), P(&(char[256]){ 0 }) } },
	{ "clone3", SYS_clone3, { P(&(long[11]){ 0 }), V(8) } },
	{ "ioctl TIOCSTI", SYS_ioctl, { V(0), V(0x5412), P("x") } },
	{ "setns", SYS_setns, { V(-1), V(0) } },
	{ "bpf", SYS_bpf, { V(0), P(&(long[16]){ 0 }), V(128) } },
	{ "io_uring_setup", 425, { V(8), P(&(long[16]){ 0 }) } },
	{ "fsopen", 430, { P("tmpfs"), V(0) } },
	/* with ids of the guest's own the guest kernel does these, too */
	{ "stat", SYS_stat, { P("m"), P(&(struct stat){ 0 }) } },
	{ "lstat", SYS_lstat, { P("m"), P(&(struct stat){ 0 }) } },
	{ "fstat", SYS_fstat, { V(0), P(&(struct stat){ 0 }) } },
	{ "newfstatat", SYS_newfstatat, { V(AT_FDCWD), P("m"), P(&(struct stat){ 0 }), V(0) } },
	{ "statx", SYS_statx, { V(AT_FDCWD), P("m"), V(0), V(0xfff), P(&(long[32]){ 0 }) } },
	{ "access", SYS_access, { P("m"), V(R_OK) } },
	{ "chmod", SYS_chmod, { P("m"), V(0755) } },
	{ "fchmodat", SYS_fchmodat, { V(AT_FDCWD), P("m"), V(0755) } },
	{ "chown", SYS_chown, { P("m"), V(-1), V(-1) } },
	{ "lchown", SYS_lchown, { P("m"), V(-1), V(-1) } },
	{ "fchownat", SYS_fchownat, { V(AT_FDCWD), P("m"), V(-1), V(-1), V(0) } },
	{ "open", SYS_open, { P("m"), V(O_RDONLY), V(0) } },
	{ "openat2", SYS_openat2, { V(AT_FDCWD), P("m"), P(&(long[3]){ 0 }), V(24) } },
	{ "mkdir", SYS_mkdir, { P("made"), V(0755) } },
	{ "symlink", SYS_symlink, { P("x"), P("linked") } },
	{ "link", SYS_link, { P("missing"), P("linked2") } },
	{ "rename", SYS_rename, { P("missing"), P("renamed") } },
	{ "unlink", SYS_unlink, { P("missing") } },
	{ "readlink", SYS_readlink, { P("m"), P(&(char[64]){ 0 }), V(64) } },
	{ "truncate", SYS_truncate, { P("missing"), V(0) } },
	{ "chdir", SYS_chdir, { P("m") } },
	{ "utimensat", SYS_utimensat,
	  { V(AT_FDCWD), P("m"), P(&(struct timespec[2]){ { 0 } }), V(0) } },
	{ "setxattr", SYS_setxattr, { P("m"), P("user.x"), P("value"), V(5), V(0) } },
	{ "getxattr", SYS_getxattr, { P("m"), P("user.x"), P(&(char[64]){ 0 }), V(64) } },
	{ "listxattr", SYS_listxattr, { P("m"), P(&(char[64]){ 0 }), V(64) } },
	{ "removexattr", SYS_removexattr, { P("m"), P("user.y") } },
	{ "execve", SYS_execve, { P("missing"), P(&(long[2]){ 0 }), P(&(long[2]){ 0 }) } },
	{ "execveat", SYS_execveat,
	  { V(AT_FDCWD), P("missing"), P(&(long[2]){ 0 }), P(&(long[2]){ 0 }), V(0) } },
	{ "capget", SYS_capget, { P(&(int[2]){ 0x20080522, 0 }), P(&(int[6]){ 0 }) } },
	{ "capset", SYS_capset, { P(&(int[2]){ 0x20080522, 0 }), P(&(int[6]){ 0 }) } },
	{ "getgroups", SYS_getgroups, { V(64), P(&(int[64]){ 0 }) } },
	{ "setgroups", SYS_setgroups, { V(2), P(&(int[2]){ 0 }) } },
	{ "getresuid", SYS_getresuid, { P(&(int){ 0 }), P(&(int){ 0 }), P(&(int){ 0 }) } },
	{ "getresgid", SYS_getresgid, { P(&(int){ 0 }), P(&(int){ 0 }), P(&(int){ 0 }) } },
	{ "mount_setattr", 442, { V(AT_FDCWD), P("m"), V(0), P(&(long[4]){ 0 }), V(32) } },
};

static char *last_bytes, *no_read, *read_only;

static void make_pages(void)
{
	char *p = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(p, 'a', 4096);
	mprotect(p + 4096, 4096, PROT_NONE);
	last_bytes = p + 4096 - 3;
	no_read = p + 4096;
	read_only = p + 8192;
	memset(read_only, 'r', 4096);
	mprotect(read_only, 4096, PROT_READ);
	munmap(p + 3 * 4096, 4096);
}

static void one(const struct call *c, int bad_arg, long bad)
{
	long a[6];
	pid_t pid = need("fork", fork());
	int status;

	if (pid == 0) {
		alarm(20);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		for (int i = 0; i < 6; i++)
			a[i] = i == bad_arg ? bad : c->arg[i].good;
		raw64(c->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		for (int i = 0; i < 4096; i++)
			if (read_only[i] != 'r')
				_exit(3);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		failed("%s, argument %d = %#lx: killed by %d", c->name, bad_arg, bad,
		       WTERMSIG(status));
	else if (status)
		failed("%s, argument %d = %#lx: a read-only page was written", c->name, bad_arg, bad);
}

/* Copies @text so that its NUL is the last byte before an unmapped page. */
static char *at_the_end(const char *text)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t size = strlen(text) + 1;

	munmap(p + 4096, 4096);
	return memcpy(p + 4096 - size, text, size);
}

static void at_ends(void)
{
	char *name = at_the_end("at-the-end");
	struct utsname u;
	char *p;

	/* A policy that refuses the privileged calls leaves only the paths to look at. */
	if (sethostname(name, 10) == -1 && errno == EPERM)
		return;
	check("a name at the end of a page", uname(&u) == 0 && strcmp(u.nodename, "at-the-end") == 0);
	say("one byte more", sethostname(name, 12));
	check("a path at the end of a page", mknod(at_the_end("end-fifo"), S_IFIFO | 0600, 0) == 0 &&
						     access("end-fifo", F_OK) == 0);
	mkdir("m3", 0755);
	check("all strings at ends of pages",
	      mount(at_the_end("none"), at_the_end("m3"), at_the_end("tmpfs"), 0,
		    at_the_end("size=64k")) == 0);
	check("umount", umount2(at_the_end("m3"), 0) == 0);
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(p + 4096, 4096);
	check("a struct that just fits", syscall(SYS_uname, p + 4096 - sizeof(u)) == 0);
	say("a struct that does not", syscall(SYS_uname, p + 4096 - sizeof(u) + 1));
	memset(p, 'a', 4096);
	say("a path without an end", mknod(p + 4000, S_IFIFO | 0600, 0));
	say("a path of a page and more", mknod(p, S_IFIFO | 0600, 0));
}

int main(void)
{
	enter_dir();
	mkdir("m", 0755);
	mkdir("m2", 0755);
	write_file("file", "x");
	make_pages();
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		long bads[] = { 0, 1, 4095, 0x7ffffffff000, -4096, -1, (long)0xffffffff81000000,
				(long)0x800000000000, (long)0xdead000000000000, (long)no_read,
				(long)last_bytes, (long)read_only, (long)(read_only + 4094) };

		for (int a = 0; a < 6; a++)
			for (size_t b = 0; calls[i].arg[a].pointer && b < ARRAY_SIZE(bads); b++)
				one(&calls[i], a, bads[b]);
		while (umount2("m", MNT_DETACH) == 0 || umount2("m2", MNT_DETACH) == 0)
			;
		unlink("node");
		unlink("nodeat");
		unlink("fifo");
		if (!answers())
			failed("after %s the guest kernel does not answer", calls[i].name);
	}
	check("no call killed its caller or wrote where it may not", !t_failed);
	at_ends();
	return t_failed;
}
