/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sleepwake.h - tasks to observe, and a trace of what is told of them
 *
 * Each case is a process of its own that observes children of its own. Run as
 * root, every case is done as root, as the ordinary user "probeu", if there is
 * one, and as that user with a user namespace of its own, as a guest kernel
 * has; run as an ordinary user, as that user, without and with one.
 *
 * On every record that any case gets is checked: time does not go back, and a
 * task runs and leaves its CPU by turns.
 */
#ifndef TEST_SLEEPWAKE_H
#define TEST_SLEEPWAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "check.h"
#include "passthrough/sleepwake.h"

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

/* A child that sleeps until child_go(), then does @body and ends. */
struct child child_start(void (*body)(int in, struct report *rep));
void child_go(struct child *c);
void child_end(struct child *c);

char task_state(pid_t pid);
void await_state(pid_t pid, char state);
void use_cpu(int cpu);

/* Two tasks that wake each other @turns times over pipes; @cpu of each, or -1. */
void pingpong(unsigned turns, int cpu1, int cpu2, struct report *rep);

/* A body: runs until child_go(); counts in rep->turns. */
void spin_until_told(int in, struct report *rep);

/* ---- the observer ------------------------------------------------------------ */

#define KEPT 65536
#define MAX_PID (4 << 20)	/* the host's largest */

struct trace {
	struct sleepwake *sw;
	pthread_mutex_t lock;		/* the fields below, while sw is open */
	struct sleepwake_record *kept;	/* the first KEPT of them */
	uint64_t n, drains;
	uint64_t count[SLEEPWAKE_LOST + 1];
	uint64_t lost, losses;
	uint64_t last_ns;
	uint64_t backwards;	/* time went back */
	uint64_t twice;		/* ran while it ran, left while it did not */
	uint8_t *state;		/* by tid: 0 not known, 1 runs, 2 does not */
	sem_t *hold;		/* the handler waits for it once; set before the first record */
};

/* An observer with the usual or forced rings; ends the case where the host does
 * not allow any. */
struct trace *trace_open(size_t ring_bytes);
void trace_close(struct trace *t);

void attach(struct trace *t, pid_t tid);

/* Attach @c, let it do its work, and see all of it. */
void observe(struct trace *t, struct child *c);

/* How many records of @kind, of task @tid or of anyone (0). */
unsigned count(struct trace *t, enum sleepwake_kind kind, pid_t tid);

/* The first record of @kind and @tid, which has to be there. */
const struct sleepwake_record *find(struct trace *t, enum sleepwake_kind kind, pid_t tid);
/* The same, behind @after. */
const struct sleepwake_record *find_after(struct trace *t, const struct sleepwake_record *after,
					  enum sleepwake_kind kind, pid_t tid);

/* Does @tid run, as far as it is known? */
bool is_running(struct trace *t, pid_t tid);

/* Return: the observer's wake-ups, when there have been none for 300 ms. */
uint64_t await_asleep(const struct trace *t);

unsigned descriptors(void);

/* ---- who does a case ---------------------------------------------------------- */

struct who {
	const char *name;
	uid_t uid;
	gid_t gid;
	bool userns;
};

enum { DENIED = 77 };	/* status of a case that the host lets nobody do */

int whos_setup(void **state);
void run_case(void (*body)(const struct who *));

#define CASE(name)                                                                                 \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		run_case(case_##name);                                                             \
	}
#define TEST(name) cmocka_unit_test(test_##name),

#endif
