/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loadavg.c - the guest's load averages
 */
#include "kernel/sched/loadavg.h"

#include "kernel/util.h"

/* exp(-5/60), exp(-5/300), exp(-5/900): EXP_1, EXP_5 and EXP_15 of the kernel
 * (include/linux/sched/loadavg.h), which has them in 11 bits. */
static const double decay[3] = { 0.9200444146293233, 0.9834714538216175, 0.9944598480048967 };

void loadavg_init(struct loadavg *la, uint64_t now_ns)
{
	*la = (struct loadavg){ .start_ns = now_ns, .last_ns = now_ns };
}

static double power(double x, uint64_t n)
{
	double r = 1;

	for (; n; n >>= 1, x *= x)
		if (n & 1)
			r *= x;
	return r;
}

/* @periods of 5 s with @n tasks each. */
static void fold(struct loadavg *la, double n, uint64_t periods)
{
	for (size_t i = 0; i < ARRAY_SIZE(decay); i++) {
		double e = power(decay[i], periods);

		la->avg[i] = la->avg[i] * e + n * (1 - e);
	}
}

void loadavg_advance(struct loadavg *la, unsigned n, uint64_t now_ns)
{
	uint64_t end = la->start_ns + LOADAVG_PERIOD_NS, whole;

	if (now_ns <= la->last_ns)
		return;
	if (now_ns < end) {
		la->area += (double)n * (now_ns - la->last_ns);
		la->last_ns = now_ns;
		return;
	}
	la->area += (double)n * (end - la->last_ns);
	fold(la, la->area / LOADAVG_PERIOD_NS, 1);
	whole = (now_ns - end) / LOADAVG_PERIOD_NS;
	fold(la, n, whole);
	la->start_ns = end + whole * LOADAVG_PERIOD_NS;
	la->area = (double)n * (now_ns - la->start_ns);
	la->last_ns = now_ns;
}
