/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_check.c - what one file may not say twice
 *
 * A key is set once in a file. Rules of [syscalls] may share a key if their
 * tests differ; the one without a test must be the first of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/lanes.h"
#include "passthrough/policy/policy_impl.h"

static int by_key(const void *va, const void *vb)
{
	const struct policy_entry *a = va, *b = vb;
	int r = a->section == b->section ? 0 : strcmp(a->section, b->section);

	if (r == 0)
		r = strcmp(a->key, b->key);
	return r ? r : a->pos.line - b->pos.line;
}

/* Some call that a key of [syscalls] stands for. */
static int first_call(const char *key)
{
	const struct call_group *g = key[0] == '@' ? call_group_find(key) : NULL;
	struct call_set set;

	if (!g)
		return syscall_number(key);
	call_group_expand(g, &set);
	for (int nr = 0; nr < CALL_MAX_NR; nr++)
		if (call_set_has(&set, nr))
			return nr;
	return -ENOENT;
}

static int set_twice(struct loader *ld, const struct policy_entry *a, const struct policy_entry *b,
		     const char *what)
{
	return policy_fail(ld->err, &b->pos, "%s%s is already set in line %d; remove one of the two",
			   b->key, what, a->pos.line);
}

/* The rules of one key: each with other tests, and the one without a test first. */
static int check_rules(struct loader *ld, const struct policy_entry *e, size_t n)
{
	cleanup_free struct policy_rule *rule = NULL;

	if (streq(e->key, "default"))
		return set_twice(ld, &e[0], &e[1], "");
	if (n > POLICY_MAX_RULES)
		return policy_fail(ld->err, &e[POLICY_MAX_RULES].pos,
				   "more than %d rules for %s in one file; join their values with in (...)",
				   POLICY_MAX_RULES, e->key);
	rule = calloc(n, sizeof(*rule));
	if (!rule)
		return policy_no_memory(ld->err);
	for (size_t i = 0; i < n; i++) {
		int r;

		rule[i].nr = first_call(e->key);
		r = policy_rule_parse(ld, &e[i], &rule[i]);
		if (r < 0)
			return r;
		for (size_t k = 0; k < i; k++)
			if (rule[k].ntests == rule[i].ntests &&
			    (rule[i].ntests == 0 ||
			     !memcmp(rule[k].test, rule[i].test,
				     rule[i].ntests * sizeof(rule[i].test[0]))))
				return set_twice(ld, &e[k], &e[i],
						 rule[i].ntests ? " with these tests" : "");
		if (i > 0 && rule[i].ntests == 0)
			return policy_fail(ld->err, &e[i - 1].pos,
					   "this rule is never reached: line %d, without a test, comes later and replaces it; write that line first",
					   e[i].pos.line);
	}
	return 0;
}

int policy_entries_check(struct loader *ld, struct policy_entries *all)
{
	size_t n;

	if (all->n == 0)
		return 0;
	qsort(all->entry, all->n, sizeof(all->entry[0]), by_key);
	for (size_t i = 0; i < all->n; i += n) {
		const struct policy_entry *e = &all->entry[i];
		int r = 0;

		for (n = 1; i + n < all->n; n++)
			if (!streq(e[n].section, e->section) || !streq(e[n].key, e->key))
				break;
		if (n > 1 && streq(e->section, "syscalls"))
			r = check_rules(ld, e, n);
		else if (n > 1)
			r = set_twice(ld, &e[0], &e[1], "");
		if (r < 0)
			return r;
	}
	return 0;
}
