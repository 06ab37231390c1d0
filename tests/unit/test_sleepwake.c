/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_sleepwake.c - what the observer tells against what the host counted
 *
 * Each case is a process of its own that observes children of its own. Run as
 * root, every case is done as root, as the ordinary user "probeu", if there is
 * one, and as that user with a user namespace of its own, as a guest kernel
 * has; run as an ordinary user, as that user, without and with one.
 *
 * Ground truth is getrusage(2): ru_nvcsw is how often a task slept, ru_nivcsw
 * how often it was preempted. And on every record that any case gets: time does
 * not go back, and a task runs and leaves its CPU by turns.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kernel/util.h"
#include "passthrough/hostcall.h"
#include "passthrough/sleepwake.h"

enum { DENIED = 77 };

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #cond,             \
				strerror(errno));                                                  \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/* ---- the observed ---------------------------------------------------------- */

/* Shared with the child. */
struct report {
	struct rusage begin, end;
	pid_t other;	/* a thread or a child of it */
	_Atomic uint64_t turns;
	sem_t sem;
};

struct child {
	pid_t pid;
	int go;		/* a pipe that it reads from */
	struct report *report;
};

static pid_t gettid_raw(void)
{
	return syscall(SYS_gettid);
}

/* How often has a task slept? */
static unsigned off_cpu(pid_t pid)
{
	char path[64], text[4096], *line;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	CHECK(host_read_file(AT_FDCWD, path, text, sizeof(text)) > 0);
	line = strstr(text, "\nvoluntary_ctxt_switches:");
	CHECK(line);
	return strtoul(strchr(line, '\t'), NULL, 10);
}

static void child_go(struct child *c)
{
	CHECK(write(c->go, "g", 1) == 1);
}

static void child_end(struct child *c)
{
	int status;

	CHECK(waitpid(c->pid, &status, 0) == c->pid && WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == 0);
	close(c->go);
	munmap(c->report, sizeof(*c->report));
}

static char task_state(pid_t pid)
{
	char path[64], text[1024], *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	CHECK(host_read_file(AT_FDCWD, path, text, sizeof(text)) > 0);
	end = strrchr(text, ')');
	CHECK(end);
	return end[2];
}

static void await_state(pid_t pid, char state)
{
	while (task_state(pid) != state)
		sched_yield();
}

/* A child that sleeps until child_go(), then does @body and ends. */
static struct child child_start(void (*body)(int in, struct report *rep))
{
	struct child c = { 0 };
	char byte;
	int p[2];

