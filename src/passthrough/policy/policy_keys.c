/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_keys.c - an entry of any section but [syscalls]
 *
 * A table of keys, each with the function that reads its value.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/util.h"
#include "passthrough/policy/policy_impl.h"

#define FAIL(ld, e, ...) policy_fail((ld)->err, &(e)->pos, __VA_ARGS__)

#define MIN_MEMORY (UINT64_C(4) << 20)
#define MAX_NAME 64	/* what uname(2) can hold */

const char *const policy_ns_str[POLICY_NUM_NS] = {
	[POLICY_NS_USER] = "user", [POLICY_NS_PID] = "pid",   [POLICY_NS_MNT] = "mnt",
	[POLICY_NS_UTS] = "uts",   [POLICY_NS_IPC] = "ipc",   [POLICY_NS_NET] = "net",
	[POLICY_NS_TIME] = "time", [POLICY_NS_CGROUP] = "cgroup",
};

static const char *const writable_str[] = {
	[WRITABLE_AUTO] = "auto", [WRITABLE_NO] = "no",
	[WRITABLE_OVERLAY] = "overlay", [WRITABLE_YES] = "yes",
};

static int set_string(struct loader *ld, const char *value, char **ret)
{
	*ret = policy_strdup(ld->p, value);
	return *ret ? 0 : policy_no_memory(ld->err);
}

int policy_set_bool(struct loader *ld, const struct policy_entry *e, const char *key, bool *ret)
{
	if (!streq(e->value, "yes") && !streq(e->value, "no"))
		return FAIL(ld, e, "%s = %s; write yes or no", key, e->value);
	*ret = streq(e->value, "yes");
	return 0;
}

static int set_name(struct loader *ld, const struct policy_entry *e)
{
	size_t len = strlen(e->value);

	if (len == 0 || len > MAX_NAME ||
	    strspn(e->value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != len)
		return FAIL(ld, e, "'%s' is not a name; write letters, digits, '.', '_' and '-'",
			    e->value);
	return set_string(ld, e->value, &ld->p->name);
}

static int set_description(struct loader *ld, const struct policy_entry *e)
{
	return set_string(ld, e->value, &ld->p->description);
}

/* policy.c has followed it before any other entry was used. */
static int set_inherit(struct loader *ld, const struct policy_entry *e)
{
	if (e->pos.line == 0)
		return FAIL(ld, e, "inherit is for files; choose another policy with -p");
	return 0;
}

static int set_init(struct loader *ld, const struct policy_entry *e)
{
	if (e->value[0] != '/')
		return FAIL(ld, e, "init = %s is not a path from the guest's root; write init = /sbin/init",
			    e->value);
	return set_string(ld, e->value, &ld->p->init);
}

static bool valid_hostname(const char *s)
{
	size_t len = strlen(s);
	char before = '.';

	if (len == 0 || len > MAX_NAME)
		return false;
	for (; *s; before = *s++)
		if (!isalnum((unsigned char)*s) && (!strchr("-.", *s) || before == '.'))
			return false;
		else if (*s == '.' && before == '-')
			return false;
	return before != '-' && before != '.';
}

static int set_hostname(struct loader *ld, const struct policy_entry *e)
{
	if (!valid_hostname(e->value))
		return FAIL(ld, e, "'%s' is not a host name; write up to %d letters, digits, '-' and '.'",
			    e->value, MAX_NAME);
	return set_string(ld, e->value, &ld->p->hostname);
}

static int set_vcpus(struct loader *ld, const struct policy_entry *e)
{
	uint64_t v = 0;

	if (!streq(e->value, "host") && (policy_parse_u64(e->value, &v) < 0 || v < 1 || v > 1024))
		return FAIL(ld, e, "vcpus = %s; write a number from 1 to 1024, or host", e->value);
	ld->p->vcpus = v;
	ld->p->vcpus_pos = e->pos;
	return 0;
}

static int set_memory(struct loader *ld, const struct policy_entry *e)
{
	uint64_t v = 0;

	if (!streq(e->value, "unlimited") &&
	    (policy_parse_size(e->value, &v) < 0 || v < MIN_MEMORY))
		return FAIL(ld, e, "memory = %s; write a size of at least 4M such as 512M or 2G, or unlimited",
			    e->value);
	ld->p->memory = v;
	ld->p->memory_pos = e->pos;
	return 0;
}

static int set_writable(struct loader *ld, const struct policy_entry *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(writable_str); i++)
		if (streq(e->value, writable_str[i])) {
			ld->p->writable = i;
			ld->p->writable_pos = e->pos;
			return 0;
		}
	return FAIL(ld, e, "writable = %s; write no, overlay, yes or auto", e->value);
}

