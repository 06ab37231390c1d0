/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace.c - a program may trace its own child: attach, step, read and write, syscalls */
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "t.h"

static volatile long word = 1111;

int main(void)
{
	struct user_regs_struct regs;
	struct iovec local, remote = { (void *)&word, sizeof(word) };
	long value = 0;
	int status, calls = 0;
	pid_t pid;

	pid = need("fork", fork());
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		getppid();
		sethostname("traced", 6);
		_exit(word == 2222 ? 6 : 7);
	}
	need("waitpid", waitpid(pid, &status, 0));
	check("the child stops", WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	say("its registers", ptrace(PTRACE_GETREGS, pid, 0, &regs));
	check("a word of its memory", ptrace(PTRACE_PEEKDATA, pid, &word, 0) == 1111);
	say("write one", ptrace(PTRACE_POKEDATA, pid, &word, 2222));
	local = (struct iovec){ &value, sizeof(value) };
	say("process_vm_readv", process_vm_readv(pid, &local, 1, &remote, 1, 0));
	fact("the word", "%ld", value);
	say("trace its calls", ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD));
	for (;;) {
		ptrace(PTRACE_SYSCALL, pid, 0, 0);
		if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
			break;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			calls++;
	}
	check("calls were seen", calls >= 5);
	say_status("the child's end", status);

	pid = need("fork", fork());
	if (pid == 0) {
		for (;;)
			pause();
	}
	say("attach to a child", ptrace(PTRACE_SEIZE, pid, 0, 0));
	say("interrupt it", ptrace(PTRACE_INTERRUPT, pid, 0, 0));
	need("waitpid", waitpid(pid, &status, 0));
	say("detach", ptrace(PTRACE_DETACH, pid, 0, 0));
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	say_status("its end", status);
	return t_failed;
}
