/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp_filter.c - a program's own filters: installed, obeyed, stacked, inherited
 *
 * What browsers, systemd and bubblewrap do. A filter of the guest's may take
 * calls away, trapped ones too, and trapped calls it allows go on working.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "t.h"

static int filter(int nr, unsigned action, unsigned flags, bool old_way)
{
	struct sock_filter insn[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(insn), insn };

	if (old_way)
		return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

static void simple(void)
{
	need("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	say("install by prctl", filter(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV, 0, true));
	say("getppid", syscall(SYS_getppid));
	say_number("mode as prctl tells", prctl(PR_GET_SECCOMP));
	say("sethostname, trapped and allowed", sethostname("inside", 6));
	say("install a second by seccomp",
	    filter(SYS_sethostname, SECCOMP_RET_ERRNO | ENOTTY, 0, false));
	say("sethostname, now the program's own refusal", sethostname("inside", 6));
	say("setdomainname, trapped and allowed", setdomainname("inside", 6));
	say("the first holds", syscall(SYS_getppid));
}

static void *other_thread(void *arg)
{
	(void)arg;
	poll(NULL, 0, 100);
	return (void *)syscall(SYS_getppid);
}

static void tsync(void)
{
	pthread_t t;
	void *ret;

	need("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	pthread_create(&t, NULL, other_thread, NULL);
	say("install with TSYNC", filter(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV,
					 SECCOMP_FILTER_FLAG_TSYNC, false));
	pthread_join(t, &ret);
	fact("the other thread has it", "%d", (long)ret == -1);
}

static void on_sys(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	fact("SIGSYS for call", "%d", info->si_syscall);
}

static void trap(void)
{
	struct sigaction sa = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };

	sigaction(SIGSYS, &sa, NULL);
	need("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	say("install a RET_TRAP", filter(SYS_getppid, SECCOMP_RET_TRAP, 0, false));
	syscall(SYS_getppid);
	say("a RET_TRAP over a trapped call", filter(SYS_sethostname, SECCOMP_RET_TRAP, 0, false));
	syscall(SYS_sethostname, "x", 1);
}

static void kills(void)
{
	need("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	need("filter", filter(SYS_sethostname, SECCOMP_RET_KILL_PROCESS, 0, false));
	sethostname("x", 1);
}

static void inherited(void)
{
	need("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	need("filter", filter(SYS_getcwd, SECCOMP_RET_ERRNO | EXDEV, 0, false));
	if (fork() == 0) {
		char dir[100];

		say("in a child", syscall(SYS_getcwd, dir, sizeof(dir)));
		_exit(0);
	}
	wait(NULL);
}

static void odd(void)
{
	unsigned action = SECCOMP_RET_ERRNO;

	say("RET_ERRNO is available",
	    syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
	action = 0x12340000;
	say("an unknown action is available",
	    syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
	say("unknown operation", syscall(SYS_seccomp, 99, 0, NULL));
	say("filter at a bad pointer", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, 1L));
	say("strict with flags", syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL));
	need("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	say("an empty filter", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0,
				       &(struct sock_fprog){ 0, NULL }));
	say("unknown flags", filter(SYS_getppid, SECCOMP_RET_ALLOW, 1 << 20, false));
	say("flag LOG", filter(SYS_getppid, SECCOMP_RET_ALLOW, SECCOMP_FILTER_FLAG_LOG, false));
	say("flag SPEC_ALLOW",
	    filter(SYS_getppid, SECCOMP_RET_ALLOW, SECCOMP_FILTER_FLAG_SPEC_ALLOW, false));
}

static void root_without_nnp(void)
{
	say("root installs without no_new_privs",
	    filter(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV, 0, false));
}

int main(void)
{
	say_status("simple", child_status(simple));
	say_status("tsync", child_status(tsync));
	say_status("trap", child_status(trap));
	say_status("kills", child_status(kills));
	say_status("inherited", child_status(inherited));
	say_status("odd", child_status(odd));
	say_status("root", child_status(root_without_nnp));
	say_number("mode outside", prctl(PR_GET_SECCOMP));
	say("getppid outside", syscall(SYS_getppid));
	say("sethostname outside", sethostname("outside", 7));
	return t_failed;
}
