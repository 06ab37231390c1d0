/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timeouts.c - every call that waits until a time, in a guest that travels
 *
 *	timeouts timeouts	each until its time, which is far away
 *	timeouts signals	each interrupted by a handler long before, and stopped and
 *			continued without one
 *	timeouts woken	each ended by what it waits for, and then again
 *	timeouts timers	timerfd, alarm and setitimer
 *	timeouts storm N	N threads wait at random and count the early ends
 *	timeouts cancel N	N threads that wait at random are cancelled at random
 *
 * Times are the guest's clock's: far away is a moment.
 */
#include <linux/futex.h>
#include <mqueue.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#include "../guest/t.h"

/* Not in all headers. */
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_futex_wait
#define SYS_futex_wait 455
#endif

#define FAR 5000		/* seconds */
#define NS 1000000000LL

static int efd = -1, epfd = -1, sem = -1;
static mqd_t queue = -1, full = -1;
static int word;

static struct timespec in(clockid_t clock, int64_t ns)
{
	int64_t at = now_ns(clock) + ns;

	return (struct timespec){ at / NS, at % NS };
}

static struct timespec span(int64_t ns)
{
	return (struct timespec){ ns / NS, ns % NS };
}

/* ---- the calls: wait @ns, then 0, or -1 and errno ------------------------- */

static long do_nanosleep(int64_t ns)
{
	struct timespec ts = span(ns);

	return nanosleep(&ts, NULL);
}

static long do_clock_nanosleep(int64_t ns)
{
	struct timespec ts = span(ns);

	errno = clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	return errno ? -1 : 0;
}

static long do_sleep_until(int64_t ns)
{
	struct timespec ts = in(CLOCK_REALTIME, ns);

	errno = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL);
	return errno ? -1 : 0;
}

static long do_poll(int64_t ns)
{
	struct pollfd p = { .fd = efd, .events = POLLIN };

	return syscall(SYS_poll, &p, 1, (int)(ns / 1000000));
}

static long do_ppoll(int64_t ns)
{
	struct pollfd p = { .fd = efd, .events = POLLIN };
	struct timespec ts = span(ns);
	sigset_t none;

	sigemptyset(&none);
	return ppoll(&p, 1, &ts, &none);
}

static long check_set(long n, const fd_set *set)
{
	if (n == 0 && FD_ISSET(efd, set))
		failed("select leaves its set as it was");
	return n;
}

static long do_select(int64_t ns)
{
	struct timeval tv = { ns / NS, ns % NS / 1000 };
	fd_set set;
	long n;

	FD_ZERO(&set);
	FD_SET(efd, &set);
	n = syscall(SYS_select, efd + 1, &set, NULL, NULL, &tv);
	if (n == 0 && (tv.tv_sec || tv.tv_usec))
		failed("select has %ld.%06ld s left", tv.tv_sec, tv.tv_usec);
	return check_set(n, &set);
}

static long do_pselect(int64_t ns)
{
	struct timespec ts = span(ns);
	fd_set set;

	FD_ZERO(&set);
	FD_SET(efd, &set);
	return check_set(syscall(SYS_pselect6, efd + 1, &set, NULL, NULL, &ts, NULL), &set);
}

static long do_epoll(int64_t ns)
{
	struct epoll_event ev;

	return syscall(SYS_epoll_wait, epfd, &ev, 1, (int)(ns / 1000000));
}

static long do_epoll_pwait(int64_t ns)
{
	struct epoll_event ev;
	sigset_t none;

	sigemptyset(&none);
	return epoll_pwait(epfd, &ev, 1, ns / 1000000, &none);
}

static long do_epoll_pwait2(int64_t ns)
{
	struct epoll_event ev;
	struct timespec ts = span(ns);

	return syscall(SYS_epoll_pwait2, epfd, &ev, 1, &ts, NULL, 0);
}

static long over(long ret, int want)
{
	return ret == -1 && errno == want ? 0 : ret;
}

static long do_futex(int64_t ns)
{
	struct timespec ts = span(ns);

	return over(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &ts, NULL, 0), ETIMEDOUT);
}

