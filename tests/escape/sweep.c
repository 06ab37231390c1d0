/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep.c - every number from 0 to 1023, by each door, with all-zero and all-one arguments
 *
 *   sweep x86-64 | i386 | x32 [first]
 *
 * With "first" it ends when something has got through.
 * A child makes each call, so that none of them can end the sweep. On x86-64
 * the calls no guest needs must be refused and numbers nobody has must be
 * ENOSYS; through the other doors nothing at all may run.
 */
#include "../guest/t.h"
#include "raw.h"

#define NUMBERS 1024
#define NO_ANSWER (-1000000L)

enum door { X86_64, I386, X32 };

static long *answer;

/* Never for a guest of the shipped policies, whatever the arguments. */
static const struct {
	int nr;
	const char *name;
} never[] = {
	{ 163, "acct" },	      { 172, "iopl" },
	{ 173, "ioperm" },	      { 174, "create_module" },
	{ 175, "init_module" },	      { 176, "delete_module" },
	{ 177, "get_kernel_syms" },   { 178, "query_module" },
	{ 180, "nfsservctl" },	      { 134, "uselib" },
	{ 212, "lookup_dcookie" },    { 246, "kexec_load" },
	{ 248, "add_key" },	      { 249, "request_key" },
	{ 250, "keyctl" },	      { 298, "perf_event_open" },
	{ 304, "open_by_handle_at" }, { 313, "finit_module" },
	{ 320, "kexec_file_load" },   { 321, "bpf" },
	{ 323, "userfaultfd" },	      { 425, "io_uring_setup" },
	{ 426, "io_uring_enter" },    { 427, "io_uring_register" },
	{ 428, "open_tree" },	      { 429, "move_mount" },
	{ 430, "fsopen" },	      { 431, "fsconfig" },
	{ 432, "fsmount" },	      { 433, "fspick" },
	{ 442, "mount_setattr" },     { 435, "clone3" },
	{ 467, "open_tree_attr" },    { 457, "statmount" },
	{ 458, "listmount" },
};

static void call(enum door door, int nr, long arg)
{
	long self = raw64(SYS_getpid, 0, 0, 0, 0, 0, 0);
	long ret;

	if (door == I386)
		ret = raw32(nr, arg, arg, arg, arg, arg);
	else
		ret = raw64(door == X32 ? nr | X32_BIT : nr, arg, arg, arg, arg, arg, arg);
	if (raw64(SYS_getpid, 0, 0, 0, 0, 0, 0) == self)
		answer[nr] = ret;
	raw64(SYS_exit, 0, 0, 0, 0, 0, 0);
	__builtin_trap();
}

/* The wait status, or 0 after the half second that a call may block; one that is
 * refused cannot block, it is only slow on a busy host. */
static int wait_or_kill(pid_t pid, enum door door, int nr)
{
	bool refused = door != X86_64 || nr > 480;
	struct timespec ts = { .tv_sec = refused ? 2 : 0, .tv_nsec = 500000000 };
	sigset_t set;
	int status;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (;;) {
		pid_t got = waitpid(pid, &status, WNOHANG);

		if (got == pid)
			return status;
		if (got == -1)
			return 0;
		if (sigtimedwait(&set, NULL, &ts) == -1 && errno == EAGAIN) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return 0;
		}
	}
}

static void judge_native(int nr, long ret, int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		if (never[i].nr == nr && ret != -ENOSYS && ret != -EPERM &&
		    !(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS))
			failed("%s ran: %ld", never[i].name, ret);
	/* 335 and 336 are entered by uprobes only, and pass no filter; they kill. */
	if ((nr > 336 && nr < 424) || nr > 470)
		if (ret != -ENOSYS && !WIFSIGNALED(status))
			failed("number %d, which nobody has: %ld", nr, ret);
}

static void judge_foreign(int nr, long ret, int status)
{
	bool killed = WIFSIGNALED(status) &&
		      (WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV);

	if (ret != -ENOSYS && ret != -EPERM && !killed)
		failed("number %d ran: %s %ld, status %#x", nr, ret == NO_ANSWER ? "no answer" : "",
		       ret, status);
}

int main(int argc, char **argv)
{
	static const long args[] = { 0, -1 };
	bool first = argc > 2 && strcmp(argv[2], "first") == 0;
	enum door door = X86_64;
	sigset_t set;

	if (argc > 1 && strcmp(argv[1], "i386") == 0)
		door = I386;
	else if (argc > 1 && strcmp(argv[1], "x32") == 0)
		door = X32;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	answer = mmap(NULL, NUMBERS * sizeof(long), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need("chdir", chdir("/"));
	for (size_t a = 0; a < ARRAY_SIZE(args); a++) {
		for (int nr = 0; nr < NUMBERS; nr++) {
			pid_t pid;
			int status;

			answer[nr] = NO_ANSWER;
			pid = need("fork", fork());
			if (pid == 0) {
				/* Not /dev/null: fchmod(0, 0) is among the calls. */
				int null = memfd_create("sweep", 0);

				/* Our own output stays out of reach of, say, close(0). */
				dup2(null, 0);
				dup2(null, 1);
				dup2(null, 2);
				call(door, nr, args[a]);
			}
			status = wait_or_kill(pid, door, nr);
			if (door == X86_64)
				judge_native(nr, answer[nr], status);
			else
				judge_foreign(nr, answer[nr], status);
			if (first && t_failed)
				return t_failed;
		}
	}
	/* The guest kernel is there and answers. */
	check("a trapped call works after the sweep", answers());
	check("and another process", WEXITSTATUS(system("exit 3")) == 3);
	return t_failed;
}
