/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shipped.c - what was checked when weir was built
 */
#include "passthrough/policy/shipped.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "passthrough/lanes_impl.h"

#define RULE_WORDS 3
#define TEST_WORDS (4 + 2 * POLICY_MAX_SET)	/* at most */

static uint32_t *put64(uint32_t *w, uint64_t v)
{
	*w++ = v;
	*w++ = v >> 32;
	return w;
}

static uint32_t *put_test(uint32_t *w, const struct policy_test *t)
{
	*w++ = t->arg | t->width << 8 | (uint32_t)t->op << 16;
	*w++ = t->nvalues;
	w = put64(w, t->op == TEST_MASKED_EQ ? t->mask : 0);
	for (unsigned i = 0; i < t->nvalues; i++)
		w = put64(w, t->value[i]);
	return w;
}

static uint32_t *put_rule(uint32_t *w, const struct lane_rule *r)
{
	unsigned ntests = r->rule ? r->rule->ntests : 0;

	*w++ = r->nr;
	*w++ = (uint32_t)r->lane << 16 | r->err;
	*w++ = ntests;
	for (unsigned i = 0; i < ntests; i++)
		w = put_test(w, &r->rule->test[i]);
	return w;
}

long shipped_words(const struct lanes *l, uint32_t **ret)
{
	size_t most = 0;
	uint32_t *w;

	for (unsigned i = 0; i < l->nrules; i++)
		most += RULE_WORDS + (l->rule[i].rule ? l->rule[i].rule->ntests * TEST_WORDS : 0);
	*ret = w = malloc(most * sizeof(*w));
	if (!w)
		return -ENOMEM;
	for (unsigned i = 0; i < l->nrules; i++)
		w = put_rule(w, &l->rule[i]);
	return w - *ret;
}

const struct shipped_mask *shipped_find(const struct lanes *l)
{
	cleanup_free uint32_t *table = NULL;
	long n = shipped_words(l, &table);

	for (const struct shipped_mask *m = shipped_masks; n > 0 && m->table; m++)
		if (m->words == (size_t)n && !memcmp(m->table, table, n * sizeof(*table)))
			return m;
	return NULL;
}
