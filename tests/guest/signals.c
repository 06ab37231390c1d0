/* SPDX-License-Identifier: Apache-2.0 */
/* signals.c - handlers, masks, queues, alt stack, restart and no restart, core of a death */
#include <setjmp.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "t.h"

static volatile sig_atomic_t caught, values[8];
static sigjmp_buf back;
static volatile int *volatile nowhere = (int *)8;

static void on(int sig)
{
	(void)sig;
	caught++;
}

static void on_queue(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	values[caught++ & 7] = info->si_value.sival_int;
}

static void on_segv(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	siglongjmp(back, info->si_addr == (void *)8 ? 1 : 2);
}

static void dies(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	abort();
}

static void faults(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	*nowhere = 1;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on };
	struct itimerval tick = { .it_value = { .tv_usec = 50000 } };
	struct timespec ts = { .tv_sec = 5 };
	stack_t alt = { .ss_sp = malloc(SIGSTKSZ), .ss_size = SIGSTKSZ };
	sigset_t set, old;
	siginfo_t info;
	int p[2], where;
	char c;

	need("pipe", pipe(p));
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &tick, NULL);
	say("a read that a signal ends", read(p[0], &c, 1));
	setitimer(ITIMER_REAL, &tick, NULL);
	say("a sleep that a signal ends", nanosleep(&ts, NULL));
	sa.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &sa, NULL);
	if (fork() == 0) {
		usleep(200000);
		_exit(write(p[1], "x", 1) != 1);
	}
	setitimer(ITIMER_REAL, &tick, NULL);
	say("a read that goes on after a signal", read(p[0], &c, 1));
	wait(NULL);
	fact("signals caught", "%d", caught);

	caught = 0;
	sa = (struct sigaction){ .sa_sigaction = on_queue, .sa_flags = SA_SIGINFO };
	sigaction(SIGRTMIN, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, &old);
	for (int i = 1; i <= 3; i++)
		sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = i * 10 });
	check("blocked signals wait", caught == 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	check("queued signals come in order",
	      caught == 3 && values[0] == 10 && values[1] == 20 && values[2] == 30);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 77 });
	say_number("sigwaitinfo less SIGRTMIN", sigwaitinfo(&set, &info) - SIGRTMIN);
	check("it has its value and its sender",
	      info.si_value.sival_int == 77 && info.si_pid == getpid());
	ts = (struct timespec){ 0 };
	say("sigtimedwait of nothing", sigtimedwait(&set, NULL, &ts));

	sa = (struct sigaction){ .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	say("sigaltstack", sigaltstack(&alt, NULL));
	sigaction(SIGSEGV, &sa, NULL);
	where = sigsetjmp(back, 1);
	if (where == 0)
		*nowhere = 1;
	check("a fault is caught with its address", where == 1);
	signal(SIGSEGV, SIG_DFL);
	say_status("abort", child_status(dies));
	say_status("a fault", child_status(faults));
	say("kill of nobody", kill(99999999, SIGTERM));
	say("unknown signal", kill(getpid(), 99));
	say("pidfd_send_signal", syscall(SYS_pidfd_send_signal,
					 syscall(SYS_pidfd_open, getpid(), 0), 0, NULL, 0));
	return t_failed;
}
