/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine.h - what a process of weir's takes from itself, for good
 *
 * Each function is one means; which process uses which, and when, is in
 * kernel/confine.c, ns/agent.c and monitor.c. None of them can be undone by the
 * one who has called it.
 */
#ifndef WEIR_PASSTHROUGH_CONFINE_H
#define WEIR_PASSTHROUGH_CONFINE_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

/* The filters of a guest kernel, made by mkmasks.c from confine_calls.c when weir
 * is built. */
struct confine_program {
	const struct sock_filter *insn;
	unsigned short len;
};
enum confine_filter {
	CONFINE_ALLOW,	/* the list: what is refused is logged */
	CONFINE_QUIET,	/* what libc tries and has another way for: refused unlogged */
	NUM_CONFINE_FILTERS
};
extern const struct confine_program confine_kernel[NUM_CONFINE_FILTERS];

/**
 * confine_caps() - Keep some of the calling thread's capabilities and drop the rest
 * @keep: bits by number (linux/capability.h); what the thread does not have is
 *        not gained
 *
 * Of all five sets; inheritable and ambient become empty. Threads that the caller
 * makes later have what it has left.
 * Return: 0 or a negative errno.
 */
int confine_caps(uint64_t keep);

/* No program run from now on gains rights by its set-user-ID bit or capabilities. */
int confine_no_new_privs(void);

/**
 * confine_no_new_code() - No memory that was writable becomes executable
 * @children: those that are forked from now on, too
 *
 * PR_SET_MDWE: Linux 6.3; without @children 6.6. Return: 0, or -EINVAL if the
 * host has it not.
 */
int confine_no_new_code(bool children);

/**
 * confine_filter() - Let every thread of the process make only listed calls
 *
 * What is refused fails with EPERM, and the host logs it where its log has
 * seccomp's errno action (/proc/sys/kernel/seccomp/actions_logged). Needs
 * confine_no_new_privs(). Return: 0 or a negative errno.
 */
int confine_filter(void);

/* confine_calls.c: build a program into @insn, of BPF_MAXINSNS; it is used when
 * weir is built. Return: its length or a negative errno. */
int confine_build(enum confine_filter which, struct sock_filter *insn);

/* The calls of that program by number, ended by -1: for tests. */
extern const int confine_kernel_calls[];

#endif
