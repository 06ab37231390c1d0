/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nested.c - filters of the guest's own, with every answer there is, open nothing
 *
 * A filter on top of the mask answers a refused call with ALLOW, LOG, TRACE,
 * USER_NOTIF, and with what ends or stops it. In none of these is the call done,
 * by any door; and no filter hides from the next program what the mask does.
 */
#include <linux/filter.h>
#include <linux/if_alg.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "../guest/t.h"
#include "raw.h"

static const struct {
	const char *name;
	unsigned action;
} actions[] = {
	{ "ALLOW", SECCOMP_RET_ALLOW },	      { "LOG", SECCOMP_RET_LOG },
	{ "TRACE", SECCOMP_RET_TRACE },	      { "USER_NOTIF", SECCOMP_RET_USER_NOTIF },
	{ "ERRNO 0", SECCOMP_RET_ERRNO },     { "TRAP", SECCOMP_RET_TRAP },
	{ "KILL_THREAD", SECCOMP_RET_KILL_THREAD },
};
static unsigned action;

static void on_sigsys(int sig)
{
	_exit(0);
}

/* ERRNO 0 says success without doing anything: look at what is there. */
static bool is_socket(long fd)
{
	struct stat st;

	return fd > 2 && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static void under_filter(void)
{
	struct sock_filter insn[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 359 /* socket of i386 */, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 425 /* io_uring_setup */, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(insn), insn };
	char params[256] = "";
	long fd;

	signal(SIGSYS, on_sigsys);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == -1) {
		fact("no filter of the guest's own", "%s", t_errno(errno));
		return;
	}
	fd = raw64(SYS_socket, AF_ALG, SOCK_SEQPACKET, 0, 0, 0, 0);
	if (is_socket(fd))
		failed("an AF_ALG socket under a filter with %#x", action);
	fd = raw32(359, AF_ALG, SOCK_SEQPACKET, 0, 0, 0);
	if (is_socket(fd))
		failed("an AF_ALG socket by i386 under a filter with %#x", action);
	if (raw64(425, 1, (long)params, 0, 0, 0, 0) > 2)
		failed("io_uring under a filter with %#x", action);
	_exit(0);
}

/* A process that answers all of its own calls, its end among them, with success. */
static void under_silence(void)
{
	struct sock_filter insn[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO) };
	struct sock_fprog prog = { ARRAY_SIZE(insn), insn };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
	for (;;)
		raw64(SYS_exit_group, 0, 0, 0, 0, 0, 0);
}

/* It hides from itself alone: others see it, end it, and are answered meanwhile. */
static void silence(void)
{
	pid_t pid = need("fork", fork());
	char path[64], text[4096];
	int status;

	if (pid == 0)
		under_silence();
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	for (int i = 0; i < 100; i++)
		if (!answers() || read_file(path, text, sizeof(text)) == -1)
			failed("beside a silent process");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	check("a process that answers its own end is ended", WIFSIGNALED(status));
}

int main(void)
{
	int status;

	in_child(silence);
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		action = actions[i].action;
		status = child_status(under_filter);
		/* It installed what ends it, or the door of i386 is answered so. */
		if (WIFSIGNALED(status) ? WTERMSIG(status) != SIGSYS : WEXITSTATUS(status) > 1)
			failed("under a filter with %s: status %#x", actions[i].name, status);
		fact(actions[i].name, "tried");
	}
	return t_failed;
}
