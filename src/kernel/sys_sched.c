/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_sched.c - scheduling and resource limits of guest tasks
 *
 * The pid of these calls is one of the caller's pid namespace, and the host's
 * permission checks look at the caller's ids: an act inside the guest's pid
 * namespace has both right. "Myself" is named by number, since the process
 * that acts is another.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "kernel/cleanup.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

/* struct sched_attr may grow; the host takes up to a page, sched_setattr(2) */
#define SCHED_ATTR_MAX 4096
#define CPU_MASK_MAX 1024	/* bytes: 8192 CPUs */

static long act_on_pid(struct kernel *k, struct call *c, struct act *act)
{
	struct caller who;
	long ret = caller_open(k, c, -1, &who);

	if (ret < 0)
		return ret;
	act->kind = ACT_CALL_PID;
	act->arg[0] = arg_int(c, 0) ? (uint64_t)arg_int(c, 0) : (uint64_t)who.guest_tid;
	caller_act(&who, act);
	ret = agent_act(&k->agent, act);
	caller_close(&who);
	return ret;
}

/* The host's id of the thread that a call of ours has just been about. */
static pid_t target_tid(struct kernel *k, const struct call *c)
{
	return arg_int(c, 0) ? sched_host_tid(k, arg_int(c, 0)) : c->tid;
}

/* The host checks the caller's rights over the other, and does it; then the
 * scheduler hears of it, so that it never gives the task more. */
long sys_sched_setaffinity(struct kernel *k, struct call *c)
{
	uint32_t len = MIN(arg_u32(c, 1), (uint32_t)CPU_MASK_MAX);
	char mask[CPU_MASK_MAX] = {}, host[CPU_MASK_MAX];
	struct act act = { .nr = SYS_sched_setaffinity, .out_arg = -1 };
	const cpu_set_t *set = (const cpu_set_t *)mask;
	int ret = arg_copy_in(c, 2, mask, len);
	bool any;

	if (ret < 0)
		return ret;
	/* Of none of our CPUs the host says what it says of an empty set. */
	any = sched_host_set(k, set, sizeof(mask), host, sizeof(host));
	act.arg[1] = sizeof(host);
	act.ptr[2] = host;
	act.len[2] = sizeof(host);
	ret = act_on_pid(k, c, &act);
	if (ret == 0 && any)
		sched_set_affinity(k, target_tid(k, c), set, sizeof(mask));
	return ret;
}

/* A task that the scheduler has not heard of yet: if the host has it, nobody has
 * taken a CPU from it. */
static int new_task_affinity(struct kernel *k, struct call *c, cpu_set_t *ret, size_t size)
{
	char mask[CPU_MASK_MAX] = {};
	struct act act = {
		.nr = SYS_sched_getaffinity, .arg = { 0, sizeof(mask) },
		.ptr[2] = mask, .len[2] = sizeof(mask), .out_arg = -1,
	};
	long n = act_on_pid(k, c, &act);

	for (unsigned i = 0; n >= 0 && i < sched_nvcpus(k); i++)
		CPU_SET_S(i, size, ret);
	return MIN(n, 0);
}

/* In the guest's numbers, and as long as a set of its CPUs has to be. Any task
 * may ask about any other that it sees. */
long sys_sched_getaffinity(struct kernel *k, struct call *c)
{
	uint32_t len = MIN(arg_u32(c, 1), (uint32_t)CPU_MASK_MAX);
	unsigned ncpus = sched_nvcpus(k);
	size_t need = (ncpus + 63) / 64 * sizeof(uint64_t);
	char mask[CPU_MASK_MAX] = {};
	pid_t tid;
	int ret;

	if ((len & (sizeof(long) - 1)) || len * 8 < ncpus)
		return -EINVAL;
	tid = target_tid(k, c);
	ret = tid < 0 ? tid : sched_get_affinity(k, tid, (cpu_set_t *)mask, sizeof(mask));
	if (ret == -ESRCH && arg_int(c, 0) > 0)
		ret = new_task_affinity(k, c, (cpu_set_t *)mask, sizeof(mask));
	if (ret == 0)
		ret = arg_copy_out(c, 2, mask, need);
	return ret < 0 ? ret : (long)need;
}

/* getcpu(cpu, node, unused): the call, not the vDSO's function, which the host
 * answers without being asked. */
long sys_getcpu(struct kernel *k, struct call *c)
{
	int cpu = sched_cpu_of(k, c->tid), ret = 0;
	unsigned value[] = { MAX(cpu, 0), 0 };

	for (int i = 0; i < 2 && ret == 0; i++)
		if (c->arg[i])
			ret = arg_copy_out(c, i, &value[i], sizeof(value[i]));
	return ret;
}

long sys_sched_setscheduler(struct kernel *k, struct call *c)
{
	struct sched_param param;
	struct act act = { .nr = SYS_sched_setscheduler, .out_arg = -1 };
	int ret;

	if (arg_int(c, 1) < 0 || !c->arg[2] || arg_int(c, 0) < 0)
		return -EINVAL;
	ret = arg_copy_in(c, 2, &param, sizeof(param));
	if (ret < 0)
		return ret;
	act.arg[1] = arg_u32(c, 1);
	act.ptr[2] = &param;
	act.len[2] = sizeof(param);
	return act_on_pid(k, c, &act);
}

long sys_sched_setattr(struct kernel *k, struct call *c)
{
	cleanup_free char *attr = calloc(1, SCHED_ATTR_MAX);
	struct act act = { .nr = SYS_sched_setattr, .out_arg = -1 };
	uint32_t size;
	int ret;

	if (!attr)
		return -ENOMEM;
	if (!c->arg[1] || arg_int(c, 0) < 0 || arg_u32(c, 2))
		return -EINVAL;
	ret = arg_copy_in(c, 1, &size, sizeof(size));
	if (ret < 0)
		return ret;
	if (size == 0)
		size = 48;	/* SCHED_ATTR_SIZE_VER0, linux/sched/types.h */
	if (size < 48 || size > SCHED_ATTR_MAX)
		return -E2BIG;
	ret = arg_copy_in(c, 1, attr, size);
	if (ret < 0)
		return ret;
	memcpy(attr, &size, sizeof(size));	/* the size we decided on */
	act.ptr[1] = attr;
	act.len[1] = size;
	return act_on_pid(k, c, &act);
}

long sys_prlimit64(struct kernel *k, struct call *c)
{
	struct rlimit new, old = {};
	struct act act = { .nr = SYS_prlimit64, .out_arg = 3 };
	long ret;

	act.arg[1] = arg_u32(c, 1);
	if (c->arg[2]) {
		ret = arg_copy_in(c, 2, &new, sizeof(new));
		if (ret < 0)
			return ret;
		act.ptr[2] = &new;
		act.len[2] = sizeof(new);
	}
	act.ptr[3] = &old;
	act.len[3] = sizeof(old);
	act.out = &old;
	ret = act_on_pid(k, c, &act);
	if (ret < 0 || !c->arg[3])
		return ret;
	return arg_copy_out(c, 3, &old, sizeof(old));
}

/* setrlimit(resource, limit): prlimit64 of the caller itself. */
long sys_setrlimit(struct kernel *k, struct call *c)
{
	struct call as_prlimit = *c;

	as_prlimit.arg[0] = 0;
	as_prlimit.arg[1] = c->arg[0];
	as_prlimit.arg[2] = c->arg[1];
	as_prlimit.arg[3] = 0;
	return c->arg[1] ? sys_prlimit64(k, &as_prlimit) : -EFAULT;
}
