/* SPDX-License-Identifier: Apache-2.0 */
/*
 * newuser.c - a namespace made inside gives nothing that the guest had not
 *
 * clone, clone3 and unshare with each flag, alone and joined with others.
 * No user namespace can be made; whatever else can gives no capability over
 * a network and no way to the devices.
 */
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>

#include "../guest/t.h"
#include "raw.h"

static const unsigned long flags[] = { CLONE_NEWNS,  CLONE_NEWUTS,    CLONE_NEWIPC,  CLONE_NEWNET,
				       CLONE_NEWPID, CLONE_NEWCGROUP, CLONE_NEWTIME };

static bool has_cap(int cap)
{
	char text[4096], *at;

	if (read_file("/proc/self/status", text, sizeof(text)) == -1)
		return false;
	at = strstr(text, "\nCapEff:");
	return at && (strtoull(at + 8, NULL, 16) >> cap & 1);
}

static unsigned long flag;

static void by_unshare(void)
{
	long ret = raw64(SYS_unshare, flag, 0, 0, 0, 0, 0);

	if (ret == 0 && (flag & CLONE_NEWUSER))
		failed("unshare(%#lx) made a user namespace", flag);
	if (has_cap(CAP_NET_ADMIN) || has_cap(CAP_NET_RAW))
		failed("after unshare(%#lx): capabilities over a network", flag);
	if (has_cap(CAP_SYS_MODULE) || has_cap(CAP_SYS_RAWIO))
		failed("after unshare(%#lx): capabilities over devices", flag);
}

static void by_clone(void)
{
	long pid = raw64(SYS_clone, flag | SIGCHLD, 0, 0, 0, 0, 0);

	if (pid == 0)
		raw64(SYS_exit, has_cap(CAP_NET_ADMIN), 0, 0, 0, 0, 0);
	if (pid > 0) {
		int status;

		waitpid(pid, &status, 0);
		if (flag & CLONE_NEWUSER)
			failed("clone(%#lx) made a user namespace", flag);
		if (WEXITSTATUS(status))
			failed("clone(%#lx): capabilities over a network", flag);
	}
}

static void by_clone3(void)
{
	struct clone_args args = { .flags = flag, .exit_signal = SIGCHLD };
	long pid = raw64(SYS_clone3, (long)&args, sizeof(args), 0, 0, 0, 0);

	if (pid == 0)
		raw64(SYS_exit, has_cap(CAP_NET_ADMIN), 0, 0, 0, 0, 0);
	if (pid > 0) {
		int status;

		waitpid(pid, &status, 0);
		if (flag & CLONE_NEWUSER)
			failed("clone3(%#lx) made a user namespace", flag);
		if (WEXITSTATUS(status))
			failed("clone3(%#lx): capabilities over a network", flag);
	}
}

int main(void)
{
	check("no CAP_NET_ADMIN to begin with", !has_cap(CAP_NET_ADMIN));
	check("no CAP_NET_RAW", !has_cap(CAP_NET_RAW));
	check("no CAP_SYS_MODULE", !has_cap(CAP_SYS_MODULE));
	check("no CAP_SYS_RAWIO", !has_cap(CAP_SYS_RAWIO));
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		for (int user = 0; user < 2; user++) {
			flag = flags[i] | (user ? CLONE_NEWUSER : 0);
			in_child(by_unshare);
			if (!(flag & CLONE_NEWTIME))
				in_child(by_clone);
			in_child(by_clone3);
		}
	}
	flag = CLONE_NEWUSER;
	in_child(by_unshare);
	in_child(by_clone);
	in_child(by_clone3);
	check("fork works", WEXITSTATUS(system("exit 5")) == 5);
	return t_failed;
}
