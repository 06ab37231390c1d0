/* SPDX-License-Identifier: Apache-2.0 */
/*
 * act.h - one system call done as a guest task would do it
 *
 * A process forked by the agent takes on the task's mount namespace, root,
 * working directory, ids, capabilities and umask, does the call with its own
 * copy of every argument, and ends. Whatever a path of the guest leads to, it
 * is looked up where the task would have found it and with the task's rights:
 * nothing of the host is in reach of this process.
 */
#ifndef WEIR_NS_ACT_H
#define WEIR_NS_ACT_H

#include <stdint.h>

#include "ns/agent.h"

#define ACT_NO_POINTER UINT32_MAX

/* A struct act on the wire: pointers become offsets of 8-byte-aligned chunks
 * of data, in the order of the arguments. */
struct act_wire {
	int32_t kind, nr, out_arg;
	uint64_t arg[6];
	uint32_t len[6];	/* ACT_NO_POINTER: arg is a plain value */
	struct act_cred cred;
	char data[] __attribute__((aligned(8)));
};

struct act_result {
	int64_t result;
	char data[];
};

/* @size: bytes at @w; @fds: reply, root, cwd, mount namespace or -1, what was given or -1. */
void act_perform(const struct act_wire *w, uint32_t size, int *fds, int pidns,
		 const struct root_kept *kept) __attribute__((noreturn));

#endif