	c.report = mmap(NULL, sizeof(*c.report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	CHECK(c.report != MAP_FAILED && pipe2(p, O_CLOEXEC) == 0);
	sem_init(&c.report->sem, 1, 0);
	c.pid = fork();
	CHECK(c.pid >= 0);
	if (c.pid == 0) {
		close(p[1]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (read(p[0], &byte, 1) != 1)
			_exit(1);
		getrusage(RUSAGE_SELF, &c.report->begin);
		body(p[0], c.report);
		getrusage(RUSAGE_SELF, &c.report->end);
		_exit(0);
	}
	close(p[0]);
	c.go = p[1];
	/* Off its CPU, not only about to leave it. */
	while (off_cpu(c.pid) == 0 || task_state(c.pid) != 'S')
		sched_yield();
	return c;
}

static void use_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	CHECK(sched_setaffinity(0, sizeof(set), &set) == 0);
}

/* Two tasks that wake each other @turns times over pipes; @cpu of each, or -1. */
static void pingpong(unsigned turns, int cpu1, int cpu2, struct report *rep)
{
	int a[2], b[2];
	char byte = 0;
	pid_t pid;

	CHECK(pipe(a) == 0 && pipe(b) == 0);
	pid = fork();
	if (pid == 0) {
		if (cpu2 >= 0)
			use_cpu(cpu2);
		for (unsigned i = 0; i < turns; i++)
			CHECK(read(a[0], &byte, 1) == 1 && write(b[1], &byte, 1) == 1);
		_exit(0);
	}
	rep->other = pid;
	if (cpu1 >= 0)
		use_cpu(cpu1);
	for (unsigned i = 0; i < turns; i++)
		CHECK(write(a[1], &byte, 1) == 1 && read(b[0], &byte, 1) == 1);
	CHECK(waitpid(pid, NULL, 0) == pid);
}

/* ---- the observer ------------------------------------------------------------ */

#define KEPT 65536
#define MAX_PID (4 << 20)

struct trace {
	struct sleepwake *sw;
	struct sleepwake_record *kept;	/* the first KEPT of them */
	uint64_t n, drains;
	uint64_t count[SLEEPWAKE_LOST + 1];
	uint64_t lost, losses;
	uint64_t last_ns;
	uint64_t backwards;	/* time went back */
	uint64_t twice;		/* ran while it ran, left while it did not */
	uint8_t *state;		/* by tid: 0 not known, 1 runs, 2 does not */
	sem_t *hold;		/* the handler waits for it once */
};

static void model(struct trace *t, const struct sleepwake_record *r)
{
	uint8_t *s = &t->state[r->tid % MAX_PID];
	bool runs = r->kind == SLEEPWAKE_RUN;

	if (runs || r->kind == SLEEPWAKE_SLEEP || r->kind == SLEEPWAKE_PREEMPT) {
		t->twice += *s == (runs ? 1 : 2);
		*s = runs ? 1 : 2;
	} else if (r->kind == SLEEPWAKE_FORK) {
		t->twice += *s == 1;
		*s = 2;
	} else if (r->kind == SLEEPWAKE_EXIT) {
		*s = 0;
	}
}

static void on_record(void *ctx, const struct sleepwake_record *r)
{
	struct trace *t = ctx;

	if (t->hold) {
		sem_wait(t->hold);
		t->hold = NULL;
	}
	t->backwards += r->ns < t->last_ns;
	t->last_ns = r->ns;
	t->count[r->kind]++;
	if (r->kind == SLEEPWAKE_LOST) {
		t->losses++;
		t->lost += r->lost;
		memset(t->state, 0, MAX_PID);
	} else {
		model(t, r);
	}
	if (t->n < KEPT)
		t->kept[t->n] = *r;
	t->n++;
}

static void on_drained(void *ctx, uint64_t now_ns, unsigned n)
{
	struct trace *t = ctx;

	CHECK(now_ns >= t->last_ns);
	t->drains++;
}

/* Is what follows from the host's refusal, not from us? */
static bool refused(int ret)
{
	return ret == -EPERM || ret == -EACCES || ret == -ENOSYS || ret == -ENOENT;
}

static struct trace *trace_open(size_t ring_bytes)
{
	struct trace *t = calloc(1, sizeof(*t));
	struct sleepwake_config cfg = { .record = on_record, .drained = on_drained, .ctx = t };
	int ret;

	CHECK(t);
	t->kept = calloc(KEPT, sizeof(*t->kept));
	t->state = calloc(MAX_PID, 1);
	CHECK(t->kept && t->state);
	cfg.ring_bytes = ring_bytes;
	ret = sleepwake_open(&cfg, &t->sw);
	if (refused(ret))
		_exit(DENIED);
	errno = -ret;
	CHECK(ret == 0);
	return t;
}

/* The end of every case. */
static void trace_close(struct trace *t)
{
	sleepwake_drain(t->sw);
	sleepwake_close(t->sw);
	CHECK(t->drains);
	CHECK(t->backwards == 0);
	CHECK(t->twice == 0);
	free(t->kept);
	free(t->state);
	free(t);
}

static void attach(struct trace *t, pid_t tid)
{
	int ret = sleepwake_attach(t->sw, tid);

	errno = -ret;
	CHECK(ret == 0);
}

/* How many records of @kind, of task @tid or of anyone (0). */
static unsigned count(const struct trace *t, enum sleepwake_kind kind, pid_t tid)
{
	unsigned n = 0;

	CHECK(t->n <= KEPT);
	for (unsigned i = 0; i < t->n; i++)
		n += t->kept[i].kind == kind && (!tid || t->kept[i].tid == tid);
	return n;
}

/* The first record of @kind and @tid, which has to be there. */
static const struct sleepwake_record *find(const struct trace *t, enum sleepwake_kind kind,
					   pid_t tid)
{
	for (unsigned i = 0; i < t->n && i < KEPT; i++)
		if (t->kept[i].kind == kind && t->kept[i].tid == tid)
			return &t->kept[i];
	fprintf(stderr, "no record of kind %d for %d among %llu\n", kind, tid,
		(unsigned long long)t->n);
	_exit(1);
}

/* Attach @c, let it do its work, and see all of it. */
static void observe(struct trace *t, struct child *c)
{
	attach(t, c->pid);
	child_go(c);
	CHECK(waitid(P_PID, c->pid, NULL, WEXITED | WNOWAIT) == 0);
	sleepwake_drain(t->sw);
}

/* ---- who does a case ---------------------------------------------------------- */

static struct who {
	const char *name;
	uid_t uid;
	gid_t gid;
	bool userns;
} whos[3];
static unsigned nwhos;

static void become(const struct who *w)
{
	if (getuid() != w->uid)
		CHECK(setgroups(0, NULL) == 0 && setresgid(w->gid, w->gid, w->gid) == 0 &&
		      setresuid(w->uid, w->uid, w->uid) == 0);
	/* What setresuid() took away; a guest kernel is dumpable to itself as well. */
	CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
	if (w->userns) {
		char map[32];

		CHECK(unshare(CLONE_NEWUSER) == 0);
		snprintf(map, sizeof(map), "0 %u 1\n", w->uid);
		CHECK(host_write_file(AT_FDCWD, "/proc/self/uid_map", map) == 0);
		CHECK(host_write_file(AT_FDCWD, "/proc/self/setgroups", "deny") == 0);
		snprintf(map, sizeof(map), "0 %u 1\n", w->gid);
		CHECK(host_write_file(AT_FDCWD, "/proc/self/gid_map", map) == 0);
	}
}

static void run_case(void (*body)(const struct who *))
{
	unsigned denied = 0;

	for (unsigned i = 0; i < nwhos; i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			become(&whos[i]);
			body(&whos[i]);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) == DENIED)
			denied++;
		else if (status)
			fail_msg("as %s: status %#x", whos[i].name, status);
	}
	if (denied == nwhos)
		skip();
}

