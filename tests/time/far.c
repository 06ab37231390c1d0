/* SPDX-License-Identifier: Apache-2.0 */
/*
 * far.c - times and spans that no ktime_t holds
 *
 *	far	every call that is given a time is given such; what is printed is the
 *		same natively and in a guest, whatever its clocks do
 *
 * The host takes what is beyond the end of time for that end (timespec64_to_ktime()).
 * In 64 bits of nanoseconds 2^55 s are 0 and 18446744074 s are 0.29 s, a deadline that
 * is over or a period to divide by. Nothing here waits for a clock, which may stand
 * still: only the time on a CPU is the host's.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FUTEX_WAIT 0
#define FUTEX_WAIT_BITSET 9
#define FUTEX_CLOCK_REALTIME 256

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

#define LOOKS 1000	/* at one who sleeps */
#define FAR 100000000	/* years: more is as good as never, at a tenth of the speed as well */

static const time_t seconds[] = { INT64_C(1) << 55, INT64_C(1) << 62, INT64_MAX, INT64_C(18446744074) };
#define NSECONDS (sizeof(seconds) / sizeof(seconds[0]))

static const char *how_far(int64_t sec)
{
	return sec < 0 ? "before now" : sec == 0 ? "nothing" : sec < FAR ? "near" : "far";
}

/* ---- waits ---------------------------------------------------------------- */

static uint32_t word;
static int sem;

static void until_futex(const struct timespec *ts)
{
	syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, ts, NULL, -1);
}

static void until_sleep(const struct timespec *ts)
{
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, ts, NULL);
}

static void until_sleep_real(const struct timespec *ts)
{
	clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, ts, NULL);
}

static void for_futex(const struct timespec *ts)
{
	syscall(SYS_futex, &word, FUTEX_WAIT, 0, ts, NULL, 0);
}

static void for_nanosleep(const struct timespec *ts)
{
	nanosleep(ts, NULL);
}

static void for_clock_nanosleep(const struct timespec *ts)
{
	clock_nanosleep(CLOCK_BOOTTIME, 0, ts, NULL);
}

static void for_ppoll(const struct timespec *ts)
{
	ppoll(NULL, 0, ts, NULL);
}

static void for_pselect(const struct timespec *ts)
{
	pselect(0, NULL, NULL, NULL, ts, NULL);
}

static void for_select(const struct timespec *ts)
{
	struct timeval tv = { ts->tv_sec, 0 };

	select(0, NULL, NULL, NULL, &tv);
}

static void for_semtimedop(const struct timespec *ts)
{
	struct sembuf op = { .sem_op = -1 };

	semtimedop(sem, &op, 1, ts);
}

static void for_signal(const struct timespec *ts)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigtimedwait(&set, NULL, ts);
}

static const struct {
	const char *name;
	void (*wait)(const struct timespec *ts);
} waits[] = {
	{ "futex until", until_futex },
	{ "clock_nanosleep until", until_sleep },
	{ "clock_nanosleep until, REALTIME", until_sleep_real },
	{ "futex", for_futex },
	{ "nanosleep", for_nanosleep },
	{ "clock_nanosleep", for_clock_nanosleep },
	{ "ppoll", for_ppoll },
	{ "pselect", for_pselect },
	{ "select", for_select },
	{ "semtimedop", for_semtimedop },
	{ "sigtimedwait", for_signal },
};
#define NWAITS (sizeof(waits) / sizeof(waits[0]))

static int sleeps(pid_t pid)
{
	char path[32], text[512] = "", *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (f && !fgets(text, sizeof(text), f))
		text[0] = '\0';
	if (f)
		fclose(f);
	state = strrchr(text, ')');
	return state && state[2] == 'S';
}

static pid_t begin_wait(int which, time_t sec)
{
	struct timespec ts = { .tv_sec = sec };
	pid_t pid = fork();

	if (pid == 0) {
		waits[which].wait(&ts);
		_exit(0);
	}
	return pid;
}

/* It sleeps at as many looks, or is over. */
static void await_sleep(pid_t pid)
{
	siginfo_t si = {};

	for (int looks = 0; looks < LOOKS && si.si_pid == 0; looks += sleeps(pid))
		waitid(P_PID, pid, &si, WEXITED | WNOHANG | WNOWAIT);
}

/* Of a CPU, which takes at least as long whatever the clocks do. */
static void spend(double seconds)
{
	clock_t end = clock() + seconds * CLOCKS_PER_SEC;

	while (clock() < end)
		;
}

