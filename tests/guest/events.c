/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - epoll, eventfd, signalfd, timerfd, pidfd, poll, select */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "t.h"

int main(void)
{
	int ep = epoll_create1(EPOLL_CLOEXEC), ev = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE);
	int tm = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), real, sg, pf;
	struct itimerspec in10ms = { .it_value = { .tv_nsec = 10000000 } }, past = { 0 };
	struct epoll_event e = { .events = EPOLLIN }, got[4];
	struct signalfd_siginfo info;
	uint64_t n = 3;
	sigset_t set;
	fd_set fds;
	pid_t pid;

	say("epoll_create1", ep);
	e.data.u32 = 1;
	say("watch an eventfd", epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e));
	say_number("nothing yet", epoll_wait(ep, got, 4, 0));
	check("post 3", write(ev, &n, 8) == 8);
	say_number("ready", epoll_wait(ep, got, 4, 1000));
	check("it is the eventfd", got[0].data.u32 == 1);
	check("take 1 of 3", read(ev, &n, 8) == 8 && n == 1);
	say("timerfd", timerfd_settime(tm, 0, &in10ms, NULL));
	check("it fires once", read(tm, &n, 8) == 8 && n == 1);
	real = timerfd_create(CLOCK_REALTIME, 0);
	past.it_value.tv_sec = 1;
	say("timerfd, real time, long past",
	    timerfd_settime(real, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &past, NULL));
	check("it fires", read(real, &n, 8) == 8 && n >= 1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sg = signalfd(-1, &set, SFD_CLOEXEC);
	kill(getpid(), SIGUSR1);
	check("signalfd", read(sg, &info, sizeof(info)) == sizeof(info) &&
				  info.ssi_signo == SIGUSR1 && info.ssi_pid == (unsigned)getpid());
	pid = fork();
	if (pid == 0)
		_exit(3);
	pf = syscall(SYS_pidfd_open, pid, 0);
	say("pidfd_open", pf);
	say_number("a pidfd is readable at the end",
		   poll(&(struct pollfd){ .fd = pf, .events = POLLIN }, 1, 5000));
	waitpid(pid, NULL, 0);
	FD_ZERO(&fds);
	FD_SET(ev, &fds);
	say_number("select", select(ev + 1, &fds, NULL, NULL, NULL));
	say_number("ppoll times out", ppoll(NULL, 0, &in10ms.it_value, NULL));
	say_number("epoll_pwait2", syscall(SYS_epoll_pwait2, ep, got, 4, NULL, NULL, 0));
	return t_failed;
}
