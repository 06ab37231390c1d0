/* SPDX-License-Identifier: Apache-2.0 */
/*
 * groups.h - what weir knows of system calls: names, arguments, @groups
 *
 * syscall_name() and syscall_number() are declared in lanes.h.
 */
#ifndef WEIR_PASSTHROUGH_GROUPS_H
#define WEIR_PASSTHROUGH_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALL_MAX_NR 1024	/* as LANES_MAX_NR */

/* A set of system calls, a bit each. */
struct call_set {
	uint64_t word[CALL_MAX_NR / 64];
};

static inline bool call_set_has(const struct call_set *s, int nr)
{
	return s->word[nr / 64] >> (nr % 64) & 1;
}

static inline void call_set_add(struct call_set *s, int nr)
{
	s->word[nr / 64] |= UINT64_C(1) << (nr % 64);
}

/* Has this number a name? */
bool call_known(int nr);

/* One argument of a call. */
struct call_arg {
	char name[20];
	unsigned index;		/* 0..5 */
	unsigned width;		/* 16, 32, 64; 0: not known, cannot be tested */
};

/**
 * call_arg_find() - An argument by its name, or by "argN"
 *
 * Return: 0, -ENOENT if the call has no such argument.
 */
int call_arg_find(int nr, const char *name, struct call_arg *ret);

/* An argument by its number; -ENOENT if weir knows of none. */
int call_arg_at(int nr, unsigned index, struct call_arg *ret);

/* The named arguments of a call as "fd, cmd, arg", for messages. */
void call_arg_list(int nr, char *buf, size_t size);

struct call_group {
	const char *name;	/* "@mount" */
	const char *what;	/* one line */
	const char *members;	/* names and other groups; NULL: every known call */
};

const struct call_group *call_group_find(const char *name);
void call_group_expand(const struct call_group *g, struct call_set *ret);

/* All groups, for listings and "did you mean"; NULL behind the last. */
const struct call_group *call_group_at(unsigned i);

#endif
