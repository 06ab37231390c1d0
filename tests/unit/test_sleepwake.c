/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_sleepwake.c - what the observer tells against what the host counted
 *
 * Ground truth is getrusage(2): ru_nvcsw is how often a task slept, ru_nivcsw
 * how often it was preempted.
 */
#include "sleepwake.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define NAPS 200

static void read_naps(int in, struct report *rep)
{
	char byte;

	for (int i = 0; i < NAPS; i++)
		CHECK(read(in, &byte, 1) == 1);
}

/* The counters of a child's whole life, once it has ended; it is left to be waited for. */
static struct rusage life(pid_t pid)
{
	struct rusage ru;

	CHECK(host_call(SYS_waitid, P_PID, pid, NULL, WEXITED | WNOWAIT, &ru) == 0);
	return ru;
}

/* As many sleeps, preemptions and runs as the host has counted. */
static void case_sleeps(const struct who *w)
{
	struct trace *t = trace_open(0);
	struct child c = child_start(read_naps);
	long naps, preempts, left;
	struct rusage whole;

	attach(t, c.pid);
	child_go(&c);
	for (int i = 0; i < NAPS; i++) {
		await_state(c.pid, 'S');
		child_go(&c);
	}
	whole = life(c.pid);
	sleepwake_drain(t->sw);
	naps = c.report->end.ru_nvcsw - c.report->begin.ru_nvcsw;
	preempts = c.report->end.ru_nivcsw - c.report->begin.ru_nivcsw;
	CHECK(naps >= NAPS - 5 && naps <= NAPS + 5);
	/* Its end, after the last look at the counters, may be interrupted. */
	CHECK(count(t, SLEEPWAKE_SLEEP, c.pid) >= naps);
	CHECK(count(t, SLEEPWAKE_SLEEP, c.pid) <= naps + 1);
	CHECK(count(t, SLEEPWAKE_PREEMPT, c.pid) >= preempts);
	/* And before its first look: from where it was attached to. */
	preempts = whole.ru_nivcsw - c.report->begin.ru_nivcsw;
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
	CHECK(born < runs && runs < exec);
	/* It may also have waited for a page or a lock on its way there. */
	CHECK(find_after(t, exec, SLEEPWAKE_SLEEP, other) < ends);
	CHECK(exec < ends && ends < find(t, SLEEPWAKE_EXIT, c.pid));
	CHECK(count(t, SLEEPWAKE_FORK, 0) == 1 && count(t, SLEEPWAKE_EXIT, 0) == 2);
	child_end(&c);
	trace_close(t);
}

static void *nap_thread(void *arg)
{
	struct report *rep = arg;
	struct timespec ts = { .tv_nsec = 1000000 };

	rep->other = host_call(SYS_gettid);
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
	CHECK(!is_running(t, c.pid));
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

/* Return: was all of a burst seen? */
static bool see_burst(void)
{
	struct trace *t = trace_open(0);
	struct child c = child_start(burst);
	pthread_t thread[2];
	uint64_t left, turns;
	bool whole;

	for (unsigned i = 0; i < ARRAY_SIZE(thread); i++)
		CHECK(pthread_create(&thread[i], NULL, drain_often, t) == 0);
	observe(t, &c);
	for (unsigned i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_join(thread[i], NULL);
	left = t->count[SLEEPWAKE_SLEEP] + t->count[SLEEPWAKE_PREEMPT];
	turns = c.report->turns;
	whole = t->losses == 0;
	/* The host counts a little of each task's end that it does not report, and
	 * reports what follows the last look at the counters. */
	if (whole && (left < 2 * BURST || left + 20 < turns || left > turns + 20)) {
		fprintf(stderr, "%llu reported of %llu\n", (unsigned long long)left,
			(unsigned long long)turns);
		_exit(1);
	}
	child_end(&c);
	trace_close(t);
	return whole;
}

/*
 * Nothing of a burst is lost, not even when others drain meanwhile; unless the
 * host is so busy that nobody who would drain gets a CPU for 17 ms.
 */
static void case_burst(const struct who *w)
{
	bool whole = false;

	for (int i = 0; i < 10 && !whole; i++)
		whole = see_burst();
	CHECK(whole);
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

#define CASES(X) \
	X(sleeps) X(life) X(threads) X(stopped) X(burst) X(lost) X(order) X(heir) X(unreadable)

CASES(CASE)

/* With an argument: only the cases whose name it matches, as test_b*. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { CASES(TEST) };

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("sleepwake", tests, whos_setup, NULL);
}
