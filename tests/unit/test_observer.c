/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_observer.c - when the observer wakes, and what it holds and lets go
 */
#include "sleepwake.h"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/util.h"

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

static void sleep_until_told(int in, struct report *rep)
{
	char byte;

	CHECK(read(in, &byte, 1) == 1);
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

static void ignore(void *ctx, const struct sleepwake_record *r)
{
}

/* Return: how many could be opened, and closed again; @ret_err is why no more. */
static unsigned open_many(int *ret_err)
{
	const struct sleepwake_config cfg = { .record = ignore };
	struct sleepwake *sw[64];
	unsigned n;

	for (n = 0; n < ARRAY_SIZE(sw); n++) {
		*ret_err = sleepwake_open(&cfg, &sw[n]);
		if (*ret_err < 0)
			break;
	}
	for (unsigned i = 0; i < n; i++)
		sleepwake_close(sw[i]);
	return n;
}

/* As many observers as the host lets one user have; the rings get smaller. Other
 * programs of the user's that observe have their part of it while they run. */
static void case_memlock(const struct who *w)
{
	const struct sleepwake_config cfg = { .record = ignore };
	const struct rlimit none = { 0, 0 };
	unsigned before = descriptors(), n = 0;
	struct sleepwake *sw;
	int ret = 0;

	if (w->uid == 0)
		return;
	CHECK(setrlimit(RLIMIT_MEMLOCK, &none) == 0);
	for (int i = 0; i < 40 && n < 2; i++) {
		if (i)
			usleep(250000);
		n = open_many(&ret);
		if (ret == -EACCES)
			_exit(DENIED);
	}
	CHECK(ret == -EPERM && n >= 2);
	CHECK(descriptors() == before);
	CHECK(sleepwake_open(&cfg, &sw) == 0);
	sleepwake_close(sw);
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
		struct sleepwake_config cfg = { .record = ignore };
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

/* It lets go of everything, sleeps meanwhile, and can be had again, as often as one likes. */
static void case_rest(const struct who *w)
{
	struct trace *t = trace_open(0);
	unsigned open = descriptors(), cpus = sleepwake_cpus(t->sw);

	for (int i = 0; i < 20; i++) {
		struct child c = child_start(sleep_until_told);
		unsigned seen;
		uint64_t n;

		attach(t, c.pid);
		sleepwake_detach(t->sw);
		sleepwake_rest(t->sw);
		CHECK(sleepwake_cpus(t->sw) == 0);
		n = sleepwake_wakeups(t->sw);
		seen = count(t, SLEEPWAKE_SLEEP, c.pid);
		child_go(&c);
		await_state(c.pid, 'S');
		sleepwake_drain(t->sw);
		CHECK(count(t, SLEEPWAKE_SLEEP, c.pid) == seen);
		CHECK(sleepwake_wakeups(t->sw) == n);
		CHECK(sleepwake_resume(t->sw) == 0);
		CHECK(sleepwake_cpus(t->sw) == cpus);
		attach(t, c.pid);
		child_go(&c);
		child_end(&c);
		sleepwake_drain(t->sw);
		CHECK(find(t, SLEEPWAKE_EXIT, c.pid));
		sleepwake_detach(t->sw);
	}
	CHECK(descriptors() == open);
	sleepwake_rest(t->sw);
	trace_close(t);
}

#define CASES(X) \
	X(rest) X(busy) X(idle) X(woken) X(descriptors) X(memlock) X(close) X(denied)

CASES(CASE)

/* With an argument: only the cases whose name it matches, as test_b*. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { CASES(TEST) };

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("observer", tests, whos_setup, NULL);
}