static long do_futex_until(int64_t ns)
{
	struct timespec ts = in(CLOCK_REALTIME, ns);

	return over(syscall(SYS_futex, &word,
			    FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &ts, NULL,
			    FUTEX_BITSET_MATCH_ANY), ETIMEDOUT);
}

/* Linux 5.16. */
static long do_futex_waitv(int64_t ns)
{
	struct {
		uint64_t val, uaddr;
		uint32_t flags, reserved;
	} v = { .uaddr = (uintptr_t)&word, .flags = 2 | 128 };	/* 32 bits, private */
	struct timespec ts = in(CLOCK_MONOTONIC, ns);

	return over(syscall(SYS_futex_waitv, &v, 1, 0, &ts, CLOCK_MONOTONIC), ETIMEDOUT);
}

/* Linux 6.7. */
static long do_futex_wait(int64_t ns)
{
	struct timespec ts = in(CLOCK_REALTIME, ns);

	return over(syscall(SYS_futex_wait, &word, 0UL, ~0U, 2 | 128, &ts, CLOCK_REALTIME), ETIMEDOUT);
}

static long do_sigtimedwait(int64_t ns)
{
	struct timespec ts = span(ns);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return over(syscall(SYS_rt_sigtimedwait, &set, NULL, &ts, 8), EAGAIN);
}

static long do_semtimedop(int64_t ns)
{
	struct timespec ts = span(ns);
	struct sembuf op = { .sem_op = -1 };

	return over(semtimedop(sem, &op, 1, &ts), EAGAIN);
}

static long do_mq_receive(int64_t ns)
{
	struct timespec ts = in(CLOCK_REALTIME, ns);
	char buf[16];

	return over(mq_timedreceive(queue, buf, sizeof(buf), NULL, &ts), ETIMEDOUT);
}

/* Into a queue that is full. */
static long do_mq_send(int64_t ns)
{
	struct timespec ts = in(CLOCK_REALTIME, ns);

	return over(mq_timedsend(full, "y", 1, 0, &ts), ETIMEDOUT);
}

/* ---- how each is woken ----------------------------------------------------- */

static void wake_nothing(void)
{
}

static void wake_efd(void)
{
	need("write", eventfd_write(efd, 1));
}

static void wake_futex(void)
{
	syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void wake_sem(void)
{
	struct sembuf op = { .sem_op = 1 };

	need("semop", semop(sem, &op, 1));
}

static void wake_queue(void)
{
	need("mq_send", mq_send(queue, "x", 1, 0));
}

static void wake_full(void)
{
	char buf[16];

	need("mq_receive", mq_receive(full, buf, sizeof(buf), NULL));
}

static void wake_signal(void)
{
	kill(getpid(), SIGUSR2);
}

static const struct wait {
	const char *name;
	long (*wait)(int64_t ns);
	void (*wake)(void);
} waits[] = {
	{ "nanosleep", do_nanosleep, wake_nothing },
	{ "clock_nanosleep", do_clock_nanosleep, wake_nothing },
	{ "clock_nanosleep until", do_sleep_until, wake_nothing },
	{ "poll", do_poll, wake_efd },
	{ "ppoll", do_ppoll, wake_efd },
	{ "select", do_select, wake_efd },
	{ "pselect6", do_pselect, wake_efd },
	{ "epoll_wait", do_epoll, wake_efd },
	{ "epoll_pwait", do_epoll_pwait, wake_efd },
	{ "epoll_pwait2", do_epoll_pwait2, wake_efd },
	{ "futex", do_futex, wake_futex },
	{ "futex until", do_futex_until, wake_futex },
	{ "futex_waitv", do_futex_waitv, wake_futex },
	{ "futex_wait", do_futex_wait, wake_futex },
	{ "rt_sigtimedwait", do_sigtimedwait, wake_signal },
	{ "semtimedop", do_semtimedop, wake_sem },
	{ "mq_timedreceive", do_mq_receive, wake_queue },
	{ "mq_timedsend", do_mq_send, wake_full },
};

/* ---- timeouts -------------------------------------------------------------- */

/* The guest's clock says how long it was; and the call says that time is up. */
static void is_over_after(const struct wait *w, int64_t ns)
{
	int64_t begin = now_ns(CLOCK_MONOTONIC), took;
	long ret = w->wait(ns);

	took = now_ns(CLOCK_MONOTONIC) - begin;
	if (ret == -1 && errno == ENOSYS) {
		fact(w->name, "%s", "ENOSYS");
		return;
	}
	if (ret)
		failed("%s: %ld, %s", w->name, ret, t_errno(errno));
	/* A millisecond: what poll(2) rounds to. */
	if (took < ns - 1000000 || took > ns + 5 * NS)
		failed("%s: %lld ns instead of %lld", w->name, (long long)took, (long long)ns);
}

static void timeouts(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		is_over_after(&waits[i], FAR * NS);
		is_over_after(&waits[i], FAR * NS / 3 + 123000000);
	}
	is_over_after(&waits[0], 3 * 365 * 86400 * NS);
}

