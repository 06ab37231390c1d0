/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu.h - the guest's CPUs by number, and the host CPUs behind them
 *
 * A guest with fewer CPUs than the host is held on as many of the host's by
 * affinity. One with more sees them all the same: they share host CPUs, CPU i
 * being on host[i % nhost].
 */
#ifndef WEIR_KERNEL_VCPU_H
#define WEIR_KERNEL_VCPU_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/sched.h"

#define HOST_MAX_CPUS 8192	/* NR_CPUS of the largest x86-64 configuration */

/* A set of host CPUs, as sched_setaffinity(2) takes it. */
struct host_cpus {
	unsigned long bits[HOST_MAX_CPUS / (8 * sizeof(long))];
};

struct vcpus {
	unsigned n;			/* the guest's, 1..SCHED_MAX_VCPUS */
	unsigned nhost;			/* host CPUs behind them, at most n */
	int host[SCHED_MAX_VCPUS];	/* their numbers, ascending */
	bool limited;			/* we may use more than the guest may */
	struct host_cpus all;
	int16_t of_host[HOST_MAX_CPUS];	/* index into host[], -1: not the guest's */
};

static inline bool host_cpus_has(const struct host_cpus *s, unsigned cpu)
{
	return s->bits[cpu / (8 * sizeof(long))] >> (cpu % (8 * sizeof(long))) & 1;
}

static inline void host_cpus_add(struct host_cpus *s, unsigned cpu)
{
	s->bits[cpu / (8 * sizeof(long))] |= 1ul << (cpu % (8 * sizeof(long)));
}

/* sched_getaffinity(2) and sched_setaffinity(2) of a host thread. Return: 0 or
 * a negative errno. */
int host_cpus_of(pid_t tid, struct host_cpus *ret);
int host_cpus_set(pid_t tid, const struct host_cpus *set);

/**
 * vcpus_init() - Choose the host CPUs of a guest
 * @want:  the policy's vcpus; 0 for as many as we may use
 * @guests: the directory that holds those of all guests of this user, or -1
 * @own:    this guest's directory in it: what was chosen is left there in
 *          "cpus", so that the next guest is put elsewhere; or -1
 *
 * Return: 0 or a negative errno.
 */
int vcpus_init(struct vcpus *v, unsigned want, int guests, int own);

/* The same without any other guest, for tests: of the @nmay CPUs in @may, those
 * that are used least. */
void vcpus_choose(struct vcpus *v, unsigned want, const int *may, const unsigned *used,
		  unsigned nmay);

static inline int vcpu_host(const struct vcpus *v, unsigned vcpu)
{
	return v->host[vcpu % v->nhost];
}

/* The guest's number for a task that ran on @host_cpu and was last called
 * @before: that, if it is on this host CPU, else the first that is. */
unsigned vcpu_name(const struct vcpus *v, unsigned before, int host_cpu);

/* A copy for free(); NULL for NULL. */
cpu_set_t *cpus_copy(const cpu_set_t *set);

/* A set of the guest's CPUs as host CPUs. Return: false if none of it is the
 * guest's; then @ret is empty. */
bool vcpus_to_host(const struct vcpus *v, const cpu_set_t *set, size_t size,
		   struct host_cpus *ret);

/* And back: every CPU of the guest that is behind one of @set. */
void vcpus_from_host(const struct vcpus *v, const struct host_cpus *set, cpu_set_t *ret,
		     size_t size);

#endif
