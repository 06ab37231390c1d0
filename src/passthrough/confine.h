/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine.h - the guest kernel's filter of its own system calls
 *
 * A list of what it may do once its guest is about to run (kernel/confine.c).
 */
#ifndef WEIR_PASSTHROUGH_CONFINE_H
#define WEIR_PASSTHROUGH_CONFINE_H

#include <linux/filter.h>

/* The filters of a guest kernel, made by mkmasks.c from confine_calls.c when weir
 * is built. */
struct confine_program {
	const struct sock_filter *insn;
	unsigned short len;
};
enum confine_filter {
	CONFINE_ALLOW,	/* the list: what is refused is logged */
	CONFINE_MORE,	/* the same and what some policies need besides */
	CONFINE_DISK,	/* a process that reads a guest's file system: bytes in and out */
	CONFINE_QUIET,	/* what libc tries and has another way for: refused unlogged */
	NUM_CONFINE_FILTERS
};
extern const struct confine_program confine_kernel[NUM_CONFINE_FILTERS];

/**
 * confine_filter() - Let every thread of the process make only listed calls
 * @which: CONFINE_ALLOW, CONFINE_MORE or CONFINE_DISK
 *
 * What is refused fails with EPERM, and the host logs it where its log has
 * seccomp's errno action (/proc/sys/kernel/seccomp/actions_logged). Needs
 * rights_no_new_privs(). Return: 0 or a negative errno.
 */
int confine_filter(enum confine_filter which);

/* confine_calls.c: build a program into @insn, of BPF_MAXINSNS; it is used when
 * weir is built. Return: its length or a negative errno. */
int confine_build(enum confine_filter which, struct sock_filter *insn);

/* The calls of CONFINE_ALLOW by number, those that CONFINE_MORE has besides, and those
 * of CONFINE_DISK; each ended by -1: for tests. */
extern const int confine_kernel_calls[], confine_more_calls[], confine_disk_calls[];

#endif
