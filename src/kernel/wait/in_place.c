/* SPDX-License-Identifier: Apache-2.0 */
/*
 * in_place.c - a time of the host's in the program's own memory, for a moment
 *
 * For a task that cannot be redirected: a debugger has it, or the host forbids it.
 * Its memory is changed, and changed back as soon as the host has read it. What
 * does not let itself be written waits by the host's clock.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "kernel/log.h"
#include "kernel/syscall.h"
#include "kernel/time/timekeeper.h"
#include "kernel/wait/deadline.h"
#include "passthrough/hostcall.h"

#define LOOKS 400
#define LOOKS_AT_ONCE 20
#define LOOK_NS 50000

/* Held while a time of the host's is in some program's memory: the program may be
 * at its next call with it already, or another thread of its. */
static pthread_mutex_t in_place = PTHREAD_MUTEX_INITIALIZER;

/* Has the task got past reading its arguments? */
static bool sleeps(pid_t tid)
{
	char path[48], text[512], *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return true;
	state = strrchr(text, ')');
	return !state || state[2] != 'R';
}

int deadline_read(struct kernel *k, struct call *c, int arg, void *to, size_t len)
{
	int ret;

	if (pthread_mutex_trylock(&in_place) != 0) {
		call_slow(c);
		pthread_mutex_lock(&in_place);
	}
	ret = arg_copy_in(c, arg, to, len);
	pthread_mutex_unlock(&in_place);
	return ret;
}

long deadline_in_place(struct kernel *k, struct call *c, int arg, const int64_t *time,
		       unsigned words)
{
	struct timespec nap = { .tv_nsec = LOOK_NS };
	size_t bytes = words * sizeof(*time);
	int64_t was[4], is[4];

	atomic_fetch_add(&k->time->count.in_place, 1);
	call_continue(c, "the host reads the time that was put into the program's memory for it");
	call_slow(c);
	pthread_mutex_lock(&in_place);
	if (arg_copy_in(c, arg, was, bytes) == 0 && arg_copy_out(c, arg, time, bytes) == 0) {
		call_answer(c, 0);
		for (int i = 0; i < LOOKS && !sleeps(c->tid); i++)
			if (i > LOOKS_AT_ONCE)
				nanosleep(&nap, NULL);
		if (copy_from_guest(c->tid, is, uaddr(c->arg[arg]), bytes) == 0 &&
		    memcmp(is, time, bytes) == 0)
			copy_to_guest(c->tid, uaddr(c->arg[arg]), was, bytes);
	} else {
		log_debug("time: task %d waits by the host's clock: its time cannot be written", c->tid);
	}
	pthread_mutex_unlock(&in_place);
	return 0;
}
