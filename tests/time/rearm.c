/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rearm.c - timers and time-outs that are set already when the clocks change
 *
 *	rearm KIND SECONDS	sets one to SECONDS of the guest's, says "ready", waits for a
 *				line on standard input, and for the timer
 *	rearm CANCEL		a timerfd with TFD_TIMER_CANCEL_ON_SET: "blocked" reads it before
 *				the clock is set; "polled" polls it then, and sets it anew
 *
 * A timer must not ring before the guest's clock shows its end. How long it took is
 * for who runs this to judge.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EARLY 0.02	/* ticks of the host's, at the highest speed that is tried */

static int failures;

#define FAIL(...)                          \
	do {                               \
		failures++;                \
		printf("FAILED " __VA_ARGS__); \
		putchar('\n');             \
	} while (0)

static double now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void ready(void)
{
	puts("ready");
	fflush(stdout);
}

/* Somebody changes the clocks meanwhile. */
static void await_line(void)
{
	char c;

	while (read(0, &c, 1) < 0 && errno == EINTR)
		;
}

static void ended(const char *what, clockid_t clock, double end)
{
	if (now(clock) < end - EARLY)
		FAIL("%s: %.3f s too early", what, end - now(clock));
	printf("%s: over\n", what);
}

static void block(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void await_signal(int sig)
{
	sigset_t set;
	int got;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sigwait(&set, &got);
}

/* ---- ITIMER_REAL ---------------------------------------------------------- */

static void await_alarm(const char *what, double end)
{
	ready();
	await_signal(SIGALRM);
	ended(what, CLOCK_MONOTONIC, end);
}

static void do_alarm(int seconds)
{
	double end = now(CLOCK_MONOTONIC) + seconds;

	block(SIGALRM);
	alarm(seconds);
	await_alarm("alarm", end);
}

/* And what it is set to again is what it repeats by. */
static void do_setitimer(int seconds)
{
	struct itimerval it = { { seconds, 0 }, { seconds, 0 } };
	double end = now(CLOCK_MONOTONIC) + seconds;

	block(SIGALRM);
	setitimer(ITIMER_REAL, &it, NULL);
	await_alarm("setitimer", end);
	await_signal(SIGALRM);
	ended("its interval", CLOCK_MONOTONIC, end + seconds);
}

static void do_ualarm(int seconds)
{
	double end = now(CLOCK_MONOTONIC) + 0.9;

	block(SIGALRM);
	ualarm(900000, 0);
	await_alarm("ualarm", end);
}

/* The program that has set it is another one by now; the mask is inherited. */
static void do_exec(int seconds)
{
	char end[32];

	block(SIGALRM);
	snprintf(end, sizeof(end), "%f", now(CLOCK_MONOTONIC) + seconds);
	alarm(seconds);
	execl("/proc/self/exe", "rearm", "exec'ed", end, NULL);
	FAIL("exec: %s", strerror(errno));
}

/* ---- POSIX timers ---------------------------------------------------------- */

static double posix_end;

static void *set_posix(void *arg)
{
	int seconds = *(int *)arg;
	struct itimerspec it = { .it_value.tv_sec = seconds };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	timer_t t;

	timer_create(CLOCK_MONOTONIC, &ev, &t);
	posix_end = now(CLOCK_MONOTONIC) + seconds;
	timer_settime(t, 0, &it, NULL);
	return NULL;
}

static void *wait_posix(void *arg)
{
	ready();
	await_signal(SIGUSR1);
	ended("timer", CLOCK_MONOTONIC, posix_end);
	fflush(stdout);
	exit(failures != 0);
}

/* Neither the thread that has set it nor the first one is there any more. */
static void do_timer(int seconds)
{
	pthread_t t;

	block(SIGUSR1);
	pthread_create(&t, NULL, set_posix, &seconds);
	pthread_join(t, NULL);
	pthread_create(&t, NULL, wait_posix, NULL);
	pthread_exit(NULL);
}

/* ---- sockets ---------------------------------------------------------------- */

/* The clocks are changed before sockets are set again (doc/time.md): until then the host's
 * time-out is as many seconds of the guest's as it should not be. */
static bool is_set_again(int fd, int seconds)
{
	struct timeval tv;
	socklen_t len = sizeof(tv);

	for (int i = 0; i < 1000000; i++) {
		getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, &len);
		if (tv.tv_sec + tv.tv_usec / 1e6 > seconds * 0.99 && tv.tv_sec + tv.tv_usec / 1e6 < seconds * 1.01 + 0.05)
			return true;
		sched_yield();
	}
	return false;
}

#define MANY 16400	/* more than the guest kernel remembers (SOCK_TIMEOUTS_MAX) */

static void do_socket(int seconds);

/* Sockets that are closed are no reason to forget the time-out of one that is not. */
static void do_sockets(int seconds)
{
	struct timeval tv = { 1, 0 };

	for (int i = 0; i < MANY; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0)
			FAIL("SO_RCVTIMEO: %s", strerror(errno));
		close(fd);
	}
	do_socket(seconds);
}

/* By a process that is gone; it is waited for after the change. */
static void do_socket(int seconds)
{
	struct timeval tv = { seconds, 0 };
	double begin;
	int pair[2];
	char c;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		FAIL("socketpair");
	if (fork() == 0) {
		setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		_exit(0);
	}
	wait(NULL);
	ready();
	await_line();
	if (!is_set_again(pair[0], seconds))
		FAIL("SO_RCVTIMEO stays as it was");
	begin = now(CLOCK_MONOTONIC);
	if (recv(pair[0], &c, 1, 0) != -1 || errno != EAGAIN)
		FAIL("recv: %s", strerror(errno));
	ended("SO_RCVTIMEO", CLOCK_MONOTONIC, begin + seconds);
}

