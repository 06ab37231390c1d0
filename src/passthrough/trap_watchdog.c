/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap_watchdog.c - sees to it that the trap doors are never shut
 *
 * One thread for all doors, asleep while no calls come in. A call that is slow
 * without having said so, or more callers than the receivers can answer, must
 * not hold up the others: it then lets more threads of the door receive, for a
 * while. A single caller never needs a second receiver, and would pay for it.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "kernel/util.h"
#include "passthrough/hostcall.h"
#include "passthrough/trap_impl.h"

#define WATCHDOG_STACK 65536
#define WATCHDOG_TICK_NS 5000000	/* while calls come in */
#define WATCHDOG_QUIET 40		/* ticks without a call until it sleeps */
#define WATCHDOG_QUEUE 3		/* ticks with callers queued until one more thread */
#define WATCHDOG_CROWD 4		/* callers take turns: one call of so many is another's */
#define WATCHDOG_BOOST 20		/* ticks that an added thread stays */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool started;
	_Atomic bool asleep;
	struct door *doors;
	uint64_t calls;		/* of doors that are closed */
} watchdog = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

void trap_watchdog_wake(void)
{
	if (!atomic_load_explicit(&watchdog.asleep, memory_order_relaxed))
		return;
	pthread_mutex_lock(&watchdog.lock);
	atomic_store(&watchdog.asleep, false);
	pthread_cond_signal(&watchdog.wake);
	pthread_mutex_unlock(&watchdog.lock);
}

/* Callers that nobody has received yet. */
static bool has_queue(const struct door *d)
{
	struct pollfd p = { .fd = d->cfg.listener, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

static int usable_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return sysconf(_SC_NPROCESSORS_ONLN);
	return CPU_COUNT(&set);
}

/* Return: was there any call since the last look? */
static bool look_at(struct door *d)
{
	uint64_t serial = atomic_load(&d->serial), turns = atomic_load(&d->turns);
	uint64_t calls = serial - d->last_serial;
	bool busy = calls > 0, queue = has_queue(d);
	/* A single caller whose call is just being handed over looks like a queue,
	 * too; a second receiver would only cost it two context switches a call. */
	bool crowd = queue && (turns - d->last_turns) * WATCHDOG_CROWD >= calls;
	/* On a busy host a receiver may just not have had its turn. */
	bool held_up = queue && !busy && serial != atomic_load(&d->handled);

	d->queued = crowd ? d->queued + 1 : 0;
	if (held_up) {
		/* Nothing was received for a tick, since a handler takes long. Each
		 * tick lets one more thread receive beside it. */
		if (atomic_load(&d->wanted) < DOOR_MAX_THREADS - DOOR_MAX_PARKED)
			atomic_fetch_add(&d->wanted, 1);
		d->boosted = WATCHDOG_BOOST;
	} else if (d->queued >= WATCHDOG_QUEUE && atomic_load(&d->wanted) < usable_cpus()) {
		atomic_fetch_add(&d->wanted, 1);
		d->queued = 0;
		d->boosted = WATCHDOG_BOOST;
	} else if (d->boosted && --d->boosted == 0) {
		atomic_store(&d->wanted, 1);
	}
	if (atomic_load(&d->receivers) < atomic_load(&d->wanted))
		door_fill_place(d);
	d->last_serial = serial;
	d->last_turns = turns;
	return busy || queue || d->boosted;
}

static void *watchdog_thread(void *arg)
{
	struct timespec tick = { .tv_nsec = WATCHDOG_TICK_NS };
	unsigned quiet = 0;

	pthread_mutex_lock(&watchdog.lock);
	for (;;) {
		bool any = false;

		for (struct door *d = watchdog.doors; d; d = d->next)
			any |= look_at(d);
		quiet = any ? 0 : quiet + 1;
		if (quiet >= WATCHDOG_QUIET) {
			atomic_store(&watchdog.asleep, true);
			while (atomic_load(&watchdog.asleep))
				pthread_cond_wait(&watchdog.wake, &watchdog.lock);
			quiet = 0;
		}
		pthread_mutex_unlock(&watchdog.lock);
		nanosleep(&tick, NULL);
		pthread_mutex_lock(&watchdog.lock);
	}
	return NULL;
}

int trap_watchdog_add(struct door *d)
{
	int ret = 0;

	pthread_mutex_lock(&watchdog.lock);
	if (!watchdog.started) {
		ret = host_thread(NULL, WATCHDOG_STACK, watchdog_thread, NULL);
		watchdog.started = ret == 0;
	}
	d->next = watchdog.doors;
	watchdog.doors = d;
	pthread_mutex_unlock(&watchdog.lock);
	return ret;
}

void trap_watchdog_remove(struct door *d)
{
	struct door **pp;

	pthread_mutex_lock(&watchdog.lock);
	for (pp = &watchdog.doors; *pp && *pp != d; pp = &(*pp)->next)
		;
	if (*pp) {
		*pp = d->next;
		watchdog.calls += atomic_load(&d->serial);
	}
	pthread_mutex_unlock(&watchdog.lock);
}

/* POLLIN: there is one that nobody has received; POLLOUT: one that has no answer yet. */
static bool is_idle(const struct door *d)
{
	struct pollfd p = { .fd = d->cfg.listener, .events = POLLIN | POLLOUT };

	return poll(&p, 1, 0) == 0 || !(p.revents & (POLLIN | POLLOUT));
}

bool door_all_idle(void)
{
	bool idle = true;

	pthread_mutex_lock(&watchdog.lock);
	for (struct door *d = watchdog.doors; d && idle; d = d->next)
		idle = is_idle(d);
	pthread_mutex_unlock(&watchdog.lock);
	return idle;
}

uint64_t door_all_calls(void)
{
	uint64_t calls;

	pthread_mutex_lock(&watchdog.lock);
	calls = watchdog.calls;
	for (const struct door *d = watchdog.doors; d; d = d->next)
		calls += atomic_load(&d->serial);
	pthread_mutex_unlock(&watchdog.lock);
	return calls;
}
