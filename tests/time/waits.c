/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waits.c - every kind of call that waits until a time of a clock
 *
 *   waits deadlines CLOCK    each kind waits 50 ms of the clock: not less
 *   waits bad                addresses and values that are none
 *   waits signals            a handler interrupts each kind, and each is restarted
 *   waits storm MS           signals, stops, and waits in handlers
 *   waits cancel             threads are cancelled in each kind
 *   waits family             fork, vfork, threads, kill
 *   waits moved SECONDS      all kinds wait for 10 s; ready is said and a line awaited,
 *                            meanwhile somebody changes the clock
 *   waits short TIMES        short waits, while the clock is set so many times
 *   waits cancelled          a timer that wants to know when the clock is set
 *   waits one KIND SECONDS   one wait, for debuggers
 *
 * What is printed is the same natively and in a guest, whatever its clock shows.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* musl's headers have no linux/futex.h beside them. */
#define FUTEX_LOCK_PI 6
#define FUTEX_WAIT_BITSET 9
#define FUTEX_PRIVATE_FLAG 128
#define FUTEX_CLOCK_REALTIME 256
#define FUTEX_BITSET_MATCH_ANY 0xffffffffu

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_futex_wait
#define SYS_futex_wait 455
#endif

#define NS INT64_C(1000000000)
#define MS INT64_C(1000000)
#define SHORT (50 * MS)
#define LATE (2 * NS)	/* of both clocks: nothing is that late on a machine that works */

static int failures;

#define FAIL(...) (failures++, printf("FAILED " __VA_ARGS__), puts(""), fflush(stdout))

static int64_t now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * NS + ts.tv_nsec;
}

static struct timespec at(int64_t ns)
{
	return (struct timespec){ ns / NS, ns % NS };
}

static const char *error(int e)
{
	return e == 0 ? "0" : e == ETIMEDOUT ? "ETIMEDOUT" : e == EINTR ? "EINTR" : e == EINVAL ? "EINVAL" :
	       e == EFAULT ? "EFAULT" : e == EAGAIN ? "EAGAIN" : e == EBADF ? "EBADF" : strerror(e);
}

/* ---- the kinds ---------------------------------------------------------- */

struct object {
	clockid_t clock;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	sem_t sem;
	uint32_t word;
	mqd_t queue;
	int fd;
	timer_t timer;
};

static long futex(struct object *o, int op, const struct timespec *ts)
{
	op |= o->clock == CLOCK_REALTIME ? FUTEX_CLOCK_REALTIME : 0;
	return syscall(SYS_futex, &o->word, op, 0, ts, NULL, FUTEX_BITSET_MATCH_ANY) < 0 ? errno : 0;
}

static int wait_futex(struct object *o, const struct timespec *ts)
{
	return futex(o, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, ts);
}

static int wait_shared(struct object *o, const struct timespec *ts)
{
	return futex(o, FUTEX_WAIT_BITSET, ts);
}

/* Locked by a thread that lives: our own would be a deadlock. */
static uint32_t locked;

static void *lock_it(void *arg)
{
	locked = syscall(SYS_gettid);
	for (;;)
		pause();
	return NULL;
}

static int wait_lock_pi(struct object *o, const struct timespec *ts)
{
	uint32_t word = __atomic_load_n(&locked, __ATOMIC_ACQUIRE);

	return syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, ts, NULL, 0) < 0 ? errno : 0;
}

static int wait_waitv(struct object *o, const struct timespec *ts)
{
	struct { uint64_t val, uaddr; uint32_t flags, reserved; } v = { 0, (uintptr_t)&o->word, 2, 0 };

	return syscall(SYS_futex_waitv, &v, 1, 0, ts, o->clock) < 0 ? errno : 0;
}

/* Linux 6.7: before, as it would end. */
static int wait_new(struct object *o, const struct timespec *ts)
{
	if (syscall(SYS_futex_wait, &o->word, 0L, 0xffffffffL, 2, ts, o->clock) == 0)
		return 0;
	return errno == ENOSYS ? wait_futex(o, ts) : errno;
}

static int wait_cond(struct object *o, const struct timespec *ts)
{
	int e;

	pthread_mutex_lock(&o->mutex);
	e = pthread_cond_timedwait(&o->cond, &o->mutex, ts);
	pthread_mutex_unlock(&o->mutex);
	return e;
}

static int wait_sem(struct object *o, const struct timespec *ts)
{
	return sem_timedwait(&o->sem, ts) < 0 ? errno : 0;
}

