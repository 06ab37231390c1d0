/* SPDX-License-Identifier: Apache-2.0 */
/*
 * placement_impl.h - what the files of placement share
 */
#ifndef WEIR_KERNEL_PLACEMENT_IMPL_H
#define WEIR_KERNEL_PLACEMENT_IMPL_H

#include "kernel/sched/placement.h"

#define PLACEMENT_AGAIN_NS 200000000	/* until a task has another place, at least */

/* Write a decision down. The strings are constant. */
void placement_note(struct placement *p, uint64_t ns, const char *what, const char *reason,
		    pid_t a, pid_t b, unsigned vcpu);

/* The rate limit. */
bool placement_may_decide(struct placement *p, uint64_t now);

/* May a task be on this CPU, as far as the guest is concerned? */
bool placement_allowed(const struct task *t, unsigned vcpu);

/* Tell the host to hold a task on one CPU of the guest. */
int placement_hold(struct placement *p, const struct task *t, unsigned vcpu);

/* placement_pairs.c: the mode that looks at who wakes whom. */
void placement_pairs_record(struct placement *p, struct task *t, const struct sleepwake_record *r);
void placement_pairs(struct placement *p, uint64_t now);
void placement_group_end(struct placement *p, struct task_group *g, const char *reason,
			 uint64_t now);
void placement_group_drop(struct task_group *g, struct task *t);

void placement_pairs_rest(struct placement *p, uint64_t now);
void placement_pairs_resume(struct placement *p, uint64_t now);

/* placement_static.c: the modes that look at load only. */
void placement_spread(struct placement *p, uint64_t now);
void placement_pack(struct placement *p, uint64_t now);

#endif
