/* SPDX-License-Identifier: Apache-2.0 */
/*
 * monitor.c - who watches over one guest: the process of `weir run`
 */
#include "monitor.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "cmd.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "ns/rights.h"
#include "passthrough/hostcall.h"

static int fork_kernel(struct monitor *m)
{
	int sv[2];
	int ret = host_result(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv));

	if (ret < 0)
		return ret;
	m->kernel = host_result(fork());
	if (m->kernel == 0) {
		close(sv[0]);
		cleanup_fd_p(&m->up);
		cleanup_fd_p(&m->mconsole.sock);
		close(m->signals);
		m->cfg.monitor = sv[1];
		kernel_main(&m->cfg);
	}
	close(sv[1]);
	if (m->kernel < 0) {
		close(sv[0]);
		return m->kernel;
	}
	m->kernel_sock = sv[0];
	return 0;
}

/* Whatever lives below us belongs to a guest without its kernel. */
static void kill_children(void)
{
	char list[4096], *pos = list, *end;

	if (host_read_file(AT_FDCWD, "/proc/thread-self/children", list, sizeof(list)) <= 0)
		return;
	for (long pid = strtol(pos, &end, 10); end != pos; pid = strtol(pos, &end, 10)) {
		kill(pid, SIGKILL);
		pos = end;
	}
}

/* The kernel is gone, and its agent has killed the guest's init. All of them
 * are our children now (subreaper): wait until the last has ended, and help
 * along who should have ended by now. */
static void reap_all(struct monitor *m)
{
	struct timespec patience = { .tv_nsec = 300000000 };
	sigset_t child;
	int status;
	pid_t pid;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			mconsole_reaped(&m->mconsole, pid, status);
		if (pid < 0)
			return;
		if (sigtimedwait(&child, NULL, &patience) >= 0)
			continue;
		/* Tasks that were paused in a v1 group cannot die in it. */
		state_end_groups(&m->state);
		kill_children();
	}
}

static void on_map_ids(struct monitor *m)
{
	struct ns_error err = {};
	char go = MONITOR_GO;

	if (ids_write_kernel(m->kernel, m->cfg.ids, &err) < 0) {
		cmd_fail(0, "%s", err.text);
		m->end = END_KILLED;
		m->status = EXIT_NOSTART;
		kill(m->kernel, SIGKILL);
		return;
	}
	host_write(m->kernel_sock, &go, 1);
}

static void on_up(struct monitor *m, int master)
{
	if (master >= 0)
		terminal_join(&m->term, master);
	if (m->up < 0)
		return;
	/* Detached: the command that started us may end now. */
	host_null_stdio(0, 2);
	host_write(m->up, "u", 1);
	cleanup_fd_p(&m->up);
	m->up = -1;
}

/* Return: false when there is nothing more to come. */
static bool on_kernel(struct monitor *m)
{
	struct monitor_msg msg;
	int fds[HOST_MAX_FDS];
	ssize_t n = host_recv(m->kernel_sock, &msg, sizeof(msg), fds);

	if (n != sizeof(msg))
		return false;
	switch (msg.op) {
	case MONITOR_MAP_IDS:
		on_map_ids(m);
		break;
	case MONITOR_UP:
		on_up(m, fds[0]);
		break;
	case MONITOR_FAILED:
		msg.text[sizeof(msg.text) - 1] = '\0';
		cmd_fail(0, "%s", msg.text);
		m->end = END_EXIT;
		m->status = EXIT_NOSTART;
		break;
	case MONITOR_END:
		m->end = msg.end;
		m->status = msg.status;
		break;
	}
	return true;
}

