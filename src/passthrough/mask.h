/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mask.h - the lane table as a seccomp program
 */
#ifndef WEIR_PASSTHROUGH_MASK_H
#define WEIR_PASSTHROUGH_MASK_H

#include <linux/filter.h>
#include <stdbool.h>

#include "passthrough/lanes.h"

struct mask {
	struct sock_filter *insn;	/* owned */
	unsigned short len;
	bool listens;			/* some call is trapped, fixed or watched */
};

/**
 * mask_compile() - Build the seccomp program of a lane table, and verify it
 *
 * libseccomp builds and exports the program; bpf.c then runs it against the
 * table for every number below LANES_MAX_NR, every arch and the edge values of
 * every tested argument. A program that disagrees anywhere is not returned.
 *
 * Return: 0, or a negative errno with one line in @err.
 */
int mask_compile(const struct lanes *l, struct mask *ret, struct policy_error *err);
void mask_free(struct mask *m);

/**
 * mask_load() - Put the mask over the calling thread; it is inherited
 *
 * The caller holds CAP_SYS_ADMIN in its user namespace or has set
 * no_new_privs. Uses SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (Linux 5.19).
 * Makes no system call but seccomp(2): the next one is under the mask.
 *
 * Return: the listener's descriptor (close-on-exec), -ENODATA if the mask
 * needs no listener, or a negative errno.
 */
int mask_load(const struct mask *m);

#endif