static int wait_nanosleep(struct object *o, const struct timespec *ts)
{
	return clock_nanosleep(o->clock, TIMER_ABSTIME, ts, NULL);
}

static int wait_receive(struct object *o, const struct timespec *ts)
{
	char byte[8];

	return mq_timedreceive(o->queue, byte, sizeof(byte), NULL, ts) < 0 ? errno : 0;
}

static int wait_send(struct object *o, const struct timespec *ts)
{
	int e = 0;

	while (!e)
		e = mq_timedsend(o->queue, "", 1, 0, ts) < 0 ? errno : 0;
	return e;
}

static int wait_timerfd(struct object *o, const struct timespec *ts)
{
	struct itimerspec it = { .it_value = *ts };
	uint64_t n;

	if (timerfd_settime(o->fd, TFD_TIMER_ABSTIME, &it, NULL) < 0)
		return errno;
	return read(o->fd, &n, sizeof(n)) < 0 ? errno : 0;
}

static int wait_timer(struct object *o, const struct timespec *ts)
{
	struct itimerspec it = { .it_value = *ts };
	siginfo_t si;
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	if (timer_settime(o->timer, TIMER_ABSTIME, &it, NULL) < 0)
		return errno;
	sig = sigwaitinfo(&set, &si);
	return sig < 0 ? errno : 0;
}

enum { REAL = 1, MONO = 2 };

static const struct kind {
	const char *name;
	int (*wait)(struct object *o, const struct timespec *ts);
	int clocks, result;	/* at the deadline */
} kinds[] = {
	{ "futex", wait_futex, REAL | MONO, ETIMEDOUT },
	{ "shared futex", wait_shared, REAL | MONO, ETIMEDOUT },
	{ "lock_pi", wait_lock_pi, REAL, ETIMEDOUT },
	{ "futex_waitv", wait_waitv, REAL | MONO, ETIMEDOUT },
	{ "futex_wait", wait_new, REAL | MONO, ETIMEDOUT },
	{ "cond", wait_cond, REAL, ETIMEDOUT },
	{ "sem", wait_sem, REAL, ETIMEDOUT },
	{ "nanosleep", wait_nanosleep, REAL | MONO, 0 },
	{ "mq_receive", wait_receive, REAL, ETIMEDOUT },
	{ "mq_send", wait_send, REAL, ETIMEDOUT },
	{ "timerfd", wait_timerfd, REAL | MONO, 0 },
	{ "timer", wait_timer, REAL | MONO, 0 },
};
#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

static void open_object(struct object *o, clockid_t clock)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	static int count;
	char name[32];

	*o = (struct object){ .clock = clock };
	snprintf(name, sizeof(name), "/waits-%d-%d", getpid(), count++);
	pthread_mutex_init(&o->mutex, NULL);
	pthread_cond_init(&o->cond, NULL);
	sem_init(&o->sem, 0, 0);
	o->queue = mq_open(name, O_RDWR | O_CREAT, 0600, &attr);
	mq_unlink(name);
	o->fd = timerfd_create(clock, TFD_CLOEXEC);
	timer_create(clock, &ev, &o->timer);
}

static void close_object(struct object *o)
{
	mq_close(o->queue);
	close(o->fd);
	timer_delete(o->timer);
}

static void start_locker(void)
{
	pthread_t t;

	pthread_create(&t, NULL, lock_it, NULL);
	while (!__atomic_load_n(&locked, __ATOMIC_ACQUIRE))
		usleep(1000);
}

