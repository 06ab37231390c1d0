/* SPDX-License-Identifier: Apache-2.0 */
/* sched.c - policies, priorities, sched_setattr, nice */
#include <sched.h>
#include <sys/resource.h>

#include "t.h"

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

int main(void)
{
	struct sched_param p = { 0 };
	struct attr a = { .size = sizeof(a) };
	struct timespec ts;

	say_number("policy", sched_getscheduler(0));
	say("to BATCH", sched_setscheduler(0, SCHED_BATCH, &p));
	say_number("policy", sched_getscheduler(0));
	say("to IDLE", sched_setscheduler(0, SCHED_IDLE, &p));
	say("back to OTHER", sched_setscheduler(0, SCHED_OTHER, &p));
	p.sched_priority = 10;
	say("to OTHER with a priority", sched_setscheduler(0, SCHED_OTHER, &p));
	say("to FIFO", sched_setscheduler(0, SCHED_FIFO, &p));
	say("to an unknown policy", sched_setscheduler(0, 77, &p));
	say("of nobody", sched_setscheduler(99999999, SCHED_OTHER, &p));
	say("bad pointer", syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, 1L));
	say("sched_getparam", sched_getparam(0, &p));
	p.sched_priority = 0;
	say("sched_setparam", sched_setparam(0, &p));
	say("sched_getattr", syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0));
	a.nice = 5;
	say("sched_setattr nice 5", syscall(SYS_sched_setattr, 0, &a, 0));
	fact("nice", "%d", getpriority(PRIO_PROCESS, 0));
	a.size = 4;
	say("sched_setattr of a bad size", syscall(SYS_sched_setattr, 0, &a, 0));
	say("sched_setattr of a bad pointer", syscall(SYS_sched_setattr, 0, 1L, 0));
	say("nice up", setpriority(PRIO_PROCESS, 0, 10));
	say("nice down", setpriority(PRIO_PROCESS, 0, -5));
	say("rr interval", sched_rr_get_interval(0, &ts));
	say_number("max FIFO priority", sched_get_priority_max(SCHED_FIFO));
	say("yield", sched_yield());
	return t_failed;
}