static void on_signal(struct monitor *m)
{
	struct signalfd_siginfo si;
	unsigned char sig;
	int status;
	pid_t pid;

	if (host_read(m->signals, &si, sizeof(si)) != sizeof(si))
		return;
	sig = si.ssi_signo;
	if (sig == SIGWINCH) {
		terminal_resize(&m->term);
		return;
	}
	if (sig == SIGCHLD) {
		/* Orphans of the agent's come to us (subreaper). While one that was
		 * in the guest's pid namespace is not reaped, its init cannot end. */
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			mconsole_reaped(&m->mconsole, pid, status);
		return;
	}
	if (m->asked && sig == SIGTERM) {
		kill(m->kernel, SIGKILL);	/* asked twice: by force */
		return;
	}
	m->asked |= sig == SIGTERM;
	/* A command hears what we hear; a whole system is asked to shut down. */
	if (m->cfg.cmd)
		host_send(m->kernel_sock, &sig, 1, NULL, 0);
	else
		kill(m->kernel, SIGTERM);
}

int monitor_share_mask(struct monitor *m)
{
	size_t size = sizeof(*m->mask) + BPF_MAXINSNS * sizeof(struct sock_filter);
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return host_result(-1);
	m->mask = p;
	m->mask->mask.insn = (struct sock_filter *)(m->mask + 1);
	return 0;
}

/* Once, while the kernel is busy with the namespaces. */
static void build_mask(struct monitor *m)
{
	struct policy_error err = {};
	struct mask built;

	if (atomic_load(&m->mask->ready))
		return;		/* the guest was restarted */
	if (mask_compile(m->cfg.lanes, &built, &err) < 0) {
		cmd_fail(0, "%s", err.text);
		m->end = END_KILLED;
		m->status = EXIT_NOSTART;
		kill(m->kernel, SIGKILL);
		return;
	}
	memcpy(m->mask->mask.insn, built.insn, built.len * sizeof(*built.insn));
	m->mask->mask.len = built.len;
	m->mask->mask.listens = built.listens;
	mask_free(&built);
	atomic_store(&m->mask->ready, 1);
	host_call(SYS_futex, &m->mask->ready, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static void watch_guest(struct monitor *m)
{
	/* Without its ids a kernel of a user can do nothing: they come first. */
	bool kernel_lives = !m->cfg.rootless || on_kernel(m);

	if (kernel_lives)
		build_mask(m);
	while (kernel_lives) {
		struct pollfd p[5] = {
			{ .fd = m->kernel_sock, .events = POLLIN },
			{ .fd = m->signals, .events = POLLIN },
			{ .fd = m->mconsole.sock, .events = mconsole_events(&m->mconsole) },
		};

		terminal_poll(&m->term, p + 3);
		if (poll(p, ARRAY_SIZE(p), -1) < 0)
			continue;
		if (!terminal_relay(&m->term, p + 3))
			cleanup_fd_p(&m->term.master), m->term.master = -1;
		if (p[1].revents)
			on_signal(m);
		if (p[2].revents & POLLIN)
			mconsole_serve(&m->mconsole, m->state.name, m->kernel_sock);
		if (p[0].revents)
			kernel_lives = on_kernel(m);
	}
	close(m->kernel_sock);
	m->kernel_sock = -1;
}

/*
 * The guest kernel is forked.
 *
 * Should:
 *  - let none of our writable memory become code
 * Must not:
 *  - give up what the next boot of a guest that restarts will need: newuidmap's
 *    set-user-ID bit, the caller's capabilities, every system call; the kernel
 *    that is forked then must begin with all of it. So there is no more than this
 */
static void confine_monitor(void)
{
	rights_no_new_code(false);
}

int monitor_run(struct monitor *m)
{
	m->end = END_NOT;
	m->status = 128 + SIGKILL;
	m->asked = false;
	if (fork_kernel(m) < 0)
		return cmd_fail(EXIT_NOSTART, "cannot fork the guest kernel");
	confine_monitor();
	watch_guest(m);
	terminal_drain(&m->term);
	reap_all(m);
	terminal_restore(&m->term);
	cleanup_fd_p(&m->term.master);
	m->term.master = -1;
	if (m->end == END_NOT)
		cmd_fail(0, "guest %s: its kernel was killed, and the guest with it",
			 m->state.name);
	return 0;
}

void monitor_init_signals(struct monitor *m)
{
	m->signals = terminal_signals(SIGCHLD);
}
