/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot.h - the places of redirected calls in a process's memory (window.h)
 *
 * All with the lock of redirect.h held for the task.
 */
#ifndef WEIR_KERNEL_SLOT_H
#define WEIR_KERNEL_SLOT_H

#include "kernel/wait/redirect.h"

#define SYSCALL_BYTES 2	/* of the instruction */
#define TIME_AT offsetof(struct window_slot, time)

/* Has a task's process a window of ours? Its head, if so. */
bool slot_head(pid_t tid, struct window_head *ret);

/* Have a stopped task map the window, by a syscall instruction at @at; r->vdso is set.
 * Return: 0, or a negative errno: -EEXIST something of the program's own is there, -ESRCH. */
int slot_map_window(struct redirect *r, uint64_t at);

/* Find a slot for the task whose stack pointer is in r->regs, and set r->slot.
 * Return: 0, -EBUSY or -EFAULT. */
int slot_choose(struct redirect *r);

/* Is the slot still that of this call? */
bool slot_is_held(const struct redirect *r);

#endif
