/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_caps.c - the capabilities that guest root keeps
 */
#include <ctype.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>

#include "kernel/util.h"
#include "passthrough/policy/policy_impl.h"

#define FAIL(ld, e, ...) policy_fail((ld)->err, &(e)->pos, __VA_ARGS__)

static int unknown_cap(struct loader *ld, const struct policy_entry *e, const char *name)
{
	struct near_word near;
	char hint[64];

	near_init(&near, str_starts(name, "cap_") ? name + 4 : name);
	for (cap_value_t c = 0; c <= CAP_LAST_CAP; c++) {
		char *known = cap_to_name(c);

		if (known)
			near_offer(&near, known + 4);
		cap_free(known);
	}
	return FAIL(ld, e, "unknown capability '%s'%s; write names of capabilities(7), all or none",
		    name, near_hint(&near, hint, sizeof(hint)));
}

/* A list of capabilities as bits. *ret_add: the first word began with '+'. */
static int read_caps(struct loader *ld, const struct policy_entry *e, uint64_t *ret, bool *ret_add)
{
	const uint64_t all = BIT(CAP_LAST_CAP + 1) - 1;
	const char *s = e->value;
	bool plus = s[strspn(s, " \t,")] == '+';
	char listed[40];
	size_t len;

	*ret = 0;
	*ret_add = plus;
	while ((len = policy_next_word(&s, listed, sizeof(listed)))) {
		char *word = listed + (*listed == '+'), full[48];
		cap_value_t cap;

		if (*listed == '+' && !plus)
			return FAIL(ld, e, "a '+' in the middle of a list; write it before the first name");
		for (char *c = word; *c; c++)
			*c = tolower((unsigned char)*c);
		snprintf(full, sizeof(full), "%s%s", str_starts(word, "cap_") ? "" : "cap_", word);
		if (streq(word, "all"))
			*ret |= all;
		else if (!streq(word, "none") && len < sizeof(listed) && isalpha((unsigned char)*word) &&
			 cap_from_name(full, &cap) == 0)
			*ret |= BIT(cap);
		else if (!streq(word, "none"))
			return unknown_cap(ld, e, word);
	}
	if (!e->value[0])
		return FAIL(ld, e, "%s without a name; write capabilities, all or none", e->key);
	return 0;
}

int policy_set_keep(struct loader *ld, const struct policy_entry *e)
{
	uint64_t caps;
	bool add;
	int r = read_caps(ld, e, &caps, &add);

	if (r < 0)
		return r;
	ld->p->caps = add ? ld->p->caps | caps : caps;
	return 0;
}

int policy_set_drop(struct loader *ld, const struct policy_entry *e)
{
	uint64_t caps;
	bool add;
	int r = read_caps(ld, e, &caps, &add);

	if (r < 0)
		return r;
	if (add)
		return FAIL(ld, e, "a '+' after drop; write drop = NAME, or keep = +NAME to add");
	ld->p->caps &= ~caps;
	return 0;
}
