/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain.c - the argument tests of one call as BPF
 *
 * The rules of a call are tried in order, the first that holds decides: as
 * code that is a chain of tests, each going on to the next or away to the next
 * rule. An argument is compared in the width that the host looks at, its high
 * half is not even loaded.
 */
#include "passthrough/chain.h"

#include <linux/seccomp.h>
#include <stddef.h>

#include "kernel/util.h"

#define MAX_JUMP 250	/* of 255, less the instructions that may come between */

#define LOW(arg) (offsetof(struct seccomp_data, args) + 8 * (arg))	/* little endian */
#define HIGH(arg) (LOW(arg) + 4)

void chain_init(struct chain *c)
{
	c->n = 0;
	c->overflow = false;
}

static unsigned put(struct chain *c, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (c->n == CHAIN_MAX) {
		c->overflow = true;
		return c->n;
	}
	c->n++;
	c->insn[CHAIN_MAX - c->n] = (struct sock_filter){ code, jt, jf, k };
	return c->n;
}

static void load(struct chain *c, uint32_t offset)
{
	put(c, BPF_LD | BPF_W | BPF_ABS, 0, 0, offset);
}

unsigned chain_return(struct chain *c, uint32_t action)
{
	return put(c, BPF_RET | BPF_K, 0, 0, action);
}

/* A place within reach of the next instruction that goes where @to goes. */
static unsigned reach(struct chain *c, unsigned to)
{
	if (c->n - to <= MAX_JUMP)
		return to;
	return put(c, BPF_JMP | BPF_JA, 0, 0, c->n - to);
}

static unsigned jump(struct chain *c, uint16_t op, uint32_t k, unsigned yes, unsigned no)
{
	yes = reach(c, yes);
	no = reach(c, no);
	return put(c, BPF_JMP | op | BPF_K, c->n - yes, c->n - no, k);
}

/* One half of an argument, masked: == value? */
static void half_equal(struct chain *c, uint32_t offset, uint32_t mask, uint32_t value,
		       unsigned yes, unsigned no)
{
	jump(c, BPF_JEQ, value, yes, no);
	if (mask != UINT32_MAX)
		put(c, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask);
	load(c, offset);
}

static unsigned equal(struct chain *c, unsigned arg, uint64_t mask, uint64_t value, unsigned yes,
		      unsigned no)
{
	if ((uint32_t)mask) {
		half_equal(c, LOW(arg), mask, value, yes, no);
		yes = c->n;
	}
	if (mask >> 32)
		half_equal(c, HIGH(arg), mask >> 32, value >> 32, yes, no);
	return c->n;
}

/* arg > value, or arg >= value: as 64 bits the high half decides unless it is equal. */
static unsigned greater(struct chain *c, const struct policy_test *t, uint16_t op, unsigned yes,
			unsigned no)
{
	uint32_t high = t->value[0] >> 32;

	jump(c, op, t->value[0], yes, no);
	if (t->width < 32)
		put(c, BPF_ALU | BPF_AND | BPF_K, 0, 0, BIT(t->width) - 1);
	load(c, LOW(t->arg));
	if (t->width == 64) {
		jump(c, BPF_JEQ, high, c->n, no);
		jump(c, BPF_JGT, high, yes, c->n);
		load(c, HIGH(t->arg));
	}
	return c->n;
}

/* One of several values; each is compared from a load of its own when it takes both halves. */
static unsigned among(struct chain *c, const struct policy_test *t, uint64_t mask, unsigned yes,
		      unsigned no)
{
	if (t->width == 64) {
		for (unsigned i = 0; i < t->nvalues; i++)
			no = equal(c, t->arg, mask, t->value[i], yes, no);
		return c->n;
	}
	for (unsigned i = 0; i < t->nvalues; i++)
		no = jump(c, BPF_JEQ, t->value[i], yes, no);
	if (t->width < 32)
		put(c, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask);
	load(c, LOW(t->arg));
	return c->n;
}

static unsigned test(struct chain *c, const struct policy_test *t, unsigned yes, unsigned no)
{
	uint64_t mask = t->width == 64 ? UINT64_MAX : BIT(t->width) - 1;

	switch (t->op) {
	case TEST_EQ:
		return equal(c, t->arg, mask, t->value[0], yes, no);
	case TEST_NE:
		return equal(c, t->arg, mask, t->value[0], no, yes);
	case TEST_GT:
		return greater(c, t, BPF_JGT, yes, no);
	case TEST_GE:
		return greater(c, t, BPF_JGE, yes, no);
	case TEST_LT:
		return greater(c, t, BPF_JGE, no, yes);
	case TEST_LE:
		return greater(c, t, BPF_JGT, no, yes);
	case TEST_MASKED_EQ:
		return equal(c, t->arg, t->mask, t->value[0], yes, no);
	case TEST_IN:
		return among(c, t, mask, yes, no);
	}
	return no;
}

unsigned chain_rule(struct chain *c, const struct policy_rule *r, unsigned yes, unsigned no)
{
	for (unsigned i = r->ntests; i > 0; i--)
		yes = test(c, &r->test[i - 1], yes, no);
	return yes;
}
