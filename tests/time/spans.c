/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spans.c - every kind of call that waits for a span of time
 *
 * Each waits for half a second of MONOTONIC, is or is not interrupted, and says
 * what was left. What is printed is the same natively and in a guest whose
 * clocks have another speed: times are rounded to where they should be.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SPAN 0.5
#define LATE 2.0	/* of the host's at least, if the guest is not slower */
#define EARLY 0.01	/* some jiffies of the host's, at the highest speed that is tried */

static int failures;
static double late = LATE;

static double now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static double seconds(struct timespec ts)
{
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static double usec(struct timeval tv)
{
	return tv.tv_sec + tv.tv_usec / 1e6;
}

/* Is it what it should be? */
static void check(const char *what, double is, double should)
{
	if (is < should - EARLY || is > should + late) {
		failures++;
		printf("FAILED %s: %.3f, not %.3f\n", what, is, should);
	}
}

/* And of what is left: not more than there was. */
static void check_left(const char *what, double is, double most)
{
	if (is > most + EARLY || is < most - late || (is <= 0 && most > 0)) {
		failures++;
		printf("FAILED %s: %.3f left of %.3f\n", what, is, most);
	}
}

static void handler(int sig)
{
}

static const struct timespec half = { 0, 500000000 };

#define WAIT(name, call)                                                            \
	do {                                                                        \
		double begin = now(CLOCK_MONOTONIC);                                \
		long got;                                                           \
		errno = 0;                                                          \
		got = (call);                                                       \
		check(name, now(CLOCK_MONOTONIC) - begin, SPAN);                    \
		printf("%s: %ld, %s\n", name, got, strerror(errno));                \
	} while (0)

static void sleeps(void)
{
	struct timespec left;
	struct timeval tv = { 0, 500000 };
	struct sembuf take = { 0, -1, 0 };
	int epfd = epoll_create1(0), sem = semget(IPC_PRIVATE, 1, 0600), pair[2];
	struct epoll_event ev;
	uint32_t word = 0;
	uint64_t aio = 0, events[4];
	sigset_t set;
	char byte;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	WAIT("nanosleep", syscall(SYS_nanosleep, &half, NULL));
	WAIT("clock_nanosleep", clock_nanosleep(CLOCK_MONOTONIC, 0, &half, NULL));
	WAIT("clock_nanosleep, realtime", clock_nanosleep(CLOCK_REALTIME, 0, &half, NULL));
	WAIT("poll", syscall(SYS_poll, NULL, 0, 500));
	left = half;
	WAIT("ppoll", syscall(SYS_ppoll, NULL, 0, &left, NULL, 8));
	check_left("ppoll", seconds(left), 0);
	WAIT("select", syscall(SYS_select, 0, NULL, NULL, NULL, &tv));
	check_left("select", usec(tv), 0);
	left = half;
	WAIT("pselect6", syscall(SYS_pselect6, 0, NULL, NULL, NULL, &left, NULL));
	WAIT("epoll_wait", syscall(SYS_epoll_wait, epfd, &ev, 1, 500));
	WAIT("epoll_pwait", syscall(SYS_epoll_pwait, epfd, &ev, 1, 500, &set, 8));
	WAIT("epoll_pwait2", syscall(441, epfd, &ev, 1, &half, NULL, 8));
	WAIT("rt_sigtimedwait", syscall(SYS_rt_sigtimedwait, &set, NULL, &half, 8));
	WAIT("semtimedop", syscall(SYS_semtimedop, sem, &take, 1, &half));
	WAIT("futex", syscall(SYS_futex, &word, 128, 0, &half));
	if (syscall(SYS_io_setup, 1, &aio) == 0) {
		WAIT("io_getevents", syscall(SYS_io_getevents, aio, 1L, 1L, events, &half));
		WAIT("io_pgetevents", syscall(SYS_io_pgetevents, aio, 1L, 1L, events, &half, NULL));
		syscall(SYS_io_destroy, aio);
	}
	semctl(sem, 0, IPC_RMID);
	close(epfd);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0) {
		tv = (struct timeval){ 0, 500000 };
		setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		WAIT("SO_RCVTIMEO", recv(pair[0], &byte, 1, 0));
	}
	if (pair[0] >= 0) {
		socklen_t len = sizeof(tv);

		tv = (struct timeval){};
		getsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &tv, &len);
		check("getsockopt", usec(tv), SPAN);
	}
}

