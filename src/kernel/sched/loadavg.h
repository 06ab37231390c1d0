/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loadavg.h - the guest's load averages
 *
 * The kernel's: every 5 s, load = load * e + n * (1 - e), with e so that a
 * minute, 5 and 15 make the weight of the past 1/exp(1) (kernel/sched/loadavg.c).
 * Where the kernel samples n, we have the mean over the 5 s, since every change
 * is known. Nobody has to wake up for it: what has passed is made up for when
 * somebody looks.
 */
#ifndef WEIR_KERNEL_LOADAVG_H
#define WEIR_KERNEL_LOADAVG_H

#include <stdint.h>

#define LOADAVG_PERIOD_NS UINT64_C(5000000000)

struct loadavg {
	double avg[3];		/* 1, 5, 15 minutes, up to the last full period */
	uint64_t start_ns;	/* of the current period */
	uint64_t last_ns;	/* up to here n is in area */
	double area;		/* of n over the current period, in tasks * ns */
};

void loadavg_init(struct loadavg *la, uint64_t now_ns);

/* @n tasks ran or wanted to, from the last call until @now_ns. An earlier time
 * than the last is the last. */
void loadavg_advance(struct loadavg *la, unsigned n, uint64_t now_ns);

#endif
