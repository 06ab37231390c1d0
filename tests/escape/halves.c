/* SPDX-License-Identifier: Apache-2.0 */
/*
 * halves.c - calls that the guest kernel does: the upper half of a number that the host
 * takes for 32 bits changes nothing
 *
 * Each call is made in a process of its own, as it is and with each of its 32-bit
 * arguments under 0xdeadbeef; both answers are the same (sign and errno; of a success,
 * only that it is one). Natively, too.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../guest/t.h"
#include "raw.h"

#define HIGH 0xdeadbeef00000000ul
#define N(x) { 1, (long)(unsigned)(x) }		/* 32 bits to the host */
#define P(x) { 0, (long)(x) }			/* a pointer, or 64 bits */

static char buf[4096], name[] = "half";
static struct rlimit limit = { 0, 0 };
static cpu_set_t cpus;
static struct sched_param param;
static struct timespec zero[2];
static struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };

static const struct call {
	const char *name;
	int nr;
	struct {
		int half;
		long value;
	} arg[6];
} calls[] = {
	{ "sethostname", SYS_sethostname, { P(name), N(4) } },
	{ "setdomainname", SYS_setdomainname, { P(name), N(4) } },
	{ "umount2", SYS_umount2, { P("m"), N(MNT_DETACH) } },
	{ "umount2, bad flags", SYS_umount2, { P("m"), N(0x40000000) } },
	{ "mknod of a FIFO", SYS_mknod, { P("fifo"), N(S_IFIFO | 0600), N(0) } },
	{ "mknod of null", SYS_mknod, { P("null"), N(S_IFCHR | 0600), N(0x103) } },
	{ "mknod of a disk", SYS_mknod, { P("disk"), N(S_IFBLK | 0600), N(0x800) } },
	{ "mknodat", SYS_mknodat, { N(AT_FDCWD), P("fifo"), N(S_IFIFO | 0600), N(0) } },
	{ "mknodat, no descriptor", SYS_mknodat, { N(77), P("fifo"), N(S_IFIFO | 0600), N(0) } },
	{ "reboot, wrong words", SYS_reboot, { N(1), N(2), N(3), P(name) } },
	{ "reboot, unknown command", SYS_reboot, { N(0xfee1dead), N(672274793), N(0x77777777), P(name) } },
	{ "swapon", SYS_swapon, { P("missing"), N(0) } },
	{ "syslog, size", SYS_syslog, { N(10), P(NULL), N(0) } },
	{ "syslog, unknown", SYS_syslog, { N(99), P(buf), N(16) } },
	{ "setrlimit", SYS_setrlimit, { N(RLIMIT_CORE), P(&limit) } },
	{ "setrlimit, unknown", SYS_setrlimit, { N(99), P(&limit) } },
	{ "prlimit64", SYS_prlimit64, { N(0), N(RLIMIT_CORE), P(NULL), P(buf) } },
	{ "prlimit64 of nobody", SYS_prlimit64, { N(99999999), N(RLIMIT_CORE), P(NULL), P(buf) } },
	{ "sched_setaffinity", SYS_sched_setaffinity, { N(0), N(sizeof(cpus)), P(&cpus) } },
	{ "sched_getaffinity", SYS_sched_getaffinity, { N(0), N(sizeof(cpus)), P(buf) } },
	{ "sched_setscheduler", SYS_sched_setscheduler, { N(0), N(SCHED_BATCH), P(&param) } },
	{ "sched_setscheduler, unknown", SYS_sched_setscheduler, { N(0), N(77), P(&param) } },
	{ "clock_settime", SYS_clock_settime, { N(99), P(zero) } },
	{ "setns", SYS_setns, { N(77), N(0) } },
	{ "socket", SYS_socket, { N(AF_INET), N(SOCK_STREAM), N(0) } },
	{ "socketpair", SYS_socketpair, { N(AF_UNIX), N(SOCK_STREAM), N(0), P(buf) } },
	{ "bind", SYS_bind, { N(9), P(&address), N(sizeof(address)) } },
	{ "memfd_create", SYS_memfd_create, { P(name), N(0) } },
	{ "setuid", SYS_setuid, { N(0) } },
	{ "setresuid", SYS_setresuid, { N(-1), N(-1), N(-1) } },
	{ "setgroups", SYS_setgroups, { N(0), P(NULL) } },
	{ "getgroups", SYS_getgroups, { N(0), P(NULL) } },
	{ "chown", SYS_chown, { P("file"), N(-1), N(-1) } },
	{ "fchownat", SYS_fchownat, { N(AT_FDCWD), P("file"), N(-1), N(-1), N(0) } },
	{ "fchownat, bad flags", SYS_fchownat, { N(AT_FDCWD), P("file"), N(-1), N(-1), N(0x4000000) } },
	{ "chmod", SYS_chmod, { P("file"), N(0600) } },
	{ "fchmod", SYS_fchmod, { N(9), N(0600) } },
	{ "open", SYS_open, { P("file"), N(O_RDONLY), N(0) } },
	{ "openat", SYS_openat, { N(AT_FDCWD), P("file"), N(O_RDONLY), N(0) } },
	{ "mkdir", SYS_mkdir, { P("made"), N(0755) } },
	{ "access", SYS_access, { P("file"), N(R_OK) } },
	{ "access, bad mode", SYS_access, { P("file"), N(0x100) } },
	{ "newfstatat", SYS_newfstatat, { N(AT_FDCWD), P("file"), P(buf), N(0) } },
	{ "unlinkat", SYS_unlinkat, { N(AT_FDCWD), P("file"), N(0) } },
	{ "renameat2", SYS_renameat2, { N(AT_FDCWD), P("file"), N(AT_FDCWD), P("other"), N(1) } },
	{ "utimensat", SYS_utimensat, { N(AT_FDCWD), P("file"), P(zero), N(0) } },
	{ "kill nobody", SYS_kill, { N(99999999), N(0) } },
	{ "kill, no signal", SYS_kill, { N(1), N(999) } },
	{ "prctl", SYS_prctl, { N(PR_GET_KEEPCAPS), P(0), P(0), P(0), P(0) } },
};

/* 0: it succeeded; else its errno. What it makes goes with its directory. */
static int answer(const struct call *c, int high)
{
	pid_t pid = need("fork", fork());
	int status;

	if (pid == 0) {
		long a[6], ret;

		enter_dir();
		mkdir("m", 0755);
		write_file("file", "x");
		dup2(open("file", O_RDWR), 9);
		for (int i = 0; i < 6; i++)
			a[i] = c->arg[i].value | (i == high ? HIGH : 0);
		ret = raw64(c->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		umount2("null", MNT_DETACH);
		/* Not as the user that it may be by now. */
		exit(ret < 0 ? -ret : 0);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(void)
{
	CPU_SET(0, &cpus);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		int plain = answer(&calls[i], -1);

		for (int n = 0; n < 6; n++) {
			int got = calls[i].arg[n].half ? answer(&calls[i], n) : plain;

			if (got != plain)
				failed("%s: %s, with argument %d under 0xdeadbeef %s", calls[i].name,
				       t_errno(plain), n, t_errno(got));
		}
	}
	check("upper halves change nothing", !t_failed);
	check("the guest kernel answers", answers());
	return t_failed;
}
