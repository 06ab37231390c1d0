/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_trap.c - the trap door: answers, and how many threads give them
 *
 * A child lays a mask over itself and makes calls, we are the kernel. Child
 * and test share the descriptor table, so the listener needs no sending.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kernel/util.h"
#include "passthrough/hostcall.h"
#include "passthrough/mask.h"
#include "passthrough/trap.h"
#include "policy_text.h"

#define CALLERS 4
#define CALM_NS 400000000	/* a single caller calls for so long: 80 ticks of the watchdog */
#define PATIENCE_S 20		/* until what must happen has not */
#define SLOW_CALLS 200		/* one after the other: each moves the door's threads */

/* What acct(2) is trapped to; its first argument. */
enum { ASK_SEVEN = 7, ASK_ERROR, ASK_WORK, ASK_WAIT, ASK_SLOW, ASK_FREE };

struct page {
	_Atomic int listener;
	_Atomic bool go, stop;
	_Atomic int slow;	/* calls that have said so */
};

struct guest {
	struct policy *policy;
	struct lanes *lanes;
	struct mask mask;
	struct trap_counter *counter;
	struct door *door;
	struct page *page;
	pid_t pid;

	sem_t freed;
	_Atomic pid_t server[8];	/* threads that answered */
};

static void note_server(struct guest *g)
{
	pid_t me = gettid();

	for (size_t i = 0; i < ARRAY_SIZE(g->server); i++) {
		pid_t none = 0;

		if (atomic_load(&g->server[i]) == me ||
		    atomic_compare_exchange_strong(&g->server[i], &none, me))
			return;
	}
}

static unsigned servers(struct guest *g)
{
	unsigned n = 0;

	while (n < ARRAY_SIZE(g->server) && atomic_load(&g->server[n]))
		n++;
	return n;
}

static long handler(void *ctx, struct call *c)
{
	struct guest *g = ctx;
	uint64_t start = host_now();

	note_server(g);
	switch (c->arg[0]) {
	case ASK_SEVEN:
		return 7;
	case ASK_ERROR:
		return -EXDEV;
	case ASK_WORK:
		while (host_now() - start < 50000)
			;
		return 0;
	case ASK_WAIT:	/* slow, and does not say so */
		return host_result(sem_wait(&g->freed));
	case ASK_SLOW:	/* and says so */
		call_slow(c);
		atomic_fetch_add(&g->page->slow, 1);
		return host_result(sem_wait(&g->freed));
	default:
		return host_result(sem_post(&g->freed));
	}
}

static long ask(long what)
{
	return host_call(SYS_acct, what);
}