static int set_kernel_release(struct loader *ld, const struct policy_entry *e)
{
	size_t len = strlen(e->value);

	for (const char *s = e->value; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("._+~-", *s))
			len = 0;
	if (len == 0 || len > MAX_NAME)
		return FAIL(ld, e, "kernel_release = %s is not one; write something like 6.1.0-weir",
			    e->value);
	ld->p->kernel_release_pos = e->pos;
	return set_string(ld, e->value, &ld->p->kernel_release);
}

static int set_cwd(struct loader *ld, const struct policy_entry *e)
{
	if (e->value[0] != '/')
		return FAIL(ld, e, "cwd = %s is not a path from the guest's root; write cwd = /", e->value);
	return set_string(ld, e->value, &ld->p->cwd);
}

static int set_hotplug(struct loader *ld, const struct policy_entry *e)
{
	return policy_set_bool(ld, e, "hotplug", &ld->p->hotplug);
}

/* env.NAME = VALUE; a later one replaces an earlier. */
static int set_env(struct loader *ld, const struct policy_entry *e)
{
	const char *name = e->key + strlen("env.");
	size_t len = strlen(name), i;
	char *text;

	if (len == 0 || isdigit((unsigned char)*name) || strspn(name,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != len)
		return FAIL(ld, e, "'%s' is not the name of a variable; write env.NAME = VALUE", name);
	for (i = 0; ld->p->env[i]; i++)
		if (strncmp(ld->p->env[i], name, len) == 0 && ld->p->env[i][len] == '=')
			break;
	if (i == POLICY_MAX_ENV)
		return FAIL(ld, e, "more than %d variables; set the others in the guest",
			    POLICY_MAX_ENV);
	text = policy_strndup(ld->p, "", len + 1 + strlen(e->value));
	if (!text)
		return policy_no_memory(ld->err);
	sprintf(text, "%s=%s", name, e->value);
	ld->p->env[i] = text;
	return 0;
}

/* Namespaces that every guest has of its own, and why. */
static const char *const ns_own[POLICY_NUM_NS] = {
	[POLICY_NS_PID] = "a guest ends with the first process of its pid namespace",
	[POLICY_NS_MNT] = "a guest's root needs a mount namespace of its own",
};

static int set_namespace(struct loader *ld, const struct policy_entry *e)
{
	struct policy_namespace *ns = ld->p->ns;
	int i;

	for (i = 0; i < POLICY_NUM_NS; i++)
		if (streq(e->key, policy_ns_str[i]))
			break;
	ns += i;
	ns->pos = e->pos;
	ns->path = NULL;
	if (streq(e->value, "new")) {
		ns->mode = NS_MODE_NEW;
		return 0;
	}
	if (!streq(e->value, "host") && e->value[0] != '/')
		return FAIL(ld, e, "%s = %s; write new%s", e->key, e->value,
			    ns_own[i] ? "" : ", host or the path of a namespace");
	if (ns_own[i])
		return FAIL(ld, e, "%s = %s: %s; write new", e->key, e->value, ns_own[i]);
	if (streq(e->value, "host")) {
		ns->mode = NS_MODE_HOST;
		return 0;
	}
	ns->mode = NS_MODE_JOIN;
	return set_string(ld, e->value, &ns->path);
}

/* Do two runs of ids meet? 64 bits: an end may be 2^32. */
static bool meet(uint64_t a, uint64_t b, uint64_t na, uint64_t nb)
{
	return a < b + nb && b < a + na;
}

static int add_extent(struct loader *ld, const struct policy_entry *e, struct policy_ids *ids,
		      const uint64_t v[3])
{
	struct policy_extent x = { v[0], v[1], v[2] };

	for (int i = 0; i < 3; i++)
		if (v[i] > UINT32_MAX)
			return FAIL(ld, e, "%llu is not an id; ids have 32 bits",
				    (unsigned long long)v[i]);
	/* -1 is no id. */
	if (v[2] == 0 || v[0] + v[2] > UINT32_MAX || v[1] + v[2] > UINT32_MAX)
		return FAIL(ld, e, "%u %u %u is empty or goes beyond the last id; write GUEST HOST COUNT",
			    x.guest, x.host, x.count);
	for (unsigned i = 0; i < ids->nextents; i++) {
		const struct policy_extent *o = &ids->extent[i];

		if (meet(o->guest, x.guest, o->count, x.count) ||
		    meet(o->host, x.host, o->count, x.count))
			return FAIL(ld, e, "%u %u %u overlaps %u %u %u; every id may be mapped once",
				    x.guest, x.host, x.count, o->guest, o->host, o->count);
	}
	if (ids->nextents == POLICY_MAX_EXTENTS)
		return FAIL(ld, e, "more than %d ranges of ids; write fewer", POLICY_MAX_EXTENTS);
	ids->extent[ids->nextents++] = x;
	return 0;
}

/* GUEST HOST COUNT, GUEST HOST COUNT ... */
static int read_extents(struct loader *ld, const struct policy_entry *e, struct policy_ids *ids)
{
	const char *s = e->value;

	for (;;) {
		uint64_t v[3];

		for (int i = 0; i < 3; i++) {
			char word[24];
			size_t len;

			s += strspn(s, " \t");
			len = strspn(s, "0123456789");
			snprintf(word, sizeof(word), "%.*s", (int)len, s);
			if (len >= sizeof(word) || policy_parse_u64(word, &v[i]) < 0 ||
			    (len > 1 && s[0] == '0'))
				return FAIL(ld, e, "%s = %s; write auto, single, or GUEST HOST COUNT with commas between several",
					    e->key, e->value);
			s += len;
		}
		s += strspn(s, " \t");
		int r = add_extent(ld, e, ids, v);
		if (r < 0)
			return r;
		if (!*s)
			return 0;
		if (*s != ',')
			return FAIL(ld, e, "'%s' behind a range; write a comma between ranges", s);
		s++;
	}
}

static int set_ids(struct loader *ld, const struct policy_entry *e)
{
	struct policy_ids *ids = streq(e->key, "uid") ? &ld->p->uid : &ld->p->gid;

	*ids = (struct policy_ids){ .pos = e->pos };
	if (streq(e->value, "auto")) {
		ids->mode = IDS_AUTO;
		return 0;
	}
	if (streq(e->value, "single")) {
		ids->mode = IDS_SINGLE;
		return 0;
	}
	ids->mode = IDS_RANGE;
	return read_extents(ld, e, ids);
}

static int set_no_new_privs(struct loader *ld, const struct policy_entry *e)
{
	return policy_set_bool(ld, e, "no_new_privs", &ld->p->no_new_privs);
}

const char *const policy_sched_source_str[] = {
	[SCHED_SOURCE_AUTO] = "auto", [SCHED_SOURCE_PERF] = "perf", [SCHED_SOURCE_TRAPS] = "traps",
};

const char *const policy_sched_placement_str[NUM_PLACEMENTS] = {
	[PLACEMENT_AUTO] = "auto", [PLACEMENT_SPREAD] = "spread",
	[PLACEMENT_PACK] = "pack", [PLACEMENT_OFF] = "off",
};

static int set_sched_source(struct loader *ld, const struct policy_entry *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(policy_sched_source_str); i++)
		if (streq(e->value, policy_sched_source_str[i])) {
			ld->p->sched_source = i;
			ld->p->sched_source_pos = e->pos;
			return 0;
		}
	return FAIL(ld, e, "source = %s; write perf, traps or auto", e->value);
}

