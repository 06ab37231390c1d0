/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.c - a guest may filter itself, and may not become a supervisor
 *
 * A listener is refused by seccomp(2) with every flag combination; a plain
 * filter works; RET_USER_NOTIF without a listener is no way to hide a call; a
 * filter that answers a trapped call hides it from nobody else.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "../guest/t.h"
#include "raw.h"

static struct sock_filter insn[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sethostname, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
static struct sock_fprog prog = { ARRAY_SIZE(insn), insn };

static void listen_with(unsigned flags)
{
	long fd = raw64(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, (long)&prog, 0, 0, 0);

	if (fd >= 0)
		failed("a listener with flags %#x: fd %ld", flags, fd);
	else
		fact("refused with", "%s", t_errno(-fd));
}

static void listeners(void)
{
	unsigned f = SECCOMP_FILTER_FLAG_NEW_LISTENER;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	listen_with(f);
	listen_with(f | SECCOMP_FILTER_FLAG_LOG);
	listen_with(f | SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH);
	listen_with(f | 32);	/* WAIT_KILLABLE_RECV */
	check("nothing was installed by it", sethostname("listened", 8) == 0);
}

static void notif_without_listener(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	say("install USER_NOTIF without a listener",
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
	say("the call it names", sethostname("x", 1));
	check("other trapped calls go on", setdomainname("x", 1) == 0);
}

static void flip_prog(void)
{
	/* More filters than the host takes: refused in order, and nothing breaks. */
	struct sock_filter allow[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog one = { 1, allow };
	struct sock_fprog huge = { 65535, allow };
	int n = 0;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	say("a program of 65535 instructions that is one",
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &huge));
	while (n < 200 && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &one) == 0)
		n++;
	check("filters on filters", n > 20);
	check("trapped calls work below them all", sethostname("stacked", 7) == 0);
}

int main(void)
{
	unsigned short sizes[3];

	in_child(listeners);
	in_child(notif_without_listener);
	in_child(flip_prog);
	say("sizes of the notification structs",
	    syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, sizes));
	check("outside all is as it was", sethostname("outside", 7) == 0);
	return t_failed;
}
