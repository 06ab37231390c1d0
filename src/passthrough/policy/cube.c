/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cube.c - sets of arguments as bits that must be so
 */
#include "passthrough/policy/cube.h"

#include <stdlib.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"

void cubes_all(struct cubes *s)
{
	s->n = 1;
	s->overflow = false;
	s->c[0] = (struct cube){ 0 };
}

static void add(struct cubes *s, const struct cube *c)
{
	if (s->n == CUBE_MAX)
		s->overflow = true;
	else
		s->c[s->n++] = *c;
}

bool cube_intersect(const struct cube *a, const struct cube *b, struct cube *ret)
{
	for (unsigned i = 0; i < 6; i++) {
		if ((a->value[i] ^ b->value[i]) & a->mask[i] & b->mask[i])
			return false;
		ret->mask[i] = a->mask[i] | b->mask[i];
		ret->value[i] = a->value[i] | b->value[i];
	}
	return true;
}

/* What of @from is not in @k: from each bit that only @k asks for, the part where that
 * bit is the other way and those above it are as in @k. */
static void add_difference(struct cubes *s, struct cube from, const struct cube *k)
{
	for (unsigned i = 0; i < 6; i++)
		for (int bit = 63; bit >= 0; bit--) {
			uint64_t b = BIT(bit);
			struct cube piece;

			if (!(k->mask[i] & ~from.mask[i] & b))
				continue;
			from.mask[i] |= b;
			piece = from;
			piece.value[i] |= ~k->value[i] & b;
			add(s, &piece);
			from.value[i] |= k->value[i] & b;
		}
}

void cubes_subtract(struct cubes *s, const struct cube *k)
{
	cleanup_free struct cubes *old = malloc(sizeof(*old));
	struct cube both;

	if (!old) {
		s->overflow = true;
		return;
	}
	*old = *s;
	s->n = 0;
	for (unsigned i = 0; i < old->n; i++)
		if (cube_intersect(&old->c[i], k, &both))
			add_difference(s, old->c[i], k);
		else
			add(s, &old->c[i]);
}

static void add_masked(struct cubes *s, unsigned arg, uint64_t mask, uint64_t value)
{
	struct cube c = { 0 };

	c.mask[arg] = mask;
	c.value[arg] = value;
	add(s, &c);
}

/* Above or below @v: the bits above some bit are as in @v, that bit is the other way. */
static void add_beside(struct cubes *s, const struct policy_test *t, uint64_t v, bool above)
{
	for (unsigned bit = 0; bit < t->width; bit++) {
		uint64_t higher = t->width == 64 ? ~(BIT(bit) | (BIT(bit) - 1)) :
						   (BIT(t->width) - 1) & ~(BIT(bit) | (BIT(bit) - 1));

		if (!(v & BIT(bit)) == above)
			add_masked(s, t->arg, higher | BIT(bit),
				   (v & higher) | (above ? BIT(bit) : 0));
	}
}

static void of_test(struct cubes *s, const struct policy_test *t)
{
	uint64_t all = t->width == 64 ? UINT64_MAX : BIT(t->width) - 1, v = t->value[0];

	s->n = 0;
	if (t->op == TEST_MASKED_EQ)
		add_masked(s, t->arg, t->mask & all, v);
	if (t->op == TEST_LT || t->op == TEST_LE || t->op == TEST_NE)
		add_beside(s, t, v, false);
	if (t->op == TEST_GT || t->op == TEST_GE || t->op == TEST_NE)
		add_beside(s, t, v, true);
	if (t->op == TEST_EQ || t->op == TEST_LE || t->op == TEST_GE || t->op == TEST_IN)
		for (unsigned i = 0; i < t->nvalues; i++)
			add_masked(s, t->arg, all, t->value[i]);
}

void cubes_of_rule(struct cubes *s, const struct policy_test *test, unsigned ntests)
{
	cleanup_free struct cubes *one = malloc(sizeof(*one)), *old = malloc(sizeof(*old));
	struct cube both;

	cubes_all(s);
	if (!one || !old) {
		s->overflow = true;
		return;
	}
	for (unsigned k = 0; k < ntests; k++) {
		*old = *s;
		s->n = 0;
		of_test(one, &test[k]);
		for (unsigned i = 0; i < old->n; i++)
			for (unsigned j = 0; j < one->n; j++)
				if (cube_intersect(&old->c[i], &one->c[j], &both))
					add(s, &both);
	}
}