/* ---- signals --------------------------------------------------------------- */

static volatile int handled;

/* A handler that waits itself, longer than is left of the interrupted wait. */
static void handler(int sig)
{
	int saved = errno;

	handled++;
	if (sig == SIGUSR1)
		do_poll(2 * FAR * NS);
	errno = saved;
}

/* A child sends @sig to @pid after @after of the guest's, twice if need be. */
static pid_t send_later(pid_t pid, int sig, int64_t after)
{
	pid_t child = fork();

	if (child == 0) {
		do_nanosleep(after);
		kill(pid, sig);
		if (sig == SIGSTOP) {
			do_nanosleep(NS);
			kill(pid, SIGCONT);
		}
		_exit(0);
	}
	return child;
}

static void is_interrupted(const struct wait *w)
{
	int64_t begin = now_ns(CLOCK_MONOTONIC), took;
	pid_t child = send_later(getpid(), SIGUSR1, 10 * NS);
	long ret;

	handled = 0;
	ret = w->wait(FAR * NS);
	took = now_ns(CLOCK_MONOTONIC) - begin;
	waitpid(child, NULL, 0);
	if (ret == -1 && errno == ENOSYS)
		return;
	if (handled != 1 || ret != -1 || errno != EINTR)
		failed("%s: handled %d times, %ld, %s", w->name, handled, ret, t_errno(errno));
	if (took < (10 + 2 * FAR) * NS - 1000000 || took > (11 + 2 * FAR) * NS)
		failed("%s and its handler: %lld ns", w->name, (long long)took);
}

/* Stopped and continued, no handler: natively most of them go on, some say EINTR. */
static void is_continued(const struct wait *w, bool eintr)
{
	int64_t begin = now_ns(CLOCK_MONOTONIC), took;
	pid_t child = send_later(getpid(), SIGSTOP, 10 * NS);
	long ret = w->wait(FAR * NS);

	took = now_ns(CLOCK_MONOTONIC) - begin;
	waitpid(child, NULL, 0);
	if (ret == -1 && (errno == ENOSYS || (eintr && errno == EINTR)))
		return;
	if (ret || took < FAR * NS - 1000000 || took > (FAR + 20) * NS)
		failed("%s continued: %ld, %s, %lld ns", w->name, ret, ret ? t_errno(errno) : "",
		       (long long)took);
}

static void signals(void)
{
	struct sigaction sa = { .sa_handler = handler };

	sigaction(SIGUSR1, &sa, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		is_interrupted(&waits[i]);
		is_continued(&waits[i], strstr(waits[i].name, "epoll") || strstr(waits[i].name, "sem") ||
						strstr(waits[i].name, "sigtimed"));
	}
}

/* ---- woken ----------------------------------------------------------------- */

static void *waker(void *arg)
{
	const struct wait *w = arg;

	do_nanosleep(7 * NS);
	w->wake();
	return NULL;
}

static void drain(void)
{
	eventfd_t v;
	char buf[16];
	struct timespec now = { 0 };

	eventfd_read(efd, &v);
	mq_timedreceive(queue, buf, sizeof(buf), NULL, &now);
}