/* ---- timerfds that are somebody else's --------------------------------------- */

static double fd_end;

static int set_fd(int seconds)
{
	struct itimerspec it = { .it_value.tv_sec = (time_t)now(CLOCK_REALTIME) + seconds };
	int fd = timerfd_create(CLOCK_REALTIME, 0);

	fd_end = it.it_value.tv_sec;
	timerfd_settime(fd, TFD_TIMER_ABSTIME, &it, NULL);
	return fd;
}

static void await_fd(const char *what, int fd)
{
	uint64_t n = 0;

	ready();
	if (read(fd, &n, sizeof(n)) != sizeof(n) || n != 1)
		FAIL("read: %llu, %s", (unsigned long long)n, strerror(errno));
	ended(what, CLOCK_REALTIME, fd_end);
}

/* When all others that have @p have ended. */
static void await_end(int p[2])
{
	char c;

	close(p[1]);
	if (read(p[0], &c, 1) != 0)
		FAIL("an end");
}

/* Set by a parent, which ends. */
static void do_fork(int seconds)
{
	int parent[2], child[2], fd;

	if (pipe(parent) < 0 || pipe(child) < 0)
		FAIL("pipe");
	if (fork() == 0) {
		fd = set_fd(seconds);
		if (fork() == 0) {
			await_end(parent);
			await_fd("fork", fd);
			fflush(stdout);
		}
		_exit(0);
	}
	close(parent[1]);
	wait(NULL);
	await_end(child);
}

static void send_fd(int sock, int fd)
{
	char buf[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { &fd_end, sizeof(fd_end) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = buf, .msg_controllen = sizeof(buf) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	sendmsg(sock, &m, 0);
}

static int receive_fd(int sock)
{
	char buf[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &fd_end, sizeof(fd_end) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = buf, .msg_controllen = sizeof(buf) };
	int fd = -1;

	if (recvmsg(sock, &m, 0) > 0 && CMSG_FIRSTHDR(&m))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

/* Under another number than it had where it was set, and where that is in use now. */
static void do_passed(int seconds)
{
	int pair[2], fd, before = dup(0);

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		FAIL("socketpair");
	if (fork() == 0) {
		fd = set_fd(seconds);
		send_fd(pair[1], fd);
		close(fd);
		if (timerfd_create(CLOCK_REALTIME, 0) != fd)
			FAIL("another number");
		_exit(0);
	}
	wait(NULL);
	close(before);
	await_fd("SCM_RIGHTS", receive_fd(pair[0]));
}

/* ---- TFD_TIMER_CANCEL_ON_SET -------------------------------------------------- */

static int cancel_fd(int fd)
{
	struct itimerspec far = { .it_value.tv_sec = INT64_MAX / 1000000000 };

	return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
}

static volatile pid_t reader_tid;

static void *reader(void *arg)
{
	uint64_t n;
	int fd = *(int *)arg;

	reader_tid = gettid();
	printf("read: %s\n", read(fd, &n, sizeof(n)) < 0 ? strerror(errno) : "rang");
	return NULL;
}

/* "0 0x5 ...": read(2) of that descriptor. */
static int sleeps_in_read(pid_t tid)
{
	char path[64], text[8] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	fd = open(path, O_RDONLY);
	if (fd >= 0 && read(fd, text, 4) < 0)
		text[0] = 0;
	close(fd);
	return strncmp(text, "0 0x", 4) == 0;
}

static void blocked(void)
{
	int fd = timerfd_create(CLOCK_REALTIME, 0);
	struct itimerspec left;
	pthread_t t;

	cancel_fd(fd);
	pthread_create(&t, NULL, reader, &fd);
	while (!reader_tid || !sleeps_in_read(reader_tid))
		usleep(1000);
	ready();
	pthread_join(t, NULL);
	timerfd_gettime(fd, &left);
	printf("it goes on: %d\n", left.it_value.tv_sec > 1000000);
}

static void polled(void)
{
	int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n;

	cancel_fd(fd);
	ready();
	printf("poll: %d\n", poll(&p, 1, 60000));
	printf("set: %s\n", cancel_fd(fd) < 0 ? strerror(errno) : "ok");
	printf("poll: %d\n", poll(&p, 1, 0));
	printf("read: %s\n", read(fd, &n, sizeof(n)) < 0 ? strerror(errno) : "rang");
	printf("set again: %s\n", cancel_fd(fd) < 0 ? strerror(errno) : "ok");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(int seconds);
	} kinds[] = {
		{ "alarm", do_alarm }, { "setitimer", do_setitimer }, { "ualarm", do_ualarm },
		{ "exec", do_exec }, { "timer", do_timer }, { "socket", do_socket }, { "sockets", do_sockets },
		{ "fork", do_fork }, { "passed", do_passed },
	};
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "blocked") == 0)
		blocked();
	else if (strcmp(what, "polled") == 0)
		polled();
	else if (strcmp(what, "exec'ed") == 0)
		await_alarm("exec", atof(argv[2]));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && argc > 2; i++)
		if (strcmp(what, kinds[i].name) == 0)
			kinds[i].run(atoi(argv[2]));
	fflush(stdout);
	return failures != 0;
}
