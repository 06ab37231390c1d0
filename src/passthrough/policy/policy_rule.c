/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_rule.c - an entry of [syscalls] as rules
 *
 *   LANE [ERRNO] [if TEST [and TEST]...]
 *   TEST:  ARG == V   ARG != V   ARG < V   ...   ARG & MASK == V   ARG in (V V ...)
 *   V:     a number or a constant, or several joined by |
 *
 * A test is made for a certain call: it is the call's argument list that says
 * which argument is meant and how many bits of it the host looks at.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/util.h"
#include "passthrough/lanes.h"
#include "passthrough/policy/policy_impl.h"

/* A line while it is read. */
struct reader {
	struct loader *ld;
	const struct policy_entry *e;
	const char *at;
	int nr;		/* the call it is read for */
	unsigned width;	/* of the argument of the present test */
	struct policy_test test[POLICY_MAX_TESTS];
	char token[64];
};

#define FAIL(rd, ...) policy_fail((rd)->ld->err, &(rd)->e->pos, __VA_ARGS__)

static bool word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Read the next token into rd->token, "" at the end: a word, a number or an operator. */
static void next(struct reader *rd)
{
	static const char *const operators[] = { "==", "!=", "<=", ">=", "&&", "||" };
	const char *s = rd->at + strspn(rd->at, " \t");
	size_t len = *s ? 1 : 0;

	if (word_char(*s) || (*s == '-' && isdigit((unsigned char)s[1])))
		while (word_char(s[len]))
			len++;
	for (size_t i = 0; i < ARRAY_SIZE(operators) && len == 1; i++)
		if (str_starts(s, operators[i]))
			len = 2;
	rd->at = s + len;
	len = MIN(len, sizeof(rd->token) - 1);
	memcpy(rd->token, s, len);
	rd->token[len] = '\0';
}

static bool is(const struct reader *rd, const char *token)
{
	return streq(rd->token, token);
}

static const char *here(const struct reader *rd)
{
	return rd->token[0] ? rd->token : "the end of the line";
}

static int unknown_constant(struct reader *rd)
{
	struct near_word near;
	char hint[64];

	near_init(&near, rd->token);
	near_offer_constants(&near);
	return FAIL(rd, "unknown constant %s%s; write a number or a name of weir-policy(5)", rd->token,
		    near_hint(&near, hint, sizeof(hint)));
}

/* A number or a constant, in the width of the argument. */
static int read_primary(struct reader *rd, uint64_t *ret)
{
	uint64_t limit = rd->width == 64 ? UINT64_MAX : BIT(rd->width) - 1;
	bool negative = rd->token[0] == '-';
	uint64_t v;

	if (!word_char(rd->token[0]) && !negative)
		return FAIL(rd, "a value is missing before %s; write a number or a constant", here(rd));
	if (isalpha((unsigned char)rd->token[0])) {
		if (policy_constant(rd->token, &v) < 0)
			return unknown_constant(rd);
	} else if (policy_parse_u64(rd->token + negative, &v) < 0) {
		return FAIL(rd, "%s is not a number; write it as 10, 0xa or 012", rd->token);
	}
	if (negative ? v > limit / 2 + 1 : v > limit)
		return FAIL(rd, "%s does not fit into the %u bits that the host looks at; write a smaller value",
			    rd->token, rd->width);
	*ret = (negative ? -v : v) & limit;
	next(rd);
	return 0;
}

/* V | V ..., perhaps in parentheses */
static int read_value(struct reader *rd, uint64_t *ret)
{
	bool paren = is(rd, "(");
	uint64_t sum = 0, v = 0;
	int r;

	if (paren)
		next(rd);
	for (;;) {
		r = read_primary(rd, &v);
		if (r < 0)
			return r;
		sum |= v;
		if (!is(rd, "|"))
			break;
		next(rd);
	}
	if (paren) {
		if (!is(rd, ")"))
			return FAIL(rd, "a ) is missing before %s", here(rd));
		next(rd);
	}
	*ret = sum;
	return 0;
}

/* in (V V ...) */
static int read_set(struct reader *rd, struct policy_test *t)
{
	int r;

	if (!is(rd, "("))
		return FAIL(rd, "'in' wants a list; write in (A B C)");
	for (next(rd); !is(rd, ")");) {
		if (t->nvalues == POLICY_MAX_SET)
			return FAIL(rd, "more than %d values in one list; write a second rule",
				    POLICY_MAX_SET);
		r = read_value(rd, &t->value[t->nvalues]);
		if (r < 0)
			return r;
		t->nvalues++;
		if (is(rd, ","))
			next(rd);
	}
	if (t->nvalues == 0)
		return FAIL(rd, "an empty list never holds; write in (A B C)");
	next(rd);
	return 0;
}