static void block(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* Memory that nobody writes, and that says so. */
static const struct timespec *read_only(const struct timespec *ts)
{
	struct timespec *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*p = *ts;
	mprotect(p, 4096, PROT_READ);
	return p;
}

/* ---- deadlines ---------------------------------------------------------- */

static void check_wait(const struct kind *k, struct object *o, int64_t end, const struct timespec *ts)
{
	struct timespec before = *ts;
	int64_t mono = now(CLOCK_MONOTONIC), done;
	int e = k->wait(o, ts);

	done = now(o->clock);
	if (e != k->result)
		FAIL("%s: %s", k->name, error(e));
	if (done < end)
		FAIL("%s: %lld us too early", k->name, (long long)(end - done) / 1000);
	if (done > end + LATE && end > 2 && now(CLOCK_MONOTONIC) > mono + LATE)
		FAIL("%s: %lld ms late", k->name, (long long)(done - end) / MS);
	if (memcmp(&before, ts, sizeof(before)))
		FAIL("%s: the program's time has changed", k->name);
}

static void deadlines(clockid_t clock)
{
	struct object o;

	open_object(&o, clock);
	for (size_t i = 0; i < NKINDS; i++) {
		struct timespec ts;
		int64_t end;

		if (!(kinds[i].clocks & (clock == CLOCK_REALTIME ? REAL : MONO)))
			continue;
		for (int times = 0; times < 3; times++) {
			end = now(clock) + SHORT;
			ts = at(end);
			check_wait(&kinds[i], &o, end, times == 2 ? read_only(&ts) : &ts);
		}
		/* One that has passed, and the oldest of all. */
		end = now(clock) - NS;
		ts = at(end);
		check_wait(&kinds[i], &o, end, &ts);
		ts = at(1);
		check_wait(&kinds[i], &o, 1, &ts);
		printf("%s: %s\n", kinds[i].name, error(kinds[i].result));
	}
	close_object(&o);
}

/* ---- bad ---------------------------------------------------------------- */

static void bad(void)
{
	static const struct timespec values[] = { { -1, 0 }, { 1, -1 }, { 1, 1000000000 } };
	struct object o;
	sigset_t set;

	open_object(&o, CLOCK_REALTIME);
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct itimerspec it = { .it_value = values[i] };

		printf("futex %s\n", error(wait_futex(&o, &values[i])));
		printf("lock_pi %s\n", error(wait_lock_pi(&o, &values[i])));
		printf("waitv %s\n", error(wait_waitv(&o, &values[i])));
		printf("nanosleep %s\n", error(wait_nanosleep(&o, &values[i])));
		printf("mq %s\n", error(syscall(SYS_mq_timedreceive, o.queue, &set, 8, NULL, &values[i]) < 0 ? errno : 0));
		printf("timerfd %s\n", error(timerfd_settime(o.fd, 1, &it, NULL) < 0 ? errno : 0));
		printf("timer %s\n", error(syscall(SYS_timer_settime, o.timer, 1, &it, NULL) < 0 ? errno : 0));
	}
	for (long where = 8; where; where = where == 8 ? -4096 : 0) {
		printf("futex %s\n", error(futex(&o, FUTEX_WAIT_BITSET, (void *)where)));
		printf("waitv %s\n", error(wait_waitv(&o, (void *)where)));
		printf("nanosleep %s\n", error(-syscall(SYS_clock_nanosleep, 0, 1, where, 0) ? errno : 0));
		printf("mq %s\n", error(syscall(SYS_mq_timedreceive, o.queue, &set, 8, NULL, where) < 0 ? errno : 0));
		printf("timerfd %s\n", error(syscall(SYS_timerfd_settime, o.fd, 1, where, NULL) < 0 ? errno : 0));
		printf("timer %s\n", error(syscall(SYS_timer_settime, 0, 1, where, NULL) < 0 ? errno : 0));
	}
	struct itimerspec it = { .it_value = at(now(CLOCK_REALTIME) + NS) };
	struct timespec later = it.it_value;

	printf("timerfd, no descriptor %s\n", error(timerfd_settime(-1, 1, &it, NULL) < 0 ? errno : 0));
	printf("timerfd, another %s\n", error(timerfd_settime(0, 1, &it, NULL) < 0 ? errno : 0));
	printf("timerfd, flags %s\n", error(timerfd_settime(o.fd, 0x81, &it, NULL) < 0 ? errno : 0));
	printf("timerfd, old %s\n", error(syscall(SYS_timerfd_settime, o.fd, 1, &it, 8) < 0 ? errno : 0));
	printf("timer, none %s\n", error(syscall(SYS_timer_settime, 77, 1, &it, NULL) < 0 ? errno : 0));
	printf("mq, no queue %s\n", error(mq_timedreceive(-1, (char *)&set, 8, NULL, &later) < 0 ? errno : 0));
	o.word = 1;
	printf("futex, another value %s\n", error(wait_futex(&o, &later)));
	printf("futex, no bits %s\n", error(syscall(SYS_futex, &o.word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 1,
						     &later, NULL, 0) < 0 ? errno : 0));
	printf("futex, unaligned %s\n", error(syscall(SYS_futex, (char *)&o.word + 1,
						       FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 1, &later, NULL, -1) < 0 ? errno : 0));
	close_object(&o);
}

/* ---- signals ------------------------------------------------------------ */

static volatile int rang;
static volatile int nested;	/* the handler waits itself */
static struct object handlers_object;

