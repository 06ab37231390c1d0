/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lanes_impl.h - inside of the lane table, for lanes.c, family.c and mask.c
 */
#ifndef WEIR_PASSTHROUGH_LANES_IMPL_H
#define WEIR_PASSTHROUGH_LANES_IMPL_H

#include "passthrough/lanes.h"

enum { LANES_DEFAULT, LANES_OTHER_ARCH, LANES_FIRST };	/* ids that every table has */

/*
 * The rules of call N are rule[first[N]] .. rule[first[N + 1] - 1], in the
 * order in which they are tried. The last may be unconditional, then it always
 * holds; otherwise rule[LANES_DEFAULT] is behind it.
 */
struct shipped_mask;

struct lanes {
	const struct policy *policy;
	struct lane_rule *rule;
	unsigned nrules;
	unsigned first[LANES_MAX_NR + 1];
	const struct shipped_mask *shipped;	/* not NULL: checked when weir was built */
	struct policy_rule other_arch;	/* what rule[LANES_OTHER_ARCH] stands for */
};

/* Does a rule hold for any arguments? */
static inline bool lane_rule_always(const struct lane_rule *r)
{
	return !r->rule || r->rule->ntests == 0;
}

static inline bool lane_passes(enum lane lane)
{
	return lane == LANE_PASS || lane == LANE_WATCH;
}

/* Do all tests of a rule hold for these arguments? */
bool policy_rule_holds(const struct policy_rule *r, const uint64_t arg[6]);

/* The lane table without the checks of lanes_build(), for policy_show(). */
int lanes_resolve(const struct policy *p, struct lanes **ret, struct policy_error *err);

/* family.c: -EINVAL if a restricted call has a passing twin. */
int family_check(const struct lanes *l, struct policy_error *err);

/* The same; *ret_twin is that passing twin. */
int family_find(const struct lanes *l, int *ret_twin, struct policy_error *err);

#endif
