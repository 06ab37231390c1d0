/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syscall.h - what handlers of trapped calls share
 *
 * A handler runs on a thread of the trap door. It reads guest memory once,
 * decides on its copy and acts on its copy; after reading, and before it acts
 * on what it read, it asks call_valid(). It returns the value or the negative
 * errno that the guest gets.
 */
#ifndef WEIR_KERNEL_SYSCALL_H
#define WEIR_KERNEL_SYSCALL_H

#include "kernel/caller.h"
#include "kernel/kernel.h"
#include "mmu/uaccess.h"

#define SYSCALL(nr, name) long sys_##name(struct kernel *k, struct call *c);
#include "kernel/syscalls.def"
#undef SYSCALL

/**
 * syscall_check() - Has every trapped call of a policy a handler?
 * @ids: the guest keeps its ids itself, policy_keeps_ids()
 *
 * Return: 0, or -EINVAL with one line in @err.
 */
int syscall_check(const struct lanes *l, bool ids, struct policy_error *err);

/* An argument as the C type that the host gives it: the high half of the
 * register is not looked at. */
static inline int arg_int(const struct call *c, int n)
{
	return (int)(uint32_t)c->arg[n];
}

static inline uint32_t arg_u32(const struct call *c, int n)
{
	return (uint32_t)c->arg[n];
}

/* Bytes or a string of the caller's, once, and surely the caller's.
 * Return: 0 (or the string's length), -EFAULT, -ENAMETOOLONG, -ESRCH. */
int arg_copy_in(struct call *c, int n, void *to, size_t len);
ssize_t arg_string_in(struct call *c, int n, char *to, size_t size);

/* Write a result to the caller's memory. WAIT_KILLABLE_RECV keeps the caller
 * waiting while we do. Return: 0 or -EFAULT. */
int arg_copy_out(struct call *c, int n, const void *from, size_t len);

/* sys_memory.c: what a call adds to the caller's memory under a strict budget. A
 * copy of it all: 0 or -ENOMEM. A larger break: 0, or the break that brk(2)
 * answers when it does nothing. */
int charge_fork(struct kernel *k, struct call *c);
long charge_break(struct kernel *k, struct call *c);

#endif
