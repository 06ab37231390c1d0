/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp_strict.c - a program's own strict mode: read, write, exit; all else kills */
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "t.h"

static void enter(long ret)
{
	if (ret == -1) {
		say("strict mode", ret);
		_exit(0);
	}
}

static void by_prctl(void)
{
	enter(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	syscall(SYS_write, 1, "in strict mode\n", 15);
	syscall(SYS_exit, 7);
}

static void by_seccomp(void)
{
	enter(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL));
	syscall(SYS_write, 1, "in strict mode\n", 15);
	syscall(SYS_exit, 8);
}

static void killed(void)
{
	enter(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	syscall(SYS_getppid);
	syscall(SYS_exit, 9);
}

static void killed_by_trapped(void)
{
	enter(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	syscall(SYS_sethostname, "x", 1);
	syscall(SYS_exit, 9);
}

int main(void)
{
	say_status("by prctl", child_status(by_prctl));
	say_status("by seccomp", child_status(by_seccomp));
	say_status("getppid in strict mode", child_status(killed));
	say_status("sethostname in strict mode", child_status(killed_by_trapped));
	say("sethostname outside", sethostname("still", 5));
	return t_failed;
}
