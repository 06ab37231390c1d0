/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - the part of the mask that libseccomp makes: the search by number
 */
#ifndef WEIR_PASSTHROUGH_FRAME_H
#define WEIR_PASSTHROUGH_FRAME_H

#include <linux/filter.h>
#include <stdint.h>

#include "passthrough/lanes.h"

/* The SECCOMP_RET_ value of a rule. */
uint32_t frame_action(const struct lane_rule *r);

/**
 * frame_build() - Have libseccomp make the frame of a lane table
 * @insn: room for BPF_MAXINSNS instructions
 *
 * A call with argument tests gets a mark, for them to be linked in: it returns
 * SECCOMP_RET_TRACE with the number plus one as data.
 *
 * Return: how many instructions there are, or a negative errno.
 */
int frame_build(const struct lanes *l, struct sock_filter *insn);

#endif