static void handler(int sig)
{
	int saved = errno;

	rang++;
	if (nested) {
		struct timespec ts = at(now(CLOCK_REALTIME) + MS);

		if (nested > 1) {
			nested--;
			raise(SIGUSR1);
		}
		int e = wait_futex(&handlers_object, &ts);

		if (e != ETIMEDOUT && e != EINTR)
			FAIL("a wait in a handler: %s", error(e));
		e = wait_nanosleep(&handlers_object, &ts);
		if (e && e != EINTR)
			FAIL("a sleep in a handler: %s", error(e));
	}
	errno = saved;
}

struct sender {
	pthread_t target;
	int delay_ms;
};

static void *send_signal(void *arg)
{
	struct sender *s = arg;
	struct timespec t = { .tv_nsec = s->delay_ms * MS };

	nanosleep(&t, NULL);
	pthread_kill(s->target, SIGUSR1);
	return NULL;
}

static void interrupt(const struct kind *k, const char *how)
{
	struct sender s = { pthread_self(), 100 };
	int64_t end = now(CLOCK_REALTIME) + NS;
	struct timespec ts = at(end);
	struct object o;
	pthread_t t;
	int e;

	open_object(&o, CLOCK_REALTIME);
	rang = 0;
	pthread_create(&t, NULL, send_signal, &s);
	e = k->wait(&o, &ts);
	pthread_join(t, NULL);
	printf("%s, %s: %s, %d signals\n", k->name, how, error(e), rang);
	if (e != EINTR && now(CLOCK_REALTIME) < end)
		FAIL("%s: too early", k->name);
	close_object(&o);
}

static void signals(void)
{
	static const struct {
		const char *how;
		int flags, nested;
	} ways[] = { { "plain", 0, 0 }, { "restart", SA_RESTART, 0 }, { "nested", SA_RESTART | SA_NODEFER, 2 } };

	handlers_object.clock = CLOCK_REALTIME;
	for (int w = 0; w < 3; w++) {
		struct sigaction sa = { .sa_handler = handler, .sa_flags = ways[w].flags };

		sigaction(SIGUSR1, &sa, NULL);
		for (size_t i = 0; i < NKINDS; i++) {
			nested = ways[w].nested;
			interrupt(&kinds[i], ways[w].how);
		}
	}
}

/* ---- storm -------------------------------------------------------------- */

static volatile int over;
static unsigned long waits;

static void *storm_thread(void *arg)
{
	const struct kind *k = arg;
	struct object o;

	open_object(&o, CLOCK_REALTIME);
	while (!over) {
		int64_t end = now(CLOCK_REALTIME) + 3 * MS;
		struct timespec ts = at(end), was = ts;
		int e = k->wait(&o, &ts);

		if (e != k->result && e != EINTR)
			FAIL("%s: %s", k->name, error(e));
		if (e != EINTR && now(CLOCK_REALTIME) < end)
			FAIL("%s: too early by %lld us", k->name, (long long)(end - now(CLOCK_REALTIME)) / 1000);
		if (memcmp(&ts, &was, sizeof(ts)))
			FAIL("%s: the program's time has changed", k->name);
		__atomic_add_fetch(&waits, 1, __ATOMIC_RELAXED);
	}
	close_object(&o);
	return NULL;
}