/* & MASK == V */
static int read_masked(struct reader *rd, struct policy_test *t)
{
	int r = read_value(rd, &t->mask);

	if (r < 0)
		return r;
	if (!is(rd, "=="))
		return FAIL(rd, "%s behind a mask; write ARG &MASK== VALUE", here(rd));
	next(rd);
	r = read_value(rd, &t->value[0]);
	if (r < 0)
		return r;
	if (t->mask == 0)
		return FAIL(rd, "a mask of 0 always holds; leave the test out");
	if (t->value[0] & ~t->mask)
		return FAIL(rd, "the value %#llx has bits that are not in the mask %#llx: it never holds",
			    (unsigned long long)t->value[0], (unsigned long long)t->mask);
	return 0;
}

static int read_argument(struct reader *rd, struct policy_test *t)
{
	const char *name = syscall_name(rd->nr);
	struct call_arg arg;
	struct near_word near;
	char list[128], hint[64];

	if (call_arg_find(rd->nr, rd->token, &arg) < 0) {
		near_init(&near, rd->token);
		for (unsigned i = 0; call_arg_at(rd->nr, i, &arg) == 0; i++)
			near_offer(&near, arg.name);
		call_arg_list(rd->nr, list, sizeof(list));
		return FAIL(rd, "%s has no argument %s%s; it has %s, or write arg0 to arg5", name,
			    here(rd), near_hint(&near, hint, sizeof(hint)), list[0] ? list : "none");
	}
	if (arg.width == 0)
		return FAIL(rd, "no width known for argument %u of %s, it cannot be tested; leave the test out",
			    arg.index, name);
	t->arg = arg.index;
	t->width = rd->width = arg.width;
	next(rd);
	return 0;
}

/* A comparison that holds always or never is a mistake. */
static int check_range(struct reader *rd, const struct policy_test *t)
{
	uint64_t limit = t->width == 64 ? UINT64_MAX : BIT(t->width) - 1;
	bool never = (t->op == TEST_LT && t->value[0] == 0) ||
		     (t->op == TEST_GT && t->value[0] == limit);
	bool always = (t->op == TEST_GE && t->value[0] == 0) ||
		      (t->op == TEST_LE && t->value[0] == limit);

	if (never || always)
		return FAIL(rd, "this comparison of an unsigned value %s holds; leave it out",
			    never ? "never" : "always");
	return 0;
}

static int read_test(struct reader *rd, struct policy_test *t)
{
	static const struct {
		const char *token;
		enum test_op op;
	} operators[] = {
		{ "==", TEST_EQ }, { "!=", TEST_NE }, { "<", TEST_LT },
		{ "<=", TEST_LE }, { ">", TEST_GT },  { ">=", TEST_GE },
	};
	int r = read_argument(rd, t);

	if (r < 0)
		return r;
	if (is(rd, "in")) {
		t->op = TEST_IN;
		next(rd);
		return read_set(rd, t);
	}
	t->nvalues = 1;
	if (is(rd, "&")) {
		t->op = TEST_MASKED_EQ;
		next(rd);
		return read_masked(rd, t);
	}
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
		if (!is(rd, operators[i].token))
			continue;
		t->op = operators[i].op;
		next(rd);
		r = read_value(rd, &t->value[0]);
		return r < 0 ? r : check_range(rd, t);
	}
	return FAIL(rd, "unknown test %s; write ==, !=, <, <=, >, >=, &MASK== or in (...)", here(rd));
}

static int read_tests(struct reader *rd, struct policy_rule *r)
{
	struct policy_test *kept;
	int ret;

	do {
		next(rd);
		if (r->ntests == POLICY_MAX_TESTS)
			return FAIL(rd, "more than %d tests in one rule; write fewer",
				    POLICY_MAX_TESTS);
		ret = read_test(rd, &rd->test[r->ntests]);
		if (ret < 0)
			return ret;
		r->ntests++;
	} while (is(rd, "and") || is(rd, "&&"));
	if (is(rd, "or") || is(rd, "||"))
		return FAIL(rd, "there is no 'or'; write a second rule for the same call");
	if (!is(rd, ""))
		return FAIL(rd, "%s is not expected here; write 'and' before a further test", rd->token);
	kept = policy_alloc(rd->ld->p, r->ntests * sizeof(*kept));
	if (!kept)
		return policy_no_memory(rd->ld->err);
	r->test = memcpy(kept, rd->test, r->ntests * sizeof(*kept));
	return 0;
}

static int read_lane(struct reader *rd, struct policy_rule *r)
{
	struct near_word near;
	char hint[64];

	r->by_default = is(rd, "default");
	if (r->by_default) {
		r->lane = LANE_DENY;
		next(rd);
		return 0;
	}
	for (int i = 0; i < NUM_LANES; i++) {
		if (is(rd, lane_str[i])) {
			r->lane = i;
			next(rd);
			return 0;
		}
	}
	near_init(&near, rd->token);
	for (int i = 0; i < NUM_LANES; i++)
		near_offer(&near, lane_str[i]);
	return FAIL(rd, "unknown lane %s%s; write pass, fix, trap, deny, kill, watch or default", here(rd),
		    near_hint(&near, hint, sizeof(hint)));
}