static int setup(void **state)
{
	struct passwd *pw = NULL;
	uid_t uid = getuid();
	gid_t gid = getgid();

	if (uid == 0) {
		whos[nwhos++] = (struct who){ "root", 0, 0, false };
		pw = getpwnam("probeu");
		if (!pw)
			return 0;
		uid = pw->pw_uid;
		gid = pw->pw_gid;
	}
	whos[nwhos++] = (struct who){ "user", uid, gid, false };
	whos[nwhos++] = (struct who){ "user namespace", uid, gid, true };
	return 0;
}

/* ---- cases ----------------------------------------------------------------------- */

#define NAPS 200

static void read_naps(int in, struct report *rep)
{
	char byte;

	for (int i = 0; i < NAPS; i++)
		CHECK(read(in, &byte, 1) == 1);
}

/* As many sleeps, preemptions and runs as the host has counted. */
static void case_sleeps(const struct who *w)
{
	struct trace *t = trace_open(0);
	struct child c = child_start(read_naps);
	long naps, preempts, left;

	attach(t, c.pid);
	child_go(&c);
	for (int i = 0; i < NAPS; i++) {
		await_state(c.pid, 'S');
		child_go(&c);
	}
	CHECK(waitid(P_PID, c.pid, NULL, WEXITED | WNOWAIT) == 0);
	sleepwake_drain(t->sw);
	naps = c.report->end.ru_nvcsw - c.report->begin.ru_nvcsw;
	preempts = c.report->end.ru_nivcsw - c.report->begin.ru_nivcsw;
	CHECK(naps >= NAPS - 5 && naps <= NAPS + 5);
	/* Its end, after the last look at the counters, may be interrupted. */
	CHECK(count(t, SLEEPWAKE_SLEEP, c.pid) >= naps);
	CHECK(count(t, SLEEPWAKE_SLEEP, c.pid) <= naps + 1);
	CHECK(count(t, SLEEPWAKE_PREEMPT, c.pid) >= preempts);
	CHECK(count(t, SLEEPWAKE_PREEMPT, c.pid) <= preempts + 2);
	left = count(t, SLEEPWAKE_SLEEP, c.pid) + count(t, SLEEPWAKE_PREEMPT, c.pid);
	CHECK(count(t, SLEEPWAKE_RUN, c.pid) == left + 1);
	CHECK(count(t, SLEEPWAKE_EXIT, c.pid) == 1);
	CHECK(t->losses == 0);
	child_end(&c);
	trace_close(t);
}