static void waits_far(time_t sec)
{
	pid_t pid[NWAITS];

	for (size_t i = 0; i < NWAITS; i++)
		pid[i] = begin_wait(i, sec);
	for (size_t i = 0; i < NWAITS; i++)
		await_sleep(pid[i]);
	/* What 64 bits of nanoseconds leave of it may be a wait, too, but not for long. */
	if ((int64_t)((uint64_t)sec * 1000000000) > 0)
		spend(0.5);
	for (size_t i = 0; i < NWAITS; i++) {
		int status = 0;

		if (waitpid(pid[i], &status, WNOHANG) == 0) {
			kill(pid[i], SIGKILL);
			waitpid(pid[i], &status, 0);
		}
		printf("%s, %lld: %s\n", waits[i].name, (long long)sec, WIFSIGNALED(status) ? "waits" : "is over");
	}
}

/* ---- timers ---------------------------------------------------------------- */

static void await_signal(int sig)
{
	sigset_t set;
	int got;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sigwait(&set, &got);
}

static void show(const char *name, const struct itimerspec *it)
{
	printf("%s: left %s, every %s\n", name, how_far(it->it_value.tv_sec), how_far(it->it_interval.tv_sec));
}

static void posix_far(clockid_t clock, time_t sec)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec rings = { { sec, 0 }, { 0, 1 } }, never = { { sec, 0 }, { sec, 0 } }, is;
	timer_t t;

	timer_create(clock, &ev, &t);
	/* It is over before it begins, and again after all time. */
	if (timer_settime(t, TIMER_ABSTIME, &rings, NULL) < 0)
		printf("timer: %s\n", strerror(errno));
	else
		await_signal(SIGUSR1);
	timer_gettime(t, &is);
	show("a timer that has rung", &is);
	for (int flags = 0; flags <= TIMER_ABSTIME; flags += TIMER_ABSTIME) {
		timer_settime(t, flags, &never, NULL);
		timer_gettime(t, &is);
		show(flags ? "a timer until" : "a timer", &is);
	}
	timer_delete(t);
}

static void timerfd_far(clockid_t clock, time_t sec)
{
	struct itimerspec rings = { { sec, 0 }, { 0, 1 } }, never = { { sec, 0 }, { sec, 0 } }, is;
	int fd = timerfd_create(clock, 0);
	uint64_t n = 0;

	if (timerfd_settime(fd, TFD_TIMER_ABSTIME, &rings, NULL) < 0)
		printf("timerfd: %s\n", strerror(errno));
	else if (read(fd, &n, sizeof(n)) != sizeof(n) || n != 1)
		printf("timerfd: has rung %llu times\n", (unsigned long long)n);
	for (int flags = 0; flags <= TFD_TIMER_ABSTIME; flags += TFD_TIMER_ABSTIME) {
		timerfd_settime(fd, flags, &never, NULL);
		timerfd_gettime(fd, &is);
		show(flags ? "a timerfd until" : "a timerfd", &is);
	}
	close(fd);
}

static void itimer_far(time_t sec)
{
	struct itimerval never = { { sec, 0 }, { sec, 0 } }, none = {}, was = {};

	if (setitimer(ITIMER_REAL, &never, NULL) < 0)
		printf("setitimer: %s\n", strerror(errno));
	setitimer(ITIMER_REAL, &none, &was);
	printf("ITIMER_REAL: left %s, every %s\n", how_far(was.it_value.tv_sec), how_far(was.it_interval.tv_sec));
}

static void socket_far(time_t sec)
{
	struct timeval tv = { sec, 0 };
	socklen_t len = sizeof(tv);
	int s[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) < 0 ||
	    setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0 ||
	    getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, &len) < 0)
		printf("SO_RCVTIMEO: %s\n", strerror(errno));
	printf("SO_RCVTIMEO: %s\n", how_far(tv.tv_sec));
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sem = semget(IPC_PRIVATE, 1, 0600);
	for (size_t i = 0; i < NSECONDS; i++) {
		printf("---- %lld s\n", (long long)seconds[i]);
		for (size_t j = 0; j < sizeof(clocks) / sizeof(clocks[0]); j++) {
			posix_far(clocks[j], seconds[i]);
			timerfd_far(clocks[j], seconds[i]);
		}
		itimer_far(seconds[i]);
		socket_far(seconds[i]);
		fflush(stdout);
		waits_far(seconds[i]);
		fflush(stdout);
	}
	semctl(sem, 0, IPC_RMID);
	puts("far: over");
	return 0;
}