static int set_placement(struct loader *ld, const struct policy_entry *e)
{
	for (size_t i = 0; i < NUM_PLACEMENTS; i++)
		if (streq(e->value, policy_sched_placement_str[i])) {
			ld->p->placement = i;
			ld->p->placement_pos = e->pos;
			return 0;
		}
	return FAIL(ld, e, "placement = %s; write auto, spread, pack or off", e->value);
}

static int set_console(struct loader *ld, const struct policy_entry *e)
{
	static const struct {
		const char *value;
		enum console_kind kind;
	} kinds[] = {
		{ "auto", CONSOLE_AUTO }, { "pty", CONSOLE_PTY },
		{ "fd:0,fd:1", CONSOLE_FD }, { "null", CONSOLE_NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (streq(kinds[i].value, e->value)) {
			ld->p->console = kinds[i].kind;
			return 0;
		}
	return FAIL(ld, e, "con0 = %s; write auto, pty, fd:0,fd:1 or null", e->value);
}

/* clang-format off */
static const struct key {
	const char *section, *key;
	int (*set)(struct loader *ld, const struct policy_entry *e);
} keys[] = {
	{ "policy",	"name",			set_name },
	{ "policy",	"inherit",		set_inherit },
	{ "policy",	"description",		set_description },
	{ "guest",	"init",			set_init },
	{ "guest",	"hostname",		set_hostname },
	{ "guest",	"vcpus",		set_vcpus },
	{ "guest",	"memory",		set_memory },
	{ "guest",	"root",			policy_set_root },
	{ "guest",	"writable",		set_writable },
	{ "guest",	"kernel_release",	set_kernel_release },
	{ "guest",	"cwd",			set_cwd },
	{ "guest",	"hotplug",		set_hotplug },
	{ "namespaces",	"user",			set_namespace },
	{ "namespaces",	"pid",			set_namespace },
	{ "namespaces",	"mnt",			set_namespace },
	{ "namespaces",	"uts",			set_namespace },
	{ "namespaces",	"ipc",			set_namespace },
	{ "namespaces",	"net",			set_namespace },
	{ "namespaces",	"time",			set_namespace },
	{ "namespaces",	"cgroup",		set_namespace },
	{ "ids",	"uid",			set_ids },
	{ "ids",	"gid",			set_ids },
	{ "caps",	"keep",			policy_set_keep },
	{ "caps",	"drop",			policy_set_drop },
	{ "caps",	"no_new_privs",		set_no_new_privs },
	{ "time",	"realtime",		policy_set_realtime },
	{ "time",	"monotonic",		policy_set_offset },
	{ "time",	"boottime",		policy_set_offset },
	{ "time",	"rate",			policy_set_rate },
	{ "time",	"settable",		policy_set_settable },
	{ "time",	"waits",		policy_set_waits },
	{ "time",	"stamps",		policy_set_stamps },
	{ "time",	"idle",			policy_set_idle },
	{ "time",	"cpu",			policy_set_cpu },
	{ "time",	"calendar",		policy_set_calendar },
	{ "sched",	"source",		set_sched_source },
	{ "sched",	"placement",		set_placement },
	{ "memory",	"budget",		policy_set_budget },
	{ "memory",	"release",		policy_set_release },
	{ "memory",	"floor",		policy_set_floor },
	{ "memory",	"merge",		policy_set_merge },
	{ "memory",	"weight",		policy_set_weight },
	{ "console",	"con0",			set_console },
};
/* clang-format on */

static const char *const sections[] = {
	"policy", "guest", "namespaces", "ids", "caps", "time", "sched", "memory", "syscalls", "console",
};

/* Words of the language that this version does not have; "x." stands for x.0, x.1 ... */
static const char *const later[] = {
	"hostfs.", "watchdog", "mconsole",
};

int policy_section_check(struct loader *ld, const struct policy_pos *pos, const char *name)
{
	struct near_word near;
	char hint[64];

	for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
		if (streq(name, sections[i]))
			return 0;
	if (streq(name, "disk") || str_starts(name, "disk."))
		return policy_disk_section(ld, pos, name);
	if (streq(name, "net") || str_starts(name, "net."))
		return policy_net_section(ld, pos, name);
	for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
		size_t len = strlen(later[i]);
		bool dot = later[i][len - 1] == '.';

		/* --set writes disk.0.image: there the section ends at the first dot. */
		if (streq(name, later[i]) || (dot && strncmp(name, later[i], len) == 0) ||
		    (dot && strlen(name) == len - 1 && strncmp(name, later[i], len - 1) == 0))
			return policy_fail(ld->err, pos,
					   "[%s] is not in this version of weir; leave the section out",
					   name);
	}
	near_init(&near, name);
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
		near_offer(&near, sections[i]);
	return policy_fail(ld->err, pos, "unknown section [%s]%s; known are %s", name,
			   near_hint(&near, hint, sizeof(hint)), POLICY_SECTIONS);
}

int policy_key_apply(struct loader *ld, const struct policy_entry *e)
{
	struct near_word near;
	char hint[64], known[160] = "";
	size_t len = 0;

	if (streq(e->section, "guest") && str_starts(e->key, "env."))
		return set_env(ld, e);
	if (streq(e->section, "disk") || str_starts(e->section, "disk."))
		return policy_disk_apply(ld, e);
	if (streq(e->section, "net") || str_starts(e->section, "net."))
		return policy_net_apply(ld, e);
	near_init(&near, e->key);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!streq(keys[i].section, e->section))
			continue;
		if (streq(keys[i].key, e->key))
			return keys[i].set(ld, e);
		near_offer(&near, keys[i].key);
		if (len < sizeof(known))
			len += snprintf(known + len, sizeof(known) - len, "%s%s", len ? ", " : "",
					keys[i].key);
	}
	return FAIL(ld, e, "unknown key %s in [%s]%s; known are %s%s", e->key, e->section,
		    near_hint(&near, hint, sizeof(hint)), known,
		    streq(e->section, "guest") ? ", env.NAME" : "");
}
