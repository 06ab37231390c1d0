/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_learnt.h - from calls that were made to the policy that allows just those
 *
 * What was learnt can only be narrower than the policy it is learnt under:
 * each call is answered by that policy's own lane, and what it refused stays
 * refused. So whatever holds for that policy (rule 10, no passing twins)
 * holds for what is learnt.
 */
#ifndef WEIR_PASSTHROUGH_POLICY_LEARNT_H
#define WEIR_PASSTHROUGH_POLICY_LEARNT_H

#include <stdio.h>

#include "passthrough/lanes.h"
#include "passthrough/recorder.h"

struct learnt;

/* @base: the lanes of the policy that is learnt under; must outlive what is made.
 * Return: 0 or -ENOMEM. Destroy takes NULL. */
int learnt_create(const struct lanes *base, struct learnt **ret);
void learnt_destroy(struct learnt *l);

/* Which arguments of a call are told apart: flags, commands, families, and all
 * that the policy tests. */
const struct record_key *learnt_key(const struct learnt *l, int nr);

/* A call was made with these arguments, by its key; or with too many to list. */
void learnt_add(struct learnt *l, int nr, const uint64_t value[RECORDER_PARTS]);
void learnt_add_many(struct learnt *l, int nr);

/**
 * learnt_merge() - Add what an earlier run learnt
 * @lanes: of the policy that was written then
 * @file:  its name, as in the positions of its rules
 *
 * Return: 0, or -EINVAL with one line in @err if a line is not of the kind
 * that learnt_write() writes.
 */
int learnt_merge(struct learnt *l, const struct lanes *lanes, const char *file,
		 struct policy_error *err);

/* The policy: the same text for the same calls, in whatever order they were
 * added. @inherit: the policy that was learnt under. */
void learnt_write(const struct learnt *l, const char *inherit, FILE *f);

/* Go through what was wanted and refused. @at: 0 at first. Return: the rule,
 * NULL behind the last. @ret_value: by the call's key. */
const struct lane_rule *learnt_refused(const struct learnt *l, unsigned *at, int *ret_nr,
				       const uint64_t **ret_value);

#endif