static void storm(int ms)
{
	static const int picked[] = { 0, 3, 5, 7, 8, 10 };
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct timespec pause = { .tv_nsec = 2 * MS };
	pthread_t t[6];
	int64_t end = now(CLOCK_MONOTONIC) + ms * MS;
	volatile int *enough = mmap(NULL, sizeof(*enough), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t stopper, me = getpid();

	handlers_object.clock = CLOCK_REALTIME;
	nested = 1;
	/* Two of them, so that a handler's wait is interrupted as well. */
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
	stopper = fork();
	if (stopper == 0) {
		/* It ends of its own accord: killed, its last stop might come after all. */
		while (!*enough) {
			if (kill(me, SIGSTOP) < 0 || getppid() != me)
				_exit(0);
			nanosleep(&pause, NULL);
			kill(me, SIGCONT);
			nanosleep(&pause, NULL);
		}
		_exit(0);
	}
	for (int i = 0; i < 6; i++)
		pthread_create(&t[i], NULL, storm_thread, (void *)&kinds[picked[i]]);
	while (now(CLOCK_MONOTONIC) < end) {
		for (int i = 0; i < 6; i++)
			pthread_kill(t[i], i & 1 ? SIGUSR1 : SIGUSR2);
		nanosleep(&pause, NULL);
		for (int i = 0; i < 6; i++)
			pthread_kill(t[i], i & 1 ? SIGUSR2 : SIGUSR1);
		nanosleep(&pause, NULL);
	}
	*enough = 1;
	while (waitpid(stopper, NULL, 0) < 0 && errno == EINTR)
		;
	over = 1;
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	printf("storm: %s\n", waits > 20 ? "over" : "hardly a wait");
	fprintf(stderr, "%lu waits, %d handlers\n", waits, rang);
}

/* ---- cancel ------------------------------------------------------------- */

static int cleaned;

static void clean(void *arg)
{
	cleaned++;
}

static void *cancelled_thread(void *arg)
{
	const struct kind *k = arg;
	struct timespec ts = at(now(CLOCK_REALTIME) + 20 * NS);
	struct object o;

	open_object(&o, CLOCK_REALTIME);
	pthread_cleanup_push(clean, NULL);
	if (k->wait == wait_cond) {
		pthread_mutex_lock(&o.mutex);
		pthread_cleanup_push(clean, NULL);
		pthread_cond_timedwait(&o.cond, &o.mutex, &ts);
		pthread_cleanup_pop(0);
	} else {
		k->wait(&o, &ts);
	}
	pthread_testcancel();
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancel(void)
{
	static const int points[] = { 5, 6, 7, 8, 10 };

	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		int64_t begin = now(CLOCK_MONOTONIC);
		pthread_t t;
		void *ret;

		cleaned = 0;
		pthread_create(&t, NULL, cancelled_thread, (void *)&kinds[points[i]]);
		usleep(50000);
		pthread_cancel(t);
		pthread_join(t, &ret);
		printf("%s: %s, %d cleaned\n", kinds[points[i]].name, ret == PTHREAD_CANCELED ? "cancelled" : "not cancelled",
		       cleaned);
		if (now(CLOCK_MONOTONIC) - begin > 10 * NS)
			FAIL("%s: cancelled at the deadline only", kinds[points[i]].name);
	}
}

/* ---- family ------------------------------------------------------------- */

static void *short_waits(void *arg)
{
	struct object o;

	open_object(&o, CLOCK_REALTIME);
	for (int i = 0; i < 5; i++) {
		int64_t end = now(CLOCK_REALTIME) + 20 * MS;
		struct timespec ts = at(end);

		check_wait(&kinds[0], &o, end, &ts);
		check_wait(&kinds[7], &o, end, &ts);
	}
	close_object(&o);
	return NULL;
}

static int child_says(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void family(void)
{
	struct object o;
	pthread_t t[40];
	struct timespec ts = at(now(CLOCK_REALTIME) + 3600 * NS);
	pid_t pid;

	open_object(&o, CLOCK_REALTIME);
	for (int i = 0; i < 40; i++)
		pthread_create(&t[i], NULL, short_waits, NULL);
	for (int i = 0; i < 5; i++) {
		pid = fork();
		if (pid == 0) {
			short_waits(NULL);
			_exit(failures);
		}
		if (child_says(pid))
			FAIL("a child");
	}
	for (int i = 0; i < 40; i++)
		pthread_join(t[i], NULL);
	puts("threads and children");
	pid = vfork();
	if (pid == 0) {
		struct timespec soon = at(now(CLOCK_REALTIME) + 20 * MS);

		_exit(wait_futex(&o, &soon) == ETIMEDOUT ? 0 : 1);
	}
	printf("vfork: %d\n", child_says(pid));
	for (size_t i = 0; i < NKINDS; i++) {
		pid = fork();
		if (pid == 0) {
			open_object(&o, CLOCK_REALTIME);
			kinds[i].wait(&o, &ts);
			_exit(1);
		}
		usleep(20000);
		kill(pid, SIGKILL);
		printf("%s: killed, %d\n", kinds[i].name, child_says(pid));
	}
	/* Woken before the time: as if there were none. */
	pid = fork();
	if (pid == 0) {
		struct sender s = { pthread_self(), 30 };

		signal(SIGUSR1, SIG_DFL);
		pthread_create(&t[0], NULL, send_signal, &s);
		wait_nanosleep(&o, &ts);
		_exit(1);
	}
	printf("a signal that kills: %d\n", child_says(pid));
}

/* ---- moved -------------------------------------------------------------- */

static clockid_t moved_clock;
static int64_t moved_end;

static void *moved_thread(void *arg)
{
	const struct kind *k = arg;
	struct timespec ts = at(moved_end);
	struct object o;
	int e;

	open_object(&o, moved_clock);
	e = k->wait(&o, &ts);
	if (e != k->result)
		FAIL("%s: %s", k->name, error(e));
	if (now(moved_clock) < moved_end)
		FAIL("%s: too early", k->name);
	printf("%s\n", k->name);
	fflush(stdout);
	close_object(&o);
	return NULL;
}

/* All kinds but those that their libc makes relative ones of, with any clock. */
static void moved(clockid_t clock, int seconds)
{
	pthread_t t[NKINDS];
	char line[8];
	int i, skipped = 0;

	moved_clock = clock;
	moved_end = now(clock) + seconds * NS;
	for (i = 0; i < (int)NKINDS; i++) {
		skipped = !(kinds[i].clocks & (clock == CLOCK_REALTIME ? REAL : MONO));
#ifndef __GLIBC__
		skipped |= kinds[i].wait == wait_cond || kinds[i].wait == wait_sem;
#endif
		t[i] = 0;
		if (!skipped)
			pthread_create(&t[i], NULL, moved_thread, (void *)&kinds[i]);
	}
	usleep(200000);
	puts("ready");
	fflush(stdout);
	if (fgets(line, sizeof(line), stdin))
		for (i = 0; i < (int)NKINDS; i++)
			if (t[i])
				pthread_join(t[i], NULL);
	puts("over");
}

/* Set by somebody else meanwhile; what waits for the timer is told. */
static void cancelled(void)
{
	int fd = timerfd_create(CLOCK_REALTIME, 0);
	struct itimerspec it = { .it_value.tv_sec = INT64_MAX / NS };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n;

	timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &it, NULL);
	printf("before: %d\nready\n", poll(&p, 1, 100));
	fflush(stdout);
	printf("after: %d\n", poll(&p, 1, 20000));
	if (read(fd, &n, sizeof(n)) < 0 && errno != ECANCELED)
		FAIL("read: %s", error(errno));
	timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &it, NULL);
	printf("again: %d\n", poll(&p, 1, 100));
}