/* It ends when it is woken; the same call then lasts as long as it says. */
static void is_woken(const struct wait *w)
{
	int64_t begin = now_ns(CLOCK_MONOTONIC), took;
	pthread_t t;
	long ret;

	pthread_create(&t, NULL, waker, (void *)w);
	ret = w->wait(FAR * NS);
	took = now_ns(CLOCK_MONOTONIC) - begin;
	pthread_join(t, NULL);
	if (ret == -1 && errno == ENOSYS)
		return;
	if (ret < 0 || took < 7 * NS - 1000000 || took > 8 * NS)
		failed("%s woken: %ld, %s, %lld ns", w->name, ret, ret < 0 ? t_errno(errno) : "",
		       (long long)took);
	drain();
	is_over_after(w, FAR * NS);
}

static void woken(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++)
		if (waits[i].wake != wake_nothing)
			is_woken(&waits[i]);
}

/* ---- timers ---------------------------------------------------------------- */

static void expect_after(const char *what, int64_t begin, int64_t ns)
{
	int64_t took = now_ns(CLOCK_MONOTONIC) - begin;

	if (took < ns - 1000000 || took > ns + NS)
		failed("%s: %lld ns instead of %lld", what, (long long)took, (long long)ns);
}

static void timerfds(clockid_t clock)
{
	struct itimerspec it = { .it_value.tv_sec = FAR, .it_interval.tv_sec = 100 }, left;
	int fd = timerfd_create(clock, 0);
	int64_t begin = now_ns(CLOCK_MONOTONIC);
	uint64_t n = 0;

	need("timerfd_settime", timerfd_settime(fd, 0, &it, NULL));
	do_nanosleep(FAR / 2 * NS);
	need("timerfd_gettime", timerfd_gettime(fd, &left));
	check("what is left", llabs(left.it_value.tv_sec - FAR / 2) <= 1);
	need("read", read(fd, &n, sizeof(n)));
	expect_after("timerfd", begin, FAR * NS);
	need("read", read(fd, &n, sizeof(n)));
	expect_after("its interval", begin, (FAR + 100) * NS);
	it = (struct itimerspec){ .it_value = in(clock, FAR * NS) };
	begin = now_ns(CLOCK_MONOTONIC);
	need("timerfd_settime", timerfd_settime(fd, TFD_TIMER_ABSTIME, &it, &left));
	check("what it was", left.it_interval.tv_sec == 100 && left.it_value.tv_sec <= 100);
	need("read", read(fd, &n, sizeof(n)));
	expect_after("timerfd until", begin, FAR * NS);
	check("once", n == 1);
	it.it_value.tv_nsec = -1;
	say("a bad time", timerfd_settime(fd, 0, &it, NULL));
	say("no timerfd", timerfd_settime(efd, 0, &left, NULL));
	close(fd);
}

