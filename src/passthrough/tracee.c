/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tracee.c - a guest task that is stopped for a moment
 */
#include "passthrough/tracee.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define MAX_STEPS 64	/* stops until an instruction is done: signals of all kinds at once */

static int request(int what, pid_t tid, uintptr_t addr, const void *data)
{
	return host_call(SYS_ptrace, what, tid, addr, data);
}

static bool is_own_child(pid_t tid)
{
	char path[48], text[4096];
	const char *ppid;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	host_read_file(AT_FDCWD, path, text, sizeof(text));
	ppid = strstr(text, "\nPPid:");
	return ppid && atoi(ppid + sizeof("\nPPid:") - 1) == getpid();
}

/* It is dying, or dead: see to it that no zombie stays with its tracer. */
static int died(pid_t tid)
{
	siginfo_t si;
	int ret;

	do {
		ret = host_result(waitid(P_PID, tid, &si, WEXITED | WNOWAIT | __WALL));
	} while (ret == -EINTR);
	if (ret == 0 && !is_own_child(tid))
		host_result(waitid(P_PID, tid, &si, WEXITED | WNOHANG | __WALL));
	return -ESRCH;
}

/* Any stop; it is not consumed, as only a tracer's request counts. */
static int await_stop(pid_t tid, int *ret_status)
{
	siginfo_t si = {};
	int ret;

	do {
		ret = host_result(waitid(P_PID, tid, &si, WSTOPPED | WEXITED | WNOWAIT | __WALL));
	} while (ret == -EINTR);
	if (ret < 0)
		return -ESRCH;
	if (si.si_code != CLD_TRAPPED && si.si_code != CLD_STOPPED)
		return died(tid);
	*ret_status = si.si_status;
	return 0;
}

int tracee_seize(pid_t tid)
{
	int ret = request(PTRACE_SEIZE, tid, 0, NULL);

	if (ret < 0)
		return ret == -ESRCH ? ret : -EPERM;
	if (request(PTRACE_INTERRUPT, tid, 0, NULL) < 0)
		return died(tid);
	return 0;
}

int tracee_stop(pid_t tid, struct user_regs_struct *ret)
{
	int status, err = await_stop(tid, &status);

	if (err < 0)
		return err;
	return request(PTRACE_GETREGS, tid, 0, ret) < 0 ? died(tid) : 0;
}

/*
 * One instruction. A stop that the step did not make (a group stop, one more
 * interrupt) is stepped over; a signal that cannot be masked is sent again.
 */
static int step(pid_t tid, bool *stopped)
{
	for (int i = 0; i < MAX_STEPS; i++) {
		int status, err;

		if (request(PTRACE_SINGLESTEP, tid, 0, NULL) < 0)
			return died(tid);
		err = await_stop(tid, &status);
		if (err < 0)
			return err;
		if (status == SIGTRAP)
			return 0;
		if (status == SIGSTOP)
			*stopped = true;
	}
	return 0;
}

int tracee_call(pid_t tid, uint64_t at, int nr, const uint64_t arg[6], int64_t *ret)
{
	struct user_regs_struct r;
	uint64_t all = ~UINT64_C(0), mask;
	bool stopped = false;
	int err;

	if (request(PTRACE_GETREGS, tid, 0, &r) < 0 ||
	    request(PTRACE_GETSIGMASK, tid, sizeof(mask), &mask) < 0 ||
	    request(PTRACE_SETSIGMASK, tid, sizeof(all), &all) < 0)
		return died(tid);
	r.rip = at;
	r.rax = nr;
	r.orig_rax = -1;
	r.rdi = arg[0];
	r.rsi = arg[1];
	r.rdx = arg[2];
	r.r10 = arg[3];
	r.r8 = arg[4];
	r.r9 = arg[5];
	if (request(PTRACE_SETREGS, tid, 0, &r) < 0)
		return died(tid);
	err = step(tid, &stopped);
	if (err < 0)
		return err;
	if (request(PTRACE_GETREGS, tid, 0, &r) < 0 ||
	    request(PTRACE_SETSIGMASK, tid, sizeof(mask), &mask) < 0)
		return died(tid);
	if (stopped)
		host_call(SYS_tkill, tid, SIGSTOP);
	*ret = r.rip == at + 2 ? (int64_t)r.rax : -ENOSYS;
	return 0;
}

int tracee_release(pid_t tid, const struct user_regs_struct *regs)
{
	if (regs && request(PTRACE_SETREGS, tid, 0, regs) < 0)
		return died(tid);
	return request(PTRACE_DETACH, tid, 0, NULL) < 0 ? died(tid) : 0;
}

/* ---- the probe ---------------------------------------------------------- */

static void __attribute__((noreturn)) scratch(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 1);
	for (;;)
		pause();
}

static int try_on(pid_t pid)
{
	struct user_regs_struct r;
	int ret = tracee_seize(pid);

	if (ret == 0)
		ret = tracee_stop(pid, &r);
	return ret < 0 ? ret : tracee_release(pid, NULL);
}

int tracee_probe(void)
{
	pid_t pid = fork();
	int ret;

	if (pid < 0)
		return -EAGAIN;
	if (pid == 0)
		scratch();
	ret = try_on(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return ret;
}