static int read_errno(struct reader *rd, struct policy_rule *r)
{
	struct near_word near;
	char hint[64];

	if (r->lane != LANE_DENY)
		return FAIL(rd, "%s behind %s; only deny takes an errno, a test begins with 'if'",
			    rd->token, lane_str[r->lane]);
	if (policy_parse_errno(rd->token, &r->err) < 0) {
		near_init(&near, rd->token);
		near_offer_errnos(&near);
		return FAIL(rd, "unknown errno %s%s; write a name such as EPERM or ENOSYS", rd->token,
			    near_hint(&near, hint, sizeof(hint)));
	}
	next(rd);
	return 0;
}

int policy_rule_parse(struct loader *ld, const struct policy_entry *e, struct policy_rule *r)
{
	struct reader rd = { .ld = ld, .e = e, .at = e->value, .nr = r->nr };
	int ret;

	r->ntests = 0;
	r->test = NULL;
	next(&rd);
	ret = read_lane(&rd, r);
	if (ret < 0)
		return ret;
	r->err = r->lane == LANE_DENY ? EPERM : 0;
	if (r->by_default && !is(&rd, ""))
		return FAIL(&rd, "%s behind default; default stands alone: it forgets the rules that were inherited",
			    rd.token);
	if (!is(&rd, "") && !is(&rd, "if")) {
		ret = read_errno(&rd, r);
		if (ret < 0)
			return ret;
	}
	if (is(&rd, "if"))
		return read_tests(&rd, r);
	if (!is(&rd, ""))
		return FAIL(&rd, "%s is not expected here; a test begins with 'if'", rd.token);
	return 0;
}

int policy_rule_add(struct loader *ld, const struct policy_rule *r)
{
	struct policy *p = ld->p;

	if (p->nrules == ld->rule_room) {
		size_t room = ld->rule_room ? 2 * ld->rule_room : 256;
		struct policy_rule *rules = realloc(p->rule, room * sizeof(*rules));

		if (!rules)
			return policy_no_memory(ld->err);
		p->rule = rules;
		ld->rule_room = room;
	}
	p->rule[p->nrules++] = *r;
	return 0;
}

static int apply_default(struct loader *ld, const struct policy_entry *e, struct policy_rule *r)
{
	int ret = policy_rule_parse(ld, e, r);

	if (ret < 0)
		return ret;
	if (r->by_default || r->ntests || (r->lane != LANE_DENY && r->lane != LANE_KILL))
		return policy_fail(ld->err, &e->pos,
				   "the default is for calls that nobody knows; write default = deny ENOSYS, deny EPERM or kill");
	ld->p->default_lane = r->lane;
	ld->p->default_err = r->err;
	ld->p->default_pos = e->pos;
	return 0;
}

/* A rule for each member; only tests have to be read anew for each. */
static int apply_group(struct loader *ld, const struct policy_entry *e, struct policy_rule *r)
{
	const struct call_group *g = call_group_find(e->key);
	struct near_word near;
	struct call_set set;
	char hint[64];
	bool again = true;

	if (!g) {
		near_init(&near, e->key);
		for (unsigned i = 0; call_group_at(i); i++)
			near_offer(&near, call_group_at(i)->name);
		return policy_fail(ld->err, &e->pos, "unknown group %s%s; weir-policy(5) lists them",
				   e->key, near_hint(&near, hint, sizeof(hint)));
	}
	call_group_expand(g, &set);
	for (r->nr = 0; r->nr < CALL_MAX_NR; r->nr++) {
		int ret = 0;

		if (!call_set_has(&set, r->nr))
			continue;
		if (again)
			ret = policy_rule_parse(ld, e, r);
		again = r->ntests > 0;
		if (ret == 0)
			ret = policy_rule_add(ld, r);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int unknown_call(struct loader *ld, const struct policy_entry *e)
{
	struct near_word near;
	char hint[64];

	near_init(&near, e->key);
	near_offer(&near, "default");
	for (int nr = 0; nr < CALL_MAX_NR; nr++)
		if (call_known(nr))
			near_offer(&near, syscall_name(nr));
	return policy_fail(ld->err, &e->pos,
			   "unknown system call %s%s; write a name that x86-64 has, or a @group",
			   e->key, near_hint(&near, hint, sizeof(hint)));
}

int policy_rule_apply(struct loader *ld, const struct policy_entry *e)
{
	struct policy_rule r = { .pos = e->pos };
	char *text = policy_alloc(ld->p, strlen(e->key) + strlen(" = ") + strlen(e->value) + 1);
	int ret;

	if (!text)
		return policy_no_memory(ld->err);
	stpcpy(stpcpy(stpcpy(text, e->key), " = "), e->value);
	r.text = text;
	if (streq(e->key, "default"))
		return apply_default(ld, e, &r);
	if (e->key[0] == '@')
		return apply_group(ld, e, &r);
	r.nr = syscall_number(e->key);
	if (r.nr < 0)
		return unknown_call(ld, e);
	ret = policy_rule_parse(ld, e, &r);
	return ret < 0 ? ret : policy_rule_add(ld, &r);
}
