/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retrace.c - a tracer of the guest's own changes the number of a call at its entry
 *
 * The host asks the filter after the tracer: what the mask refuses stays refused,
 * and what it traps is trapped, whatever number the call began with.
 */
#include <linux/if_alg.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/user.h>

#include "../guest/t.h"
#include "raw.h"

/* Calls that no guest has, with arguments with which the host would do them. */
static const struct changed {
	const char *name;
	long nr, arg[3];
} calls[] = {
	{ "socket(AF_ALG)", SYS_socket, { AF_ALG, SOCK_SEQPACKET, 0 } },
	{ "unshare(CLONE_NEWUSER)", SYS_unshare, { CLONE_NEWUSER, 0, 0 } },
	{ "io_uring_setup", 425, { 0, 0, 0 } },
	{ "keyctl", SYS_keyctl, { 0, -3, 1 } },
};

static long change(const struct changed *c, bool x32)
{
	struct user_regs_struct r;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) == -1)
			_exit(77);
		raise(SIGSTOP);
		raw64(SYS_getppid, 0, 0, 0, 0, 0, 0);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status))
		return WEXITSTATUS(status) == 77 ? -EPERM : -EINVAL;
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	for (int stops = 0;;) {
		ptrace(PTRACE_SYSCALL, pid, 0, 0);
		if (waitpid(pid, &status, 0) == -1 || !WIFSTOPPED(status))
			return -ECHILD;
		if (WSTOPSIG(status) != (SIGTRAP | 0x80))
			continue;
		ptrace(PTRACE_GETREGS, pid, 0, &r);
		if (stops == 0 && r.orig_rax == SYS_getppid) {
			r.orig_rax = c->nr | (x32 ? X32_BIT : 0);
			r.rdi = c->arg[0];
			r.rsi = c->arg[1];
			r.rdx = c->arg[2];
			ptrace(PTRACE_SETREGS, pid, 0, &r);
			stops = 1;
		} else if (stops == 1) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return r.rax;
		}
	}
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		for (int x32 = 0; x32 < 2; x32++) {
			long ret = change(&calls[i], x32);

			if (!refused(ret))
				failed("%s%s in place of getppid: %ld", calls[i].name,
				       x32 ? " of x32" : "", ret);
			else
				fact(calls[i].name, "refused");
		}
	}
	return t_failed;
}