static void alarms(void)
{
	struct sigaction sa = { .sa_handler = handler };
	struct itimerval it = { .it_value.tv_sec = FAR, .it_interval.tv_usec = 500000 };
	int64_t begin = now_ns(CLOCK_MONOTONIC);
	int status;
	pid_t pid;

	sigaction(SIGALRM, &sa, NULL);
	say_number("alarm", alarm(FAR));
	pause();
	expect_after("alarm", begin, FAR * NS);
	begin = now_ns(CLOCK_MONOTONIC);
	need("setitimer", setitimer(ITIMER_REAL, &it, NULL));
	pid = fork();
	if (pid == 0) {
		getitimer(ITIMER_REAL, &it);
		_exit(it.it_value.tv_sec || it.it_value.tv_usec);
	}
	waitpid(pid, &status, 0);
	check("a child has none", status == 0);
	need("getitimer", getitimer(ITIMER_REAL, &it));
	check("what is left", it.it_value.tv_sec >= FAR - 60 && it.it_interval.tv_usec == 500000);
	pause();
	expect_after("setitimer", begin, FAR * NS);
	pause();
	expect_after("its interval", begin, FAR * NS + NS / 2);
	alarm(0);
	say_number("none left", alarm(0));
	/* It outlives an exec, and ends the program that does not handle it. */
	begin = now_ns(CLOCK_MONOTONIC);
	pid = fork();
	if (pid == 0) {
		alarm(FAR);
		execl("/bin/sleep", "sleep", "1000000", NULL);
	}
	waitpid(pid, &status, 0);
	check("ended by SIGALRM", WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
	expect_after("over an exec", begin, FAR * NS);
}

static timer_t posix_timer(clockid_t clock, int notify)
{
	struct sigevent ev = { .sigev_notify = notify, .sigev_signo = SIGUSR2 };
	timer_t t;

	need("timer_create", timer_create(clock, &ev, &t));
	return t;
}

static void await_usr2(const char *what, int64_t begin, int64_t ns)
{
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigwait(&set, &sig);
	expect_after(what, begin, ns);
}

/* sigwait(2) has no time: it is the timers alone that there is to go to. */
static void posix_timers(clockid_t clock)
{
	struct itimerspec it = { .it_value.tv_sec = FAR, .it_interval.tv_sec = 100 }, left;
	timer_t t = posix_timer(clock, SIGEV_SIGNAL), gone, silent;
	int64_t begin = now_ns(CLOCK_MONOTONIC);

	need("timer_settime", timer_settime(t, 0, &it, NULL));
	/* Those that ring for nobody are no reason to go anywhere. */
	silent = posix_timer(clock, SIGEV_NONE);
	it.it_value.tv_sec = 10;
	need("timer_settime", timer_settime(silent, 0, &it, NULL));
	gone = posix_timer(clock, SIGEV_SIGNAL);
	need("timer_settime", timer_settime(gone, 0, &it, NULL));
	need("timer_delete", timer_delete(gone));
	gone = posix_timer(clock, SIGEV_SIGNAL);
	need("timer_settime", timer_settime(gone, 0, &it, NULL));
	it.it_value.tv_sec = 0;
	need("timer_settime", timer_settime(gone, 0, &it, NULL));
	await_usr2("timer", begin, FAR * NS);
	need("timer_gettime", timer_gettime(t, &left));
	check("what is left of a timer", left.it_value.tv_sec >= 98 && left.it_value.tv_sec <= 100);
	await_usr2("its interval", begin, (FAR + 100) * NS);
	await_usr2("and another", begin, (FAR + 200) * NS);
	it = (struct itimerspec){ .it_value = in(clock, FAR * NS) };
	begin = now_ns(CLOCK_MONOTONIC);
	need("timer_settime", timer_settime(t, TIMER_ABSTIME, &it, &left));
	if (left.it_interval.tv_sec != 100 || left.it_value.tv_sec > 100)
		failed("what it was: %ld.%09ld, %ld.%09ld", left.it_value.tv_sec, left.it_value.tv_nsec,
		       left.it_interval.tv_sec, left.it_interval.tv_nsec);
	await_usr2("timer until", begin, FAR * NS);
	begin = now_ns(CLOCK_MONOTONIC);
	do_nanosleep(1000 * NS);
	expect_after("after all timers", begin, 1000 * NS);
	timer_delete(t);
	timer_delete(gone);
	timer_delete(silent);
}

static void timers(void)
{
	int64_t begin;

	posix_timers(CLOCK_MONOTONIC);
	posix_timers(CLOCK_REALTIME);
	posix_timers(CLOCK_BOOTTIME);
	timerfds(CLOCK_MONOTONIC);
	timerfds(CLOCK_REALTIME);
	timerfds(CLOCK_BOOTTIME);
	alarms();
	/* A timer that is closed moves nothing. */
	{
		struct itimerspec it = { .it_value.tv_sec = 10, .it_interval.tv_sec = 10 };
		int fd = timerfd_create(CLOCK_MONOTONIC, 0);
		struct pollfd p = { .fd = efd, .events = POLLIN };

		timerfd_settime(fd, 0, &it, NULL);
		close(fd);
		begin = now_ns(CLOCK_MONOTONIC);
		if (fork() == 0) {
			/* Computes for 100 ms of the host's, during which nothing is due. */
			for (volatile long i = 0; i < 100000000; i++)
				;
			eventfd_write(efd, 1);
			_exit(0);
		}
		poll(&p, 1, -1);
		check("a closed timerfd", now_ns(CLOCK_MONOTONIC) - begin < 9 * NS);
	}
}

/* ---- storm ----------------------------------------------------------------- */

static int early;

static void *stormer(void *arg)
{
	unsigned seed = (uintptr_t)arg;

	for (int i = 0; i < 40; i++) {
		const struct wait *w = &waits[rand_r(&seed) % 7];
		int64_t ns = (rand_r(&seed) % 1000 + 1) * 10000000LL, begin = now_ns(CLOCK_MONOTONIC);

		w->wait(ns);
		if (now_ns(CLOCK_MONOTONIC) - begin < ns - 1000000)
			__atomic_fetch_add(&early, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void storm(int n)
{
	pthread_t t[64];

	for (int i = 0; i < n && i < 64; i++)
		pthread_create(&t[i], NULL, stormer, (void *)(uintptr_t)(i + 1));
	for (int i = 0; i < n && i < 64; i++)
		pthread_join(t[i], NULL);
	fact("early", "%d", early);
}

/* ---- cancel ---------------------------------------------------------------- */

static int cleaned;

static void count_cleaned(void *arg)
{
	__atomic_fetch_add(&cleaned, 1, __ATOMIC_RELAXED);
}

/* Waits until it is cancelled: in calls that are, by POSIX, points where it may be. */
static void *cancelled(void *arg)
{
	static long (*const points[])(int64_t ns) = {
		do_nanosleep, do_clock_nanosleep, do_sleep_until, do_ppoll, do_mq_receive,
	};
	unsigned seed = (uintptr_t)arg;

	pthread_cleanup_push(count_cleaned, NULL);
	for (;;)
		points[rand_r(&seed) % ARRAY_SIZE(points)]((rand_r(&seed) % 1000 + 1) * 10000000LL);
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancel(int n)
{
	unsigned seed = 1;
	pthread_t t[64];
	void *ret;

	n = n < 64 ? n : 64;
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < n; i++)
			pthread_create(&t[i], NULL, cancelled, (void *)(uintptr_t)(round * n + i + 1));
		do_nanosleep((rand_r(&seed) % 1000 + 1) * 10000000LL);
		for (int i = 0; i < n; i++)
			pthread_cancel(t[i]);
		for (int i = 0; i < n; i++) {
			pthread_join(t[i], &ret);
			if (ret != PTHREAD_CANCELED)
				failed("thread %d ended otherwise", i);
		}
	}
	check("all have cleaned up", cleaned == 10 * n);
}

int main(int argc, char **argv)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 16 };
	struct epoll_event ev = { .events = EPOLLIN };
	const char *what = argc > 1 ? argv[1] : "";
	sigset_t set;

	efd = eventfd(0, EFD_NONBLOCK);
	epfd = epoll_create1(0);
	epoll_ctl(epfd, EPOLL_CTL_ADD, efd, &ev);
	sem = semget(IPC_PRIVATE, 1, 0600);
	queue = mq_open("/waits", O_CREAT | O_RDWR, 0600, &attr);
	full = mq_open("/waits-full", O_CREAT | O_RDWR, 0600, &attr);
	mq_send(full, "x", 1, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (!strcmp(what, "timeouts"))
		timeouts();
	else if (!strcmp(what, "signals"))
		signals();
	else if (!strcmp(what, "woken"))
		woken();
	else if (!strcmp(what, "timers"))
		timers();
	else if (!strcmp(what, "storm"))
		storm(argc > 2 ? atoi(argv[2]) : 1);
	else if (!strcmp(what, "cancel"))
		cancel(argc > 2 ? atoi(argv[2]) : 1);
	mq_unlink("/waits");
	mq_unlink("/waits-full");
	semctl(sem, 0, IPC_RMID);
	say("timeouts", 0);
	return t_failed;
}
