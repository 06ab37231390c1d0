/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lanes.h - the lane table: every call is in exactly one lane
 *
 * The table is the meaning of a policy's [syscalls]; the seccomp program
 * (mask.c) must agree with it on every number, arch and argument, and the
 * trap door asks it which rule sent a call to it. It is total: what no rule
 * names is in the default lane, other arches are denied.
 *
 * Of the rules of one call the latest unconditional one is the base; rules
 * with tests written after it come before it, the latest first.
 */
#ifndef WEIR_PASSTHROUGH_LANES_H
#define WEIR_PASSTHROUGH_LANES_H

#include "passthrough/policy.h"

#define LANES_MAX_NR 1024	/* numbers from here on are in the default lane */

struct lane_rule {
	const struct policy_rule *rule;	/* NULL: the policy's default */
	enum lane lane;
	int err;			/* LANE_DENY: positive errno */
	bool stops;			/* the task stops at the door, which asks the lane */
	int nr;
	unsigned id;			/* dense, 0..lanes->nrules-1: index for counters */
	const struct policy_pos *pos;
};

struct lanes;

/**
 * lanes_build() - Make the lane table of a policy
 *
 * Checks what must hold for any policy: execve can run, no call that is
 * trapped, fixed or denied has a passing twin (the families of weir-policy(5)).
 *
 * Return: 0, or -EINVAL with one line in @err. @p must outlive the table.
 */
int lanes_build(const struct policy *p, struct lanes **ret, struct policy_error *err);
void lanes_free(struct lanes *l);

/* The rule that decides a call. @arch is an AUDIT_ARCH_ value. Never NULL.
 * Cheap: used on every trap. */
const struct lane_rule *lanes_lookup(const struct lanes *l, uint32_t arch, int nr,
				     const uint64_t arg[6]);

/* The rule that decides a call of x86-64 whatever its arguments, NULL if it depends
 * on them. @nr: below LANES_MAX_NR. */
const struct lane_rule *lanes_constant_rule(const struct lanes *l, int nr);

/* All rules, by id. */
unsigned lanes_count(const struct lanes *l);
const struct lane_rule *lanes_rule(const struct lanes *l, unsigned id);

/* Does any rule stop a task? */
bool lanes_stop(const struct lanes *l);

/* Name of an x86-64 system call, "syscall_N" in a static buffer per thread if
 * it is not known; and back (-ENOENT). Groups: see groups.h. */
const char *syscall_name(int nr);
int syscall_number(const char *name);

#endif