static void fork_exec(int in, struct report *rep)
{
	pid_t pid;

	prctl(PR_SET_NAME, "a-name-of-15-ch");
	pid = fork();
	if (pid == 0) {
		execl("/bin/sleep", "sleep", "0.01", NULL);
		_exit(1);
	}
	rep->other = pid;
	CHECK(waitpid(pid, NULL, 0) == pid);
}

static void case_life(const struct who *w)
{
	struct trace *t = trace_open(0);
	struct child c = child_start(fork_exec);
	const struct sleepwake_record *born, *runs, *exec, *ends;
	pid_t other;

	observe(t, &c);
	other = c.report->other;
	CHECK(streq(find(t, SLEEPWAKE_COMM, c.pid)->comm, "a-name-of-15-ch"));
	born = find(t, SLEEPWAKE_FORK, other);
	CHECK(born->pid == other && born->ppid == c.pid && born->ptid == c.pid);
	runs = find(t, SLEEPWAKE_RUN, other);
	exec = find(t, SLEEPWAKE_EXEC, other);
	CHECK(exec->pid == other && streq(exec->comm, "sleep"));
	ends = find(t, SLEEPWAKE_EXIT, other);
	CHECK(ends->pid == other);
	CHECK(born < runs && runs < exec && exec < find(t, SLEEPWAKE_SLEEP, other));
	CHECK(exec < ends && ends < find(t, SLEEPWAKE_EXIT, c.pid));
	CHECK(count(t, SLEEPWAKE_FORK, 0) == 1 && count(t, SLEEPWAKE_EXIT, 0) == 2);
	child_end(&c);
	trace_close(t);
}

static void *nap_thread(void *arg)
{
	struct report *rep = arg;
	struct timespec ts = { .tv_nsec = 1000000 };

	rep->other = gettid_raw();
	for (int i = 0; i < 10; i++)
		nanosleep(&ts, NULL);
	return NULL;
}

static void start_thread(int in, struct report *rep)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, nap_thread, rep) == 0);
	pthread_join(thread, NULL);
}

static void case_threads(const struct who *w)
{
	struct trace *t = trace_open(0);
	struct child c = child_start(start_thread);
	const struct sleepwake_record *born;
	pid_t tid;

	observe(t, &c);
	tid = c.report->other;
	born = find(t, SLEEPWAKE_FORK, tid);
	CHECK(born->pid == c.pid && born->ppid == c.pid && born->ptid == c.pid);
	CHECK(count(t, SLEEPWAKE_SLEEP, tid) >= 10);
	CHECK(find(t, SLEEPWAKE_SLEEP, tid)->pid == c.pid);
	CHECK(find(t, SLEEPWAKE_EXIT, tid)->pid == c.pid);
	child_end(&c);
	trace_close(t);
}

