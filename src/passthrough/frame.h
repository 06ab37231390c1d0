/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - the part of the mask that libseccomp makes: the search by number
 *
 * A frame depends on nothing but the action of each number. So those of the
 * shipped policies are made when weir is built (mkframes.c), which takes
 * libseccomp two milliseconds each; a policy that gives any number another
 * action has its frame made when it is used. Either is verified as part of
 * the mask, at each use.
 */
#ifndef WEIR_PASSTHROUGH_FRAME_H
#define WEIR_PASSTHROUGH_FRAME_H

#include <linux/filter.h>
#include <stdint.h>

#include "passthrough/lanes.h"

/* What a frame returns for each native call: a SECCOMP_RET_ value. */
struct frame_actions {
	uint32_t otherwise;		/* for all numbers from LANES_MAX_NR on */
	uint32_t action[LANES_MAX_NR];	/* or frame_mark() for a call with argument tests */
};

struct frame {
	uint64_t key;			/* of its actions */
	const struct sock_filter *insn;	/* NULL behind the last */
	unsigned len;
};

/* Those of the shipped policies, in a source that mkframes.c writes. */
extern const struct frame shipped_frames[];

/* The SECCOMP_RET_ value of a rule. */
uint32_t frame_action(const struct lane_rule *r);

/* The rule that decides a call whatever its arguments, NULL if it depends on them. */
const struct lane_rule *frame_constant_rule(const struct lanes *l, int nr);

/* What stands for the argument tests of a call until they are linked in; the
 * number in it plus one is SECCOMP_RET_DATA. */
uint32_t frame_mark(int nr);

void frame_actions(const struct lanes *l, struct frame_actions *ret);

/* A number that tells different actions apart: FNV-1a over 32-bit words. Should
 * it ever fail to, the mask does not pass its verification. */
uint64_t frame_key(const struct frame_actions *a);

/**
 * frame_build() - Have libseccomp make a frame
 * @insn: room for BPF_MAXINSNS instructions
 *
 * Return: how many there are, or a negative errno.
 */
int frame_build(const struct frame_actions *a, struct sock_filter *insn);

#endif
