/* SPDX-License-Identifier: Apache-2.0 */
/*
 * monitor.h - who watches over one guest: the process of `weir run`
 *
 * It forks the guest kernel, maps its ids, builds its mask, carries the
 * terminal and signals, and, when the kernel has ended in whatever way, waits
 * until no process of the guest is left.
 */
#ifndef WEIR_MONITOR_H
#define WEIR_MONITOR_H

#include <stdbool.h>
#include <sys/types.h>

#include "kernel/guest.h"
#include "mconsole_serve.h"
#include "state.h"
#include "terminal.h"

struct monitor {
	struct guest_config cfg;	/* what the kernel is given */
	struct guest_mask *mask;	/* shared with it */
	struct state state;

	struct mconsole mconsole;
	struct terminal term;
	int signals;		/* signalfd */
	int kernel_sock;	/* our end; -1 when the kernel is gone */
	pid_t kernel;
	int up;			/* -d: write end that tells the command we are up; -1 */
	bool asked;		/* a signal asked the guest to end once already */
	enum guest_end end;
	int status;
};

/* Room for the mask that every process of the guest will see; before the first
 * life. Return: 0 or a negative errno. */
int monitor_share_mask(struct monitor *m);

/* Take the signals that a guest is to hear of; before the first life. */
void monitor_init_signals(struct monitor *m);

/**
 * monitor_run() - One life of the guest, m->end and m->status say how it ended
 *
 * Return: 0, or an exit status if it could not be had.
 */
int monitor_run(struct monitor *m);

#endif