static void spin_until_told(int in, struct report *rep)
{
	CHECK(fcntl(in, F_SETFL, O_NONBLOCK) == 0);
	for (char byte; read(in, &byte, 1) != 1;)
		rep->turns++;
}

/* No sleep is seen of a task that never does, and it costs little to watch it. */
static void case_busy(const struct who *w)
{
	struct trace *t = trace_open(0);
	struct child c = child_start(spin_until_told);
	uint64_t before;

	attach(t, c.pid);
	child_go(&c);
	while (c.report->turns == 0)
		sched_yield();
	usleep(500000);
	before = sleepwake_wakeups(t->sw);
	usleep(1000000);
	CHECK(sleepwake_wakeups(t->sw) - before <= 12);
	CHECK(sleepwake_wakeups(t->sw) - before >= 3);
	sleepwake_drain(t->sw);
	CHECK(count(t, SLEEPWAKE_SLEEP, c.pid) == 0);
	child_go(&c);
	child_end(&c);
	trace_close(t);
}

static void case_stopped(const struct who *w)
{
	struct trace *t = trace_open(0);
	struct child c = child_start(spin_until_told);
	unsigned runs;

	attach(t, c.pid);
	child_go(&c);
	while (c.report->turns == 0)
		sched_yield();
	CHECK(kill(c.pid, SIGSTOP) == 0);
	await_state(c.pid, 'T');
	do {
		sleepwake_drain(t->sw);
	} while (!count(t, SLEEPWAKE_SLEEP, c.pid));
	CHECK(count(t, SLEEPWAKE_SLEEP, c.pid) == 1);
	CHECK(t->state[c.pid] == 2);
	runs = count(t, SLEEPWAKE_RUN, c.pid);
	CHECK(kill(c.pid, SIGCONT) == 0);
	child_go(&c);
	CHECK(waitid(P_PID, c.pid, NULL, WEXITED | WNOWAIT) == 0);
	sleepwake_drain(t->sw);
	CHECK(count(t, SLEEPWAKE_RUN, c.pid) > runs);
	child_end(&c);
	trace_close(t);
}

#define BURST 100000	/* turns of two tasks, with at least two switches each */

/* Leaves in rep->turns how often the two have left their CPU. */
static void counted_pingpong(unsigned turns, struct report *rep)
{
	struct rusage own, kids;

	pingpong(turns, 0, 0, rep);
	getrusage(RUSAGE_SELF, &own);
	getrusage(RUSAGE_CHILDREN, &kids);
	rep->turns = own.ru_nvcsw - rep->begin.ru_nvcsw + own.ru_nivcsw - rep->begin.ru_nivcsw +
		     kids.ru_nvcsw + kids.ru_nivcsw;
}

static void burst(int in, struct report *rep)
{
	counted_pingpong(BURST, rep);
}

static void *drain_often(void *arg)
{
	struct trace *t = arg;

	for (int i = 0; i < 1000; i++) {
		sleepwake_drain(t->sw);
		usleep(100);
	}
	return NULL;
}