static void guest_start(struct guest *g, int (*fn)(struct guest *))
{
	struct policy_error err;
	struct door_config cfg;

	memset(g, 0, sizeof(*g));
	sem_init(&g->freed, 0, 0);
	g->policy = loaded("[syscalls]\n@known = pass\nacct = trap\n");
	if (lanes_build(g->policy, &g->lanes, &err) < 0 ||
	    mask_compile(g->lanes, &g->mask, &err) < 0)
		fail_msg("%s", err.text);
	g->counter = calloc(lanes_count(g->lanes), sizeof(*g->counter));
	g->page = mmap(NULL, sizeof(*g->page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	assert_true(g->page != MAP_FAILED);
	g->pid = host_call(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (g->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		atomic_store(&g->page->listener, mask_load(&g->mask));
		while (!atomic_load(&g->page->go))
			sched_yield();
		_exit(fn(g));
	}
	assert_true(g->pid > 0);
	while (!atomic_load(&g->page->listener))
		sched_yield();
	cfg = (struct door_config){
		.listener = atomic_load(&g->page->listener),
		.lanes = g->lanes,
		.counter = g->counter,
		.handler = handler,
		.ctx = g,
	};
	assert_true(cfg.listener > 0);
	assert_int_equal(door_open(&cfg, &g->door), 0);
	atomic_store(&g->page->go, true);
}

/* Return: the child's exit status. */
static int guest_end(struct guest *g)
{
	int status;

	assert_int_equal(waitpid(g->pid, &status, 0), g->pid);
	door_close(g->door);
	munmap(g->page, sizeof(*g->page));
	free(g->counter);
	mask_free(&g->mask);
	lanes_free(g->lanes);
	policy_free(g->policy);
	sem_destroy(&g->freed);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int asks_both(struct guest *g)
{
	return ask(ASK_SEVEN) == 7 && ask(ASK_ERROR) == -EXDEV ? 0 : 1;
}

static void test_answers(void **state)
{
	struct guest g;

	guest_start(&g, asks_both);
	assert_int_equal(guest_end(&g), 0);
}

static int calls_calmly(struct guest *g)
{
	uint64_t start = host_now();

	while (host_now() - start < CALM_NS)
		if (ask(ASK_SEVEN) != 7)
			return 1;
	return 0;
}

static unsigned servers_of_one_caller(void)
{
	struct guest g;
	unsigned n;

	/* Where the host takes the CPU away in the middle of a handler, that looks
	 * like a slow one. */
	for (int try = 0; try < 3; try++) {
		guest_start(&g, calls_calmly);
		assert_int_equal(guest_end(&g), 0);
		n = servers(&g);
		if (n == 1)
			break;
	}
	return n;
}

/* Two would take turns, at two context switches a call. */
static void test_one_caller_one_receiver(void **state)
{
	cpu_set_t old, one;

	assert_int_equal(servers_of_one_caller(), 1);
	assert_int_equal(sched_getaffinity(0, sizeof(old), &old), 0);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE && !CPU_COUNT(&one); cpu++)
		if (CPU_ISSET(cpu, &old))
			CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
	unsigned n = servers_of_one_caller();
	sched_setaffinity(0, sizeof(old), &old);
	assert_int_equal(n, 1);
}

static int calls_in_a_crowd(struct guest *g)
{
	for (int i = 1; i < CALLERS; i++)
		if (fork() == 0)
			break;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!atomic_load(&g->page->stop))
		ask(ASK_WORK);
	while (wait(NULL) > 0)
		;
	return 0;
}

static void test_crowd_has_more_receivers(void **state)
{
	uint64_t start = host_now();
	struct guest g;
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0 || CPU_COUNT(&cpus) < 2)
		skip();
	guest_start(&g, calls_in_a_crowd);
	while (servers(&g) < 2 && host_now() - start < PATIENCE_S * NSEC_PER_SEC)
		usleep(1000);
	atomic_store(&g.page->stop, true);
	assert_int_equal(guest_end(&g), 0);
	assert_true(servers(&g) >= 2);
}

static int waits_for_the_other(struct guest *g)
{
	alarm(PATIENCE_S);
	if (fork() == 0) {
		usleep(1000);
		_exit(ask(ASK_FREE) != 0);
	}
	return ask(ASK_WAIT) != 0;
}

static void test_slow_call_does_not_shut_the_door(void **state)
{
	struct guest g;

	guest_start(&g, waits_for_the_other);
	assert_int_equal(guest_end(&g), 0);
}

static int waits_often(struct guest *g)
{
	alarm(PATIENCE_S);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 0; i < SLOW_CALLS; i++) {
			while (atomic_load(&g->page->slow) <= i)
				sched_yield();
			if (ask(ASK_FREE) != 0)
				_exit(1);
		}
		_exit(0);
	}
	for (int i = 0; i < SLOW_CALLS; i++)
		if (ask(ASK_SLOW) != 0)
			return 1;
	return 0;
}

/* A parked thread that received again was still counted as parked: in the end the
 * door woke nobody and started none, and no call was received beside a slow one. */
static void test_parked_threads_that_receive_again(void **state)
{
	struct guest g;

	guest_start(&g, waits_often);
	assert_int_equal(guest_end(&g), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_one_caller_one_receiver),
		cmocka_unit_test(test_crowd_has_more_receivers),
		cmocka_unit_test(test_slow_call_does_not_shut_the_door),
		cmocka_unit_test(test_parked_threads_that_receive_again),
	};

	setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
	return cmocka_run_group_tests_name("trap", tests, NULL, NULL);
}
