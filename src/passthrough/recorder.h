/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder.h - which calls a guest made, and with which arguments
 *
 * For weir policy learn and test: a table in memory that the monitor shares
 * with the guest kernel. Doors write it, the monitor reads it when the guest
 * has ended. Calls are told apart by the rule that decides them, by the name
 * of the task if the rule refuses them, and by the few arguments that the
 * caller of recorder_tell_apart() names.
 */
#ifndef WEIR_PASSTHROUGH_RECORDER_H
#define WEIR_PASSTHROUGH_RECORDER_H

#include "passthrough/lanes.h"

#define RECORDER_PARTS 4	/* arguments of one call that are told apart */
#define RECORDER_FEW 16		/* combinations of them that are kept for one call */

struct call;
struct recorder;

/* Arguments of one call, each with the bits that count. */
struct record_key {
	unsigned n;
	struct {
		unsigned arg;
		uint64_t mask;
	} part[RECORDER_PARTS];
};

struct record {
	unsigned rule;		/* lane_rule.id */
	int nr;
	bool many;		/* further combinations: value says nothing */
	uint64_t value[RECORDER_PARTS];	/* by the call's key */
	char comm[16];		/* of a refused call's task, else "" */
	uint64_t count;
};

/* Return: 0 or -ENOMEM. Destroy takes NULL. */
int recorder_create(struct recorder **ret);
void recorder_destroy(struct recorder *r);

/* Before the guest starts. @nr: below LANES_MAX_NR. */
void recorder_tell_apart(struct recorder *r, int nr, const struct record_key *key);

/* Any thread of the guest kernel. */
void recorder_note(struct recorder *r, const struct call *c);

/* After the guest's end: the records in no order, NULL behind the last. */
const struct record *recorder_at(const struct recorder *r, unsigned i);

/* Calls that were not recorded because the table was full. */
uint64_t recorder_lost(const struct recorder *r);

#endif
