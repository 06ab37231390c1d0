/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life.c - the ends of a guest, and the signals and peers that bring them
 *
 * However it comes, an end is one thing: pid 1 is killed, and the host kills
 * every task of its pid namespace. The event loop stops when pid 1 is reaped.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "kernel/freeze.h"
#include "kernel/kernel.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

const char *const guest_state_str[GUEST_NUM_STATES] = {
	[GUEST_BOOTING] = "booting",
	[GUEST_RUNNING] = "running",
	[GUEST_PAUSED] = "paused",
	[GUEST_STOPPING] = "stopping",
	[GUEST_DEAD] = "dead",
};

static void kill_init(struct kernel *k, int sig)
{
	if (k->init_pidfd >= 0)
		host_pidfd_kill(k->init_pidfd, sig);
	if (sig == SIGKILL)
		cgroup_kill(&k->cgroup);
}

void guest_end(struct kernel *k, enum guest_end how)
{
	uint64_t one = 1;
	int none = END_NOT;

	/* The first reason stands; but what is to be killed does not restart. */
	if (how == END_KILLED)
		atomic_store(&k->ending, how);
	else
		atomic_compare_exchange_strong(&k->ending, &none, how);
	host_write(k->wake, &one, sizeof(one));
}

static void on_wake(struct kernel *k, struct event_source *src, uint32_t events)
{
	uint64_t n;

	host_read(src->fd, &n, sizeof(n));
	if (atomic_load(&k->ending) != END_NOT) {
		kill_init(k, SIGKILL);
		freeze_end(k);	/* a frozen task of a v1 group dies when it is thawed */
	}
}

/* What tells an init to shut the system down, by the name of its program:
 * systemd(1) "SIGRTMIN+4", busybox init.c, sysvinit's init(8) "SIGPWR" comes
 * too late, so halt is asked for by SIGTERM to any other. */
static int shutdown_signal(const struct kernel *k)
{
	static const struct {
		const char *program;
		int sig;
	} inits[] = {
		{ "systemd", 34 + 4 },	/* the host's SIGRTMIN; libc keeps two for itself */
		{ "busybox", SIGUSR2 },
	};
	char link[64], exe[PATH_MAX];
	const char *name;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/exe", k->init_pid);
	n = host_result(readlink(link, exe, sizeof(exe) - 1));
	if (n < 0)
		return SIGTERM;
	exe[n] = '\0';
	name = strrchr(exe, '/') ? strrchr(exe, '/') + 1 : exe;
	for (size_t i = 0; i < ARRAY_SIZE(inits); i++)
		if (streq(name, inits[i].program))
			return inits[i].sig;
	return SIGTERM;
}

void guest_stop(struct kernel *k, unsigned patience_ms)
{
	struct itimerspec when = {
		.it_value = { patience_ms / 1000, patience_ms % 1000 * 1000000 },
	};

	freeze_end(k);
	if (k->state != GUEST_RUNNING)
		return;
	k->state = GUEST_STOPPING;
	log_info("stop: asking init to shut down");
	if (patience_ms == 0) {
		guest_end(k, END_EXIT);
		return;
	}
	kill_init(k, shutdown_signal(k));
	timerfd_settime(k->timer_src.fd, 0, &when, NULL);
}

static void on_timer(struct kernel *k, struct event_source *src, uint32_t events)
{
	uint64_t n;

	if (host_read(src->fd, &n, sizeof(n)) != sizeof(n))
		return;
	log_warn("stop: init has not shut down in time, forcing it");
	guest_end(k, END_EXIT);
}

static void on_signal(struct kernel *k, struct event_source *src, uint32_t events)
{
	struct signalfd_siginfo si;

	while (read(src->fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			process_reap(k);
		else if (si.ssi_signo == SIGTERM)
			guest_stop(k, 10000);
	}
}

/* The monitor sends signals for init; when it is gone the guest ends. */
static void on_monitor(struct kernel *k, struct event_source *src, uint32_t events)
{
	unsigned char byte;
	ssize_t n = host_result(recv(src->fd, &byte, 1, MSG_DONTWAIT));

	if (n == 1 && byte < NSIG) {
		kill_init(k, byte);
	} else if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR)) {
		event_remove(&k->ev, src);
		guest_end(k, END_KILLED);
	}
}

static int watch(struct kernel *k, struct event_source *src, const char *name, int fd,
		 void (*handler)(struct kernel *, struct event_source *, uint32_t))
{
	if (fd < 0)
		return fd;
	*src = (struct event_source){ .fd = fd, .name = name, .handler = handler };
	return event_add(&k->ev, src, EPOLLIN);
}

int life_init(struct kernel *k, struct ns_error *err)
{
	/* Deaths only: tasks that a thread of ours traces stop all the time. */
	struct sigaction deaths = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP };
	sigset_t set;
	int ret;

	sigaction(SIGCHLD, &deaths, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	ret = watch(k, &k->signal_src, "signal",
		    host_result(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)), on_signal);
	k->wake = host_result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (ret == 0)
		ret = watch(k, &k->wake_src, "wake", k->wake, on_wake);
	if (ret == 0)
		ret = watch(k, &k->timer_src, "timer",
			    host_result(timerfd_create(CLOCK_MONOTONIC,
						       TFD_CLOEXEC | TFD_NONBLOCK)),
			    on_timer);
	if (ret == 0)
		ret = watch(k, &k->monitor_src, "monitor", k->cfg->monitor, on_monitor);
	if (ret < 0)
		snprintf(err->text, sizeof(err->text), "event sources: %s", strerror(-ret));
	return ret;
}