/* After a quarter of a second of the guest's. */
static void arm(timer_t t)
{
	struct itimerspec it = { .it_value = { 0, 250000000 } };

	timer_settime(t, 0, &it, NULL);
}

#define INTERRUPT(name, call, left, most)                                           \
	do {                                                                        \
		double begin = now(CLOCK_MONOTONIC);                                \
		long got;                                                           \
		arm(timer);                                                         \
		errno = 0;                                                          \
		got = (call);                                                       \
		printf("%s, interrupted: %ld, %s\n", name, got, strerror(errno));   \
		check(name, now(CLOCK_MONOTONIC) - begin, 0.25);                    \
		check_left(name, left, most);                                       \
	} while (0)

static void interrupted(void)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	struct timespec two = { 20, 0 }, left = { 0, 0 };
	struct timeval tv = { 20, 0 };
	timer_t timer;

	signal(SIGALRM, handler);
	timer_create(CLOCK_MONOTONIC, &ev, &timer);
	INTERRUPT("nanosleep", syscall(SYS_nanosleep, &two, &left), seconds(left), 20);
	left = (struct timespec){ 0, 0 };
	INTERRUPT("clock_nanosleep", syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &two, &left), seconds(left), 20);
	INTERRUPT("select", syscall(SYS_select, 0, NULL, NULL, NULL, &tv), usec(tv), 20);
	left = two;
	INTERRUPT("ppoll", syscall(SYS_ppoll, NULL, 0, &left, NULL, 8), seconds(left), 20);
	INTERRUPT("poll", poll(NULL, 0, 20000), 0, 0);
	timer_delete(timer);
}

static void rings(const char *what, double begin, clockid_t clock, int n)
{
	check(what, now(clock) - begin, 0.5 + n * 0.3);
}

static void timers(void)
{
	static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME };
	struct itimerspec it = { { 0, 300000000 }, { 0, 500000000 } }, is;
	struct itimerval itv = { { 0, 300000 }, { 0, 500000 } }, was;
	double begin;
	uint64_t n;

	for (int i = 0; i < 3; i++) {
		int fd = timerfd_create(clocks[i], 0);
		timer_t t;

		begin = now(clocks[i]);
		timerfd_settime(fd, 0, &it, NULL);
		timerfd_gettime(fd, &is);
		check_left("timerfd", seconds(is.it_value), 0.5);
		check("timerfd, interval", seconds(is.it_interval), 0.3);
		for (int k = 0; k < 3; k++) {
			if (read(fd, &n, sizeof(n)) != sizeof(n))
				printf("FAILED read\n");
			rings("timerfd", begin, clocks[i], k);
		}
		timerfd_settime(fd, 0, &it, &is);
		check("timerfd, old interval", seconds(is.it_interval), 0.3);
		close(fd);
		timer_create(clocks[i], NULL, &t);
		begin = now(clocks[i]);
		timer_settime(t, 0, &it, NULL);
		timer_gettime(t, &is);
		check_left("timer", seconds(is.it_value), 0.5);
		check("timer, interval", seconds(is.it_interval), 0.3);
		for (int k = 0; k < 3; k++) {
			pause();
			rings("timer", begin, clocks[i], k);
		}
		timer_settime(t, 0, &it, &is);
		check("timer, old interval", seconds(is.it_interval), 0.3);
		timer_delete(t);
	}
	begin = now(CLOCK_MONOTONIC);
	setitimer(ITIMER_REAL, &itv, NULL);
	getitimer(ITIMER_REAL, &was);
	check_left("getitimer", usec(was.it_value), 0.5);
	check("getitimer, interval", usec(was.it_interval), 0.3);
	for (int k = 0; k < 3; k++) {
		pause();
		rings("setitimer", begin, CLOCK_MONOTONIC, k);
	}
	memset(&itv, 0, sizeof(itv));
	setitimer(ITIMER_REAL, &itv, &was);
	check("setitimer, old interval", usec(was.it_interval), 0.3);
	printf("alarm: %u", alarm(1000));
	printf(" %d", alarm(1) > 900);
	begin = now(CLOCK_MONOTONIC);
	pause();
	check("alarm", now(CLOCK_MONOTONIC) - begin, 1);
	printf(" %u\n", alarm(0));
	puts("timers");
}

int main(int argc, char **argv)
{
	/* How fast the guest is: two seconds of the host's are late. */
	late *= argc > 1 ? atof(argv[1]) : 1;
	signal(SIGALRM, handler);
	sleeps();
	interrupted();
	timers();
	fflush(stdout);
	return failures != 0;
}