/* Nothing of a burst is lost, not even when others drain meanwhile. */
static void case_burst(const struct who *w)
{
	struct trace *t = trace_open(0);
	struct child c = child_start(burst);
	pthread_t thread[2];
	uint64_t left;

	for (unsigned i = 0; i < ARRAY_SIZE(thread); i++)
		CHECK(pthread_create(&thread[i], NULL, drain_often, t) == 0);
	observe(t, &c);
	for (unsigned i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_join(thread[i], NULL);
	CHECK(t->losses == 0);
	left = t->count[SLEEPWAKE_SLEEP] + t->count[SLEEPWAKE_PREEMPT];
	CHECK(left >= 2 * BURST);
	CHECK(left >= c.report->turns - 2 && left <= c.report->turns + 5);
	child_end(&c);
	trace_close(t);
}

static void small_burst(int in, struct report *rep)
{
	counted_pingpong(5000, rep);
}

/* An observer that is held up with a small ring tells how much it has missed. */
static void case_lost(const struct who *w)
{
	struct trace *t = trace_open(8192);
	struct child c = child_start(small_burst);
	uint64_t switches, told;
	sem_t hold;

	sem_init(&hold, 0, 0);
	t->hold = &hold;
	attach(t, c.pid);
	child_go(&c);
	CHECK(waitid(P_PID, c.pid, NULL, WEXITED | WNOWAIT) == 0);
	sem_post(&hold);
	sleepwake_drain(t->sw);
	CHECK(t->losses > 0);
	switches = c.report->turns;
	child_end(&c);
	/* The number comes with the next record of that CPU. */
	use_cpu(0);
	c = child_start(fork_exec);
	observe(t, &c);
	child_end(&c);
	told = t->lost + t->count[SLEEPWAKE_RUN] + t->count[SLEEPWAKE_SLEEP] +
	       t->count[SLEEPWAKE_PREEMPT];
	CHECK(t->lost > switches);
	CHECK(told >= 2 * switches && told <= 2 * switches + 200);
	trace_close(t);
}

static void *migrate(void *arg)
{
	for (int i = 0; i < 2000; i++)
		use_cpu(i & 1);
	return NULL;
}

static void two_cpus(int in, struct report *rep)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, migrate, NULL) == 0);
	pingpong(3000, 0, 1, rep);
	pthread_join(thread, NULL);
}

/* What the rings of two CPUs tell of one task fits together: see model(). */
static void case_order(const struct who *w)
{
	struct trace *t;
	struct child c;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return;
	t = trace_open(0);
	c = child_start(two_cpus);
	attach(t, c.pid);
	child_go(&c);
	/* As many drains as can be, so that many records lie at their borders. */
	while (waitid(P_PID, c.pid, NULL, WEXITED | WNOWAIT | WNOHANG) == 0 &&
	       task_state(c.pid) != 'Z')
		sleepwake_drain(t->sw);
	sleepwake_drain(t->sw);
	CHECK(t->losses == 0);
	CHECK(t->count[SLEEPWAKE_SLEEP] >= 3000);
	child_end(&c);
	trace_close(t);
}

static void sleep_until_told(int in, struct report *rep)
{
	char byte;

	CHECK(read(in, &byte, 1) == 1);
}

/* Return: when nothing has woken the observer for 300 ms. */
static uint64_t await_asleep(const struct trace *t)
{
	uint64_t n;

	do {
		n = sleepwake_wakeups(t->sw);
		usleep(300000);
	} while (sleepwake_wakeups(t->sw) != n);
	return n;
}

static void case_idle(const struct who *w)
{
	struct trace *t = trace_open(0);
	struct child c = child_start(sleep_until_told);
	uint64_t n;

	attach(t, c.pid);
	child_go(&c);
	n = await_asleep(t);
	usleep(1000000);
	CHECK(sleepwake_wakeups(t->sw) == n);
	/* A drain that finds something wakes it; one that finds nothing does not. */
	sleepwake_drain(t->sw);
	usleep(50000);
	CHECK(sleepwake_wakeups(t->sw) == n);
	child_go(&c);
	CHECK(waitid(P_PID, c.pid, NULL, WEXITED | WNOWAIT) == 0);
	CHECK(count(t, SLEEPWAKE_EXIT, c.pid) == 0);
	sleepwake_drain(t->sw);
	CHECK(count(t, SLEEPWAKE_EXIT, c.pid) == 1);
	CHECK(await_asleep(t) > n);
	child_end(&c);
	trace_close(t);
}

