/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.c - the built-in init of `weir run CMD`
 *
 * Pid 1 of a guest that was given a command: starts it in a session of its own
 * (with the console as controlling terminal, if it has one), reaps orphans,
 * passes signals on, and ends with the command's status, or 128 + N after
 * signal N. A freestanding static program of a few KiB: exec'ing it costs a
 * tenth of a program with libc, and it is started from a sealed memfd, so that
 * nothing in the guest can change it.
 *
 * argv: weir-init TTY CMD ARG...   TTY: the number of a stdio descriptor that
 * is a terminal, or "-".
 */
#include <asm/signal.h>
#include <asm/siginfo.h>
#include <asm/termios.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/wait.h>

#if !defined(__x86_64__)
#error "init.c: write the system-call stub and _start of this architecture"
#endif

typedef unsigned long word;

static long call(long nr, word a, word b, word c, word d)
{
	register word r10 __asm__("r10") = d;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return ret;
}

/* main is reached with the stack pointer as the kernel left it: argc, argv,
 * NULL, envp (System V ABI, AMD64 supplement, "Process Initialization"). */
__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call init_main\n");

void init_main(word *stack) __attribute__((noreturn));

/* The compiler may call these for loops it recognises. */
void *memcpy(void *to, const void *from, word n);
void *memset(void *to, int c, word n);
word strlen(const char *s);

void *memcpy(void *to, const void *from, word n)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return to;
}

void *memset(void *to, int c, word n)
{
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
	return to;
}

word strlen(const char *s)
{
	word n = 0;

	while (s[n])
		n++;
	return n;
}

static void say(const char *s)
{
	call(__NR_write, 2, (word)s, strlen(s), 0);
}

static void __attribute__((noreturn)) leave(int status)
{
	for (;;)
		call(__NR_exit_group, status, 0, 0, 0);
}

static const char *path_variable(char **envp)
{
	for (; *envp; envp++) {
		const char *e = *envp;

		if (e[0] == 'P' && e[1] == 'A' && e[2] == 'T' && e[3] == 'H' && e[4] == '=')
			return e + 5;
	}
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static int has_slash(const char *s)
{
	for (; *s; s++)
		if (*s == '/')
			return 1;
	return 0;
}

#define PATH_BYTES 4096

/* A file with no header is a script for /bin/sh, as execvp(3) has it. argv[-1]
 * is ours and may be overwritten: this process becomes the program or ends. */
static long try_exec(char *file, char **argv, char **envp)
{
	long ret = call(__NR_execve, (word)file, (word)argv, (word)envp, 0);

	if (ret != -ENOEXEC)
		return ret;
	argv[0] = file;
	argv[-1] = (char *)"/bin/sh";
	return call(__NR_execve, (word) "/bin/sh", (word)(argv - 1), (word)envp, 0);
}

/* Search PATH. Return: the error that says most. */
static long search_exec(char **argv, char **envp, char *buf)
{
	const char *dir = path_variable(envp);
	word len = strlen(argv[0]);
	long best = -ENOENT;

	for (;;) {
		word n = 0;
		long ret;

		while (dir[n] && dir[n] != ':')
			n++;
		if (n + 1 + len + 1 <= PATH_BYTES) {
			memcpy(buf, dir, n);
			if (n)
				buf[n] = '/';
			memcpy(buf + n + !!n, argv[0], len + 1);
			ret = try_exec(buf, argv, envp);
			/* It is there, but its interpreter is not. */
			if (ret == -ENOENT && call(__NR_access, (word)buf, 0, 0, 0) == 0)
				ret = -ELIBACC;
			if (ret != -ENOENT && ret != -ENOTDIR)
				best = ret;
			if (ret == -ELIBACC)
				break;
		}
		if (!dir[n])
			break;
		dir += n + 1;
	}
	return best;
}

static void __attribute__((noreturn)) run_command(char **argv, char **envp, int tty)
{
	static char buf[PATH_BYTES];
	word none = 0;
	long ret;

	/* A session is for a terminal; see SPAWN_SESSION, ns/agent.h. */
	if (tty >= 0) {
		call(__NR_setsid, 0, 0, 0, 0);
		call(__NR_ioctl, tty, TIOCSCTTY, 0, 0);
	} else {
		call(__NR_setpgid, 0, 0, 0, 0);
	}
	call(__NR_rt_sigprocmask, SIG_SETMASK, (word)&none, 0, sizeof(none));
	if (has_slash(argv[0])) {
		ret = try_exec(argv[0], argv, envp);
		if (ret == -ENOENT && call(__NR_access, (word)argv[0], 0, 0, 0) == 0)
			ret = -ELIBACC;
	} else {
		ret = search_exec(argv, envp, buf);
	}
	say("weir: ");
	say(argv[0]);
	if (ret == -ENOENT || ret == -ENOTDIR) {
		say(": not found in the guest\n");
		leave(127);
	}
	if (ret == -ELIBACC)
		say(": its interpreter is not in the guest\n");
	else if (ret == -EACCES || ret == -EPERM)
		say(": permission denied\n");
	else if (ret == -E2BIG)
		say(": argument list too long\n");
	else
		say(": cannot be run: not a program for this machine\n");
	leave(126);
}

/* Reap whoever ended. Leaves with the command's status once it is among them. */
static void reap(long command)
{
	for (;;) {
		int status = 0;
		long pid = call(__NR_wait4, -1, (word)&status, WNOHANG, 0);

		if (pid <= 0)
			return;
		if (pid != command)
			continue;
		if ((status & 0x7f) == 0)
			leave((status >> 8) & 0xff);
		leave(128 + (status & 0x7f));
	}
}

void init_main(word *stack)
{
	int argc = stack[0], tty;
	char **argv = (char **)(stack + 1), **envp = argv + argc + 1;
	word all = ~0ul;
	long command;

	if (argc < 3)
		leave(2);
	tty = argv[1][0] == '-' ? -1 : argv[1][0] - '0';
	call(__NR_rt_sigprocmask, SIG_SETMASK, (word)&all, 0, sizeof(all));
	command = call(__NR_fork, 0, 0, 0, 0);
	if (command == 0)
		run_command(argv + 2, envp, tty);
	if (command < 0) {
		say("weir: cannot fork in the guest\n");
		leave(126);
	}
	/* The terminal is the command's now. */
	for (;;) {
		long sig = call(__NR_rt_sigtimedwait, (word)&all, 0, 0, sizeof(all));

		if (sig == SIGCHLD)
			reap(command);
		else if (sig > 0)
			call(__NR_kill, command, sig, 0, 0);
		else
			reap(command);	/* a policy without rt_sigtimedwait still ends */
	}
}
