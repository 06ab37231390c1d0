/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shipped.h - what was checked when weir was built
 *
 * For the lane table of each shipped policy, mkmasks.c has made the checks of
 * lanes_build() and the mask, and verified it. A table that is the same to the
 * last value of the last test needs none of that done again: its mask is here.
 */
#ifndef WEIR_PASSTHROUGH_SHIPPED_H
#define WEIR_PASSTHROUGH_SHIPPED_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#include "passthrough/lanes.h"

struct shipped_mask {
	const uint32_t *table;		/* shipped_words(); NULL behind the last */
	size_t words;
	const struct sock_filter *insn;
	unsigned short len;
};

/* In a source that mkmasks.c writes. */
extern const struct shipped_mask shipped_masks[];

/**
 * shipped_words() - A lane table as numbers: the default, then every rule with
 *                   its tests, but not where it was written
 * @ret: to be freed by the caller
 *
 * Return: how many, or -ENOMEM.
 */
long shipped_words(const struct lanes *l, uint32_t **ret);

/* The mask of exactly this table, NULL if weir was built with none. */
const struct shipped_mask *shipped_find(const struct lanes *l);

#endif
