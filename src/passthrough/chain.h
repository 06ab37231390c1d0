/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain.h - the argument tests of one call as BPF
 */
#ifndef WEIR_PASSTHROUGH_CHAIN_H
#define WEIR_PASSTHROUGH_CHAIN_H

#include <linux/filter.h>
#include <stdint.h>

#include "passthrough/policy.h"

#define CHAIN_MAX 2048	/* instructions for one call */

/*
 * Instructions are put in from the last to the first, so that every jump goes
 * to one that is there already; insn[CHAIN_MAX - n] is the newest. A place is
 * the n that an instruction had when it was put in.
 */
struct chain {
	struct sock_filter insn[CHAIN_MAX];
	unsigned n;
	bool overflow;
};

void chain_init(struct chain *c);

/* "return action" */
unsigned chain_return(struct chain *c, uint32_t action);

/* Go to @yes if all tests of a rule hold, else to @no. Return: where it begins. */
unsigned chain_rule(struct chain *c, const struct policy_rule *r, unsigned yes, unsigned no);

#endif
