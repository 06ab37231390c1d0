/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap_impl.h - inside the trap door: the threads (trap.c) and the watchdog
 * over them (trap_watchdog.c)
 */
#ifndef WEIR_PASSTHROUGH_TRAP_IMPL_H
#define WEIR_PASSTHROUGH_TRAP_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "passthrough/trap.h"

#define DOOR_MAX_THREADS 256
#define DOOR_MAX_PARKED 2

struct door {
	struct door_config cfg;
	bool sync_wakeup;
	_Atomic bool stopping;
	_Atomic uint64_t serial;	/* calls received */
	_Atomic uint64_t handled;	/* of them, no longer with a receiver's handler */
	_Atomic uint64_t turns;		/* of them, from another caller than the one before */
	_Atomic pid_t last_tid;
	_Atomic int receivers, wanted;

	pthread_mutex_t lock;	/* the fields below */
	pthread_cond_t ended;	/* nthreads fell */
	pthread_cond_t unpark;
	unsigned nthreads, nparked;
	pthread_t thread[DOOR_MAX_THREADS];

	/* the watchdog's */
	struct door *next;
	uint64_t last_serial, last_turns;
	unsigned queued, boosted;
};

/* A receiver is missing: wake a parked thread or start one. */
void door_fill_place(struct door *d);

/* Return: 0, or why there is no watchdog; then the door is not watched. */
int trap_watchdog_add(struct door *d);
void trap_watchdog_remove(struct door *d);

/* A call came in: be awake. Cheap when it is; not async-signal-safe. */
void trap_watchdog_wake(void);

#endif