static void pingpong_when_told(int in, struct report *rep)
{
	char byte;

	CHECK(read(in, &byte, 1) == 1);
	pingpong(4000, 0, 0, rep);
	CHECK(read(in, &byte, 1) == 1);
}

/* A guest that becomes busy wakes an observer that sleeps. */
static void case_woken(const struct who *w)
{
	struct trace *t = trace_open(0);
	struct child c = child_start(pingpong_when_told);
	uint64_t n;

	attach(t, c.pid);
	child_go(&c);
	n = await_asleep(t);
	child_go(&c);
	while (sleepwake_wakeups(t->sw) == n)
		sched_yield();
	child_go(&c);
	child_end(&c);
	trace_close(t);
}

static unsigned descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	CHECK(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void nothing(int in, struct report *rep)
{
}

static void case_descriptors(const struct who *w)
{
	unsigned before = descriptors();
	struct trace *t = trace_open(0);
	unsigned rings = descriptors() - before, most = 0;
	struct child c;

	for (int i = 0; i < 500; i++) {
		c = child_start(nothing);
		attach(t, c.pid);
		child_go(&c);
		child_end(&c);
		most = MAX(most, descriptors());
	}
	CHECK(sleepwake_attach(t->sw, c.pid) == -ESRCH);
	CHECK(most < 900);	/* they are closed meanwhile, not only in the end */
	await_asleep(t);
	CHECK(descriptors() == before + rings);
	trace_close(t);
	CHECK(descriptors() == before);
}

static void leave_heir(int in, struct report *rep)
{
	pid_t pid = fork();

	if (pid == 0) {
		sem_wait(&rep->sem);
		prctl(PR_SET_NAME, "heir");
		_exit(0);
	}
	rep->other = pid;
}

/* What an attached task has left behind is observed when it is no more. */
static void case_heir(const struct who *w)
{
	unsigned before = descriptors(), rings;
	struct trace *t = trace_open(0);
	struct child c = child_start(leave_heir);
	struct report *rep = c.report;
	pid_t heir;

	rings = descriptors() - before;
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	attach(t, c.pid);
	child_go(&c);
	CHECK(waitpid(c.pid, NULL, 0) == c.pid);
	await_asleep(t);
	CHECK(count(t, SLEEPWAKE_EXIT, c.pid) == 1);
	heir = rep->other;
	sem_post(&rep->sem);
	CHECK(waitpid(heir, NULL, 0) == heir);
	sleepwake_drain(t->sw);
	CHECK(streq(find(t, SLEEPWAKE_COMM, heir)->comm, "heir"));
	CHECK(count(t, SLEEPWAKE_EXIT, heir) == 1);
	await_asleep(t);
	CHECK(descriptors() == before + rings);
	trace_close(t);
}

static char unreadable[] = "/tmp/weir-sleepwake-XXXXXX";

/* A program that its user may execute but not read, as a set-id program: the
 * host ends the observation of who executes it. */
static void exec_unreadable(int in, struct report *rep)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };
	char byte;

	CHECK(host_call(SYS_capset, &h, none) == 0);
	CHECK(fcntl(in, F_SETFD, 0) == 0 && dup2(in, 0) == 0);
	execl(unreadable, "sh", "-c", "read a; /bin/true; read b", NULL);
	CHECK(read(in, &byte, 1) == 1);
}

static void copy_shell(void)
{
	static char text[4 << 20];
	int fd = mkstemp(unreadable);
	ssize_t len;
	int sh = host_open("/bin/sh", O_RDONLY, 0);

	CHECK(fd >= 0 && sh >= 0);
	len = host_read(sh, text, sizeof(text));
	CHECK(len > 0 && host_write(fd, text, len) == len && fchmod(fd, 0111) == 0);
	close(fd);
	close(sh);
}

