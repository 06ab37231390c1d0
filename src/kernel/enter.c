/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enter.c - the last steps of a process before its guest program runs
 *
 * Runs in the process itself, forked by the agent, uid 0 of the guest with
 * every capability over it and no mask yet.
 *
 * Should:
 *  - leave the process with the policy's capabilities and the mask
 *  - leave open nothing but stdio
 * Must not:
 *  - make a system call between the mask and execve that the policy might not
 *    let pass: but for the wait below, which any answer of the mask ends well
 */
#include <errno.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "kernel/kernel.h"
#include "kernel/memory/memory.h"
#include "kernel/sched.h"
#include "kernel/util.h"
#include "ns/rights.h"
#include "passthrough/hostcall.h"

static void __attribute__((noreturn)) give_up(struct spawn_page *page, int err, const char *what)
{
	char why[sizeof(page->why)];

	snprintf(why, sizeof(why), "%.200s: %s", what, strerror(-err));
	spawn_give_up(page, err, why);
}

static void fresh_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void take_terminal(unsigned flags)
{
	for (int i = 0; i < 3; i++) {
		if (flags & SPAWN_TTY(i)) {
			ioctl(i, TIOCSCTTY, 0);
			return;
		}
	}
}

/* execvp(3)'s search, done while every call is still certain. A name that is
 * found nowhere stays as it is, for execve to refuse. */
static const char *search_path(const char *name, char *const *envp, char *buf, size_t size)
{
	const char *dir = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

	if (strchr(name, '/'))
		return name;
	for (; *envp; envp++)
		if (str_starts(*envp, "PATH="))
			dir = *envp + 5;
	for (;;) {
		int len = strcspn(dir, ":");

		snprintf(buf, size, "%.*s%s%s", len, dir, len ? "/" : "", name);
		if (access(buf, X_OK) == 0)
			return buf;
		if (!dir[len])
			return name;
		dir += len + 1;
	}
}

/* Until the kernel has the listener. Passed or watched, the futex call waits;
 * trapped, it is answered when the door opens; denied, we turn in place. */
static void await_go(struct spawn_page *page)
{
	int go;

	while ((go = atomic_load(&page->go)) == SPAWN_WAIT)
		syscall(SYS_futex, &page->go, FUTEX_WAIT, SPAWN_WAIT, NULL, NULL, 0);
	if (go == SPAWN_GIVE_UP)
		_exit(125);
}

void guest_enter(void *kernel, const struct spawn *s)
{
	struct kernel *k = kernel;
	const struct policy *p = k->cfg->policy;
	char buf[PATH_MAX];
	const char *path = buf;
	int ret, memory;

	fresh_signals();
	/* Keyrings are not namespaced: leave the one of who started us. */
	host_call(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
	take_terminal(s->flags);
	umask(022);
	sched_enter(k);
	ret = host_result(chdir(s->cwd[0] ? s->cwd : "/"));
	if (ret < 0)
		give_up(s->page, ret, s->cwd);
	if (s->program >= 0)
		snprintf(buf, sizeof(buf), "/proc/self/fd/%d", s->program);
	else
		path = search_path(s->argv[0], s->envp, buf, sizeof(buf));
	ret = host_call(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
	memory = memory_enter(k);
	if (memory < 0)
		give_up(s->page, memory, "memory of the policy");
	/* Those in effect are needed once more, to lay the mask. */
	if (ret == 0)
		ret = rights_bound(p->caps);
	if (ret < 0)
		give_up(s->page, ret, "capabilities");
	if (p->no_new_privs)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);

	ret = mask_load(&k->cfg->mask->mask);
	if (ret < 0 && ret != -ENODATA)
		give_up(s->page, ret, "seccomp mask");
	atomic_store(&s->page->listener, ret == -ENODATA ? SPAWN_NO_LISTENER : ret + 1);
	/* Who waits for it looks every now and then, should this be denied. */
	syscall(SYS_futex, &s->page->listener, FUTEX_WAKE, 1, NULL, NULL, 0);
	await_go(s->page);
	ret = host_call(SYS_execve, path, s->argv, s->envp);
	give_up(s->page, ret, s->argv[0]);
}