static int one(const char *name, double seconds)
{
	struct object o;
	struct timespec ts = at(now(CLOCK_REALTIME) + (int64_t)(seconds * NS));

	open_object(&o, CLOCK_REALTIME);
	for (size_t i = 0; i < NKINDS; i++)
		if (strcmp(kinds[i].name, name) == 0)
			check_wait(&kinds[i], &o, ts.tv_sec * NS + ts.tv_nsec, &ts);
	puts(name);
	return failures != 0;
}

/* ---- short --------------------------------------------------------------- */

#define SHORT_THREADS 6

static volatile int short_stop;

static void *short_thread(void *arg)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

	pthread_mutex_lock(&mutex);
	while (!short_stop) {
		struct timespec ts = at(now(CLOCK_REALTIME) + 100000);

		pthread_cond_timedwait(&cond, &mutex, &ts);
	}
	return NULL;
}

/* Who is just past its wait, and in its next call, may be asked to stop for the
 * one before. */
static void set_meanwhile(int times)
{
	pthread_t t[SHORT_THREADS];

	for (size_t i = 0; i < SHORT_THREADS; i++)
		pthread_create(&t[i], NULL, short_thread, NULL);
	for (int i = 0; i < times; i++) {
		struct timespec ts = at(now(CLOCK_REALTIME) + (i & 1 ? -50000 : 50000));

		if (clock_settime(CLOCK_REALTIME, &ts) < 0)
			failures++;
	}
	short_stop = 1;
	for (size_t i = 0; i < SHORT_THREADS; i++)
		pthread_join(t[i], NULL);
	printf("short: done\n");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int number = argc > 2 ? atoi(argv[2]) : 0;

	block(SIGRTMIN);
	start_locker();
	if (strcmp(what, "deadlines") == 0)
		deadlines(number);
	else if (strcmp(what, "bad") == 0)
		bad();
	else if (strcmp(what, "signals") == 0)
		signals();
	else if (strcmp(what, "storm") == 0)
		storm(number);
	else if (strcmp(what, "cancel") == 0)
		cancel();
	else if (strcmp(what, "family") == 0)
		family();
	else if (strcmp(what, "moved") == 0)
		moved(number, atoi(argv[3]));
	else if (strcmp(what, "short") == 0)
		set_meanwhile(number);
	else if (strcmp(what, "cancelled") == 0)
		cancelled();
	else if (strcmp(what, "one") == 0)
		return one(argv[2], atof(argv[3]));
	else
		return 2;
	fflush(stdout);
	return failures != 0;
}
