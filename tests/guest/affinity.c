/* SPDX-License-Identifier: Apache-2.0 */
/* affinity.c - CPU affinity of self, a child, a stranger; sizes and bad masks */
#include <grp.h>
#include <sched.h>

#include "t.h"

static void stranger(void)
{
	cpu_set_t set;

	need("setgroups", setgroups(0, NULL));
	need("setresgid", setresgid(1000, 1000, 1000));
	need("setresuid", setresuid(1000, 1000, 1000));
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	say("uid 1000 sets pid 1's", sched_setaffinity(1, sizeof(set), &set));
	say("uid 1000 reads pid 1's", sched_getaffinity(1, sizeof(set), &set) == -1 ? -1 : 0);
}

int main(void)
{
	cpu_set_t all, one, got;
	unsigned long words[16];
	pid_t child;
	int cpu = 0;

	need("sched_getaffinity", sched_getaffinity(0, sizeof(all), &all));
	check("there is a CPU", CPU_COUNT(&all) > 0);
	check("as many as sysconf says or fewer", CPU_COUNT(&all) <= sysconf(_SC_NPROCESSORS_CONF));
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	say("set to one CPU", sched_setaffinity(0, sizeof(one), &one));
	say("read it", sched_getaffinity(0, sizeof(got), &got));
	check("it is that CPU", CPU_EQUAL(&one, &got));
	check("getcpu agrees", sched_getcpu() == cpu);
	child = need("fork", fork());
	if (child == 0) {
		pause();
		_exit(0);
	}
	sched_getaffinity(child, sizeof(got), &got);
	check("a child inherits it", CPU_EQUAL(&one, &got));
	say("set the child's to all", sched_setaffinity(child, sizeof(all), &all));
	sched_getaffinity(child, sizeof(got), &got);
	check("the child has all", CPU_EQUAL(&all, &got));
	sched_getaffinity(0, sizeof(got), &got);
	check("the parent has one still", CPU_EQUAL(&one, &got));
	say("by thread id of self", sched_setaffinity(getpid(), sizeof(all), &all));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	say("of a pid that is gone", sched_setaffinity(child, sizeof(all), &all));
	say("of a pid that never was", sched_getaffinity(99999999, sizeof(all), &all));
	say("of a negative pid", sched_getaffinity(-5, sizeof(all), &all));
	CPU_ZERO(&one);
	say("an empty mask", sched_setaffinity(0, sizeof(one), &one));
	say("a mask too small", syscall(SYS_sched_getaffinity, 0, 0, words));
	say("a mask of odd size", syscall(SYS_sched_getaffinity, 0, 9, words));
	say("a big mask", syscall(SYS_sched_getaffinity, 0, sizeof(words), words) == -1 ? -1 : 0);
	say("a bad pointer to set", syscall(SYS_sched_setaffinity, 0, 128, 1L));
	say("a bad pointer to get", syscall(SYS_sched_getaffinity, 0, 128, 1L));
	if (other_id() > 0)
		in_child(stranger);
	return t_failed;
}
