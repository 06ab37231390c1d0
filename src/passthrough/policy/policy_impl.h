/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_impl.h - inside of the policy loader
 *
 * policy.c      finds files, follows inherit, puts the whole together
 * policy_text.c one text -> entries: SECTION, KEY, VALUE, line
 * policy_keys.c an entry of any section but [syscalls] -> struct policy
 * policy_caps.c those of [caps]
 * policy_check.c no key twice
 * policy_rule.c an entry of [syscalls] -> rules
 * policy_time.c those of [time], and the rules that a clock of the guest's needs
 * policy_travel.c those of [time] about time travel
 * policy_disk.c  those of [disk.N]
 * policy_net.c   those of [net.N]
 * policy_numbered.c the N of both
 * policy_ids.c  the rules that ids of the guest's own bring
 * policy_value.c numbers, sizes, durations, constants, errno names, near words
 */
#ifndef WEIR_PASSTHROUGH_POLICY_IMPL_H
#define WEIR_PASSTHROUGH_POLICY_IMPL_H

#include "passthrough/policy.h"
#include "passthrough/policy/groups.h"
#include "passthrough/policy/policy_value.h"

#define POLICY_MAX_RULES 256	/* rules with tests for one key in one file */

/* One "KEY = VALUE" of a file or of --set. */
struct policy_entry {
	const char *section, *key, *value;
	struct policy_pos pos;
};

struct policy_entries {
	struct policy_entry *entry;
	size_t n, room;
};

/* A policy while it is read. */
struct loader {
	struct policy *p;
	struct policy_error *err;
	size_t rule_room;
	struct policy_pos monotonic_pos, boottime_pos;
	bool shipped_only;
	unsigned depth;
	struct {
		const char *file;
		uint64_t dev, ino;
	} open[POLICY_MAX_INHERIT + 1];
};