static void case_unreadable(const struct who *w)
{
	struct trace *t = trace_open(0);
	struct child c;
	unsigned forks;
	int ret;

	copy_shell();
	c = child_start(exec_unreadable);
	attach(t, c.pid);
	child_go(&c);
	do {
		sleepwake_drain(t->sw);
	} while (!count(t, SLEEPWAKE_EXIT, c.pid));
	CHECK(kill(c.pid, 0) == 0);
	ret = sleepwake_attach(t->sw, c.pid);
	CHECK(ret == (w->uid == 0 || w->userns ? 0 : -EACCES));
	forks = count(t, SLEEPWAKE_FORK, 0);
	CHECK(write(c.go, "\n", 1) == 1 && write(c.go, "\n", 1) == 1);
	child_end(&c);
	sleepwake_drain(t->sw);
	CHECK(unlink(unreadable) == 0);
	CHECK(count(t, SLEEPWAKE_FORK, 0) == forks + (ret == 0));
	CHECK(count(t, SLEEPWAKE_EXIT, c.pid) == 1 + (ret == 0));
	trace_close(t);
}

/* As many observers as the host lets one user have; the rings get smaller. */
static void case_memlock(const struct who *w)
{
	const struct rlimit none = { 0, 0 };
	unsigned before = descriptors(), n;
	struct sleepwake *sw[64];
	struct trace t = { 0 };
	struct sleepwake_config cfg = { .record = on_record, .ctx = &t };
	int ret = 0;

	if (w->uid == 0)
		return;
	CHECK(setrlimit(RLIMIT_MEMLOCK, &none) == 0);
	for (n = 0; n < ARRAY_SIZE(sw); n++) {
		ret = sleepwake_open(&cfg, &sw[n]);
		if (ret < 0)
			break;
	}
	if (ret == -EACCES)
		_exit(DENIED);
	CHECK(ret == -EPERM && n >= 2);
	for (unsigned i = 0; i < n; i++)
		sleepwake_close(sw[i]);
	CHECK(descriptors() == before);
	CHECK(sleepwake_open(&cfg, &sw[0]) == 0);
	sleepwake_close(sw[0]);
}

/* The end of the observer, while there is much to observe. */
static void case_close(const struct who *w)
{
	unsigned before = descriptors();
	struct child c = child_start(spin_until_told);

	child_go(&c);
	for (int i = 0; i < 50; i++) {
		struct trace *t = trace_open(0);

		attach(t, c.pid);
		usleep(i * 100);
		trace_close(t);
	}
	child_go(&c);
	child_end(&c);
	CHECK(descriptors() == before);
}

static void refuse_perf(uint32_t action)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	CHECK(ctx && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(seccomp_rule_add(ctx, action, SCMP_SYS(perf_event_open), 0) == 0);
	CHECK(seccomp_load(ctx) == 0);
	seccomp_release(ctx);
}

/* A host that does not let us. */
static void case_denied(const struct who *w)
{
	const int errors[] = { EACCES, EPERM, ENOSYS, ENOENT };
	unsigned before = descriptors();

	for (unsigned i = 0; i < ARRAY_SIZE(errors); i++) {
		struct sleepwake_config cfg = { .record = on_record };
		struct sleepwake *sw = NULL;
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			refuse_perf(SCMP_ACT_ERRNO(errors[i]));
			CHECK(sleepwake_open(&cfg, &sw) == -errors[i]);
			CHECK(sw == NULL && descriptors() == before);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
}

#define CASE(name)                                                                                 \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		run_case(case_##name);                                                             \
	}
#define CASES(X)                                                                                   \
	X(sleeps) X(life) X(threads) X(busy) X(stopped) X(burst) X(lost) X(order) X(idle) X(woken) \
	X(descriptors) X(heir) X(unreadable) X(memlock) X(close) X(denied)

CASES(CASE)

int main(void)
{
#define TEST(name) cmocka_unit_test(test_##name),
	const struct CMUnitTest tests[] = { CASES(TEST) };

	return cmocka_run_group_tests_name("sleepwake", tests, setup, NULL);
}
