/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memd.h - the broker: a budget of memory, shared among a user's guests
 *
 * Once in a while it asks each guest how much it uses and how busy it was, divides
 * the budget anew (mmu/share.h), and has guests lend what others need more. It keeps
 * nothing that it could not ask again: one that is started after a kill -9 goes on.
 */
#ifndef WEIR_MEMD_H
#define WEIR_MEMD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "mmu/share.h"

#define MEMD_MAX_GUESTS 1024

struct memd_guest {
	char name[64];
	struct share share;
	enum memd_state {
		MEMD_NEW,	/* seen once: no telling yet how busy it is */
		MEMD_BUSY,
		MEMD_IDLE,
		MEMD_SILENT,	/* does not answer; has what it had */
		MEMD_UNLIMITED,	/* its memory is the host's: none of ours */
		MEMD_NUM_STATES
	} state;
	uint64_t now_ns, idle_ns;	/* the guest's clock, and how long it has idled, at the last round */
	uint64_t busy_at_ns;		/* host_now(): when it last was busy */
	unsigned skip;			/* rounds in which it is not asked again */
	uint64_t lent, got;		/* bytes, since we know it */
	bool seen;			/* in this round */
};

struct memd {
	uint64_t budget;	/* bytes */
	uint64_t idle_after_ns;	/* so long not busy is idle */
	bool verbose;		/* print what moves */
	struct memd_guest *guest;
	unsigned n;
	uint64_t rounds, missing;	/* by how much the budget is too small */
};

/* Ask all, divide, move. Takes as long as guests take to give. */
void memd_round(struct memd *d);

/* Does any guest but idle ones live? */
bool memd_any_busy(const struct memd *d);

/* What weir memd status shows. NULL without memory. */
json_t *memd_json(const struct memd *d);

void memd_clear(struct memd *d);

#endif