/* Say what is wrong at a place; always returns -EINVAL. */
int policy_fail(struct policy_error *err, const struct policy_pos *pos, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* "FILE:LINE", or what there is instead of a line: "--set", "(built in)". */
const char *policy_pos_text(const struct policy_pos *pos, char *buf, size_t size);
#define POS_TEXT(pos) policy_pos_text((pos), (char[300]){ 0 }, 300)

/* "no memory"; always returns -ENOMEM. */
int policy_no_memory(struct policy_error *err);

/* Memory, aligned to 8 bytes and zeroed, or a string that lives as long as the
 * policy; NULL without memory. */
void *policy_alloc(struct policy *p, size_t size);
char *policy_strdup(struct policy *p, const char *s);
char *policy_strndup(struct policy *p, const char *s, size_t len);

/**
 * policy_text_parse() - Split the text of a file into entries
 * @file: its name, owned by the policy
 *
 * Refuses whatever inih would take in another sense than it is written in.
 */
int policy_text_parse(struct loader *ld, const char *file, const char *text, size_t len,
		      struct policy_entries *ret);

#define POLICY_SECTIONS "[policy] [guest] [namespaces] [ids] [caps] [time] [sched] [memory] [syscalls] [console] [disk.N] [net.N]"

/* Is @name a section that this version has? */
int policy_section_check(struct loader *ld, const struct policy_pos *pos, const char *name);

/* Refuse keys that are set twice in one file; reorders the entries. */
int policy_entries_check(struct loader *ld, struct policy_entries *all);

/* Use one entry; either section. */
int policy_key_apply(struct loader *ld, const struct policy_entry *e);
int policy_rule_apply(struct loader *ld, const struct policy_entry *e);

/* A key of any section that is yes or no. */
int policy_set_bool(struct loader *ld, const struct policy_entry *e, const char *key, bool *ret);

/* keep and drop of [caps]. */
int policy_set_keep(struct loader *ld, const struct policy_entry *e);
int policy_set_drop(struct loader *ld, const struct policy_entry *e);

/* Those of [time]. */
int policy_set_offset(struct loader *ld, const struct policy_entry *e);
int policy_set_realtime(struct loader *ld, const struct policy_entry *e);
int policy_set_rate(struct loader *ld, const struct policy_entry *e);
int policy_set_settable(struct loader *ld, const struct policy_entry *e);
int policy_set_idle(struct loader *ld, const struct policy_entry *e);
int policy_set_cpu(struct loader *ld, const struct policy_entry *e);
int policy_set_calendar(struct loader *ld, const struct policy_entry *e);
int policy_set_stamps(struct loader *ld, const struct policy_entry *e);

/* Sections with a number. */
struct numbered {
	const char *section, *noun;	/* "disk"; what one is, "network device" */
	const char *example;		/* a key */
	int max;			/* how many there may be, up to 100 */
};

/* Return: the number at the begin of @s, below @max, *rest behind it; -1 if there is none. */
int policy_number(const char *s, int max, const char **rest);

int policy_numbered_section(struct loader *ld, const struct numbered *t, const struct policy_pos *pos,
			    const char *name);

/* The number that an entry is of, and its key without it. */
int policy_numbered_key(struct loader *ld, const struct numbered *t, const struct policy_entry *e,
			const char **ret_key);

/* [disk.N]: is that a section, its keys, what it needs when all is read, as written. */
int policy_disk_section(struct loader *ld, const struct policy_pos *pos, const char *name);
int policy_disk_apply(struct loader *ld, const struct policy_entry *e);
int policy_disk_finish(struct loader *ld);
int policy_set_root(struct loader *ld, const struct policy_entry *e);
void policy_show_disks(const struct policy *p, struct _IO_FILE *f);

/* [net.N]: the same. */
int policy_net_section(struct loader *ld, const struct policy_pos *pos, const char *name);
int policy_net_apply(struct loader *ld, const struct policy_entry *e);
int policy_net_finish(struct loader *ld);
void policy_show_nets(const struct policy *p, struct _IO_FILE *f);

/* Those of [memory]; its keys as they are written in a policy. */
int policy_set_budget(struct loader *ld, const struct policy_entry *e);
int policy_set_release(struct loader *ld, const struct policy_entry *e);
int policy_set_floor(struct loader *ld, const struct policy_entry *e);
int policy_set_merge(struct loader *ld, const struct policy_entry *e);
int policy_set_weight(struct loader *ld, const struct policy_entry *e);
void policy_show_memory(const struct policy *p, struct _IO_FILE *f);
void policy_memory_defaults(struct policy_memory *m, const struct policy_pos *built_in);

/* What the keys of [memory] need of the others. */
int policy_memory_finish(struct loader *ld);

/* When all is read: what the keys of [time] need of each other, and the rules
 * that send the reading of a clock of the guest's own to the guest kernel. */
int policy_time_finish(struct loader *ld);

/* A long text in lines that are read again as the same. */
void policy_show_text(const char *s, struct _IO_FILE *f);
/* policy_wait.c: those of what waits by the clocks; the key waits =. */
int policy_wait_finish(struct loader *ld, const struct policy_pos *pos);
int policy_set_waits(struct loader *ld, const struct policy_entry *e);
const char *policy_waits_name(enum policy_waits w);
/* What the keys of time travel need of each other. */
int policy_travel_finish(struct loader *ld);
void policy_show_travel(const struct policy *p, struct _IO_FILE *f);

/* As they are written in a policy. */
void policy_show_time(const struct policy *p, struct _IO_FILE *f);

/* Read the right side of a rule for one call, without adding it. @r->nr is set. */
int policy_rule_parse(struct loader *ld, const struct policy_entry *e, struct policy_rule *r);

/* A rule that another key brings, for what passes without it. */
struct derived_rule {
	const char *call, *argument;	/* NULL: whatever its arguments */
	const char *lane;
	const char *const *values;	/* of the argument, by name; NULL behind the last */
	const char *level;		/* setsockopt: of the option, by name */
};

/* Add it for those of its values with which the call passes, if there are any. */
int policy_derive_where_passed(struct loader *ld, const struct derived_rule *t,
			       const struct policy_pos *pos);

/* A call that passes, with any arguments, is fixed instead. @text: the policy's. */
int policy_derive_fix(struct loader *ld, int nr, const struct policy_pos *pos, const char *text);

/* When all is read: the rules of [ids] uid = single. */
int policy_ids_finish(struct loader *ld);

/* Rules that follow from other keys; after all entries were used. */
int policy_derive(struct loader *ld);

/* Add a rule to the policy. */
int policy_rule_add(struct loader *ld, const struct policy_rule *r);

/* Further values, as policy_value.h's. */
int policy_parse_errno(const char *s, int *ret);
int policy_constant(const char *name, uint64_t *ret);
const char *policy_errno_name(int err);	/* NULL if it has none */
/* The first constant with this value whose name begins so, or NULL. */
const char *policy_constant_name(const char *prefix, uint64_t value);

/* The nearest of many words: offer each, then ask. */
struct near_word {
	const char *word;
	char best[40];
	unsigned distance;
};
void near_init(struct near_word *n, const char *word);
void near_offer(struct near_word *n, const char *candidate);
/* "; did you mean X" or "" */
const char *near_hint(struct near_word *n, char *buf, size_t size);
void near_offer_constants(struct near_word *n);
void near_offer_errnos(struct near_word *n);

#endif
