/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share.h - a budget of memory, divided among guests by weight and idleness
 *
 * Pure arithmetic. In this order, each by weight up to what is said, as far as
 * the budget goes: everybody what cannot be taken; the busy what they want;
 * the idle what they have in use; the busy all they may have; the idle too.
 */
#ifndef WEIR_MMU_SHARE_H
#define WEIR_MMU_SHARE_H

#include <stdbool.h>
#include <stdint.h>

/* In bytes. */
struct share {
	unsigned weight;	/* 1 or more */
	bool idle;
	uint64_t least;		/* floor, and what is hard to take back */
	uint64_t most;		/* what its policy gives it */
	uint64_t used, limit;	/* now */
	uint64_t target;	/* the answer */
};

/**
 * share_divide() - What each is to have
 *
 * Return: 0, or by how much the budget is less than what cannot be taken; then
 * each has just that.
 */
uint64_t share_divide(struct share *v, unsigned n, uint64_t budget);

#endif
