/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_swap.c - swapon, swapoff
 *
 * A guest's memory is the host's to swap; it has no swap areas of its own.
 */
#include <errno.h>

#include "kernel/syscall.h"

long sys_swapon(struct kernel *k, struct call *c)
{
	return -EPERM;
}

long sys_swapoff(struct kernel *k, struct call *c)
{
	return -EPERM;
}
