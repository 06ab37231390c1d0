/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_time.c - the keys of [time], and the rules that they bring
 *
 * A guest with clocks of its own reads them without a call, see image.h. For
 * that the first calls of a fresh image have to stop; and whatever reads a
 * clock by a call has to be answered by the guest kernel. These rules are
 * added to the policy's own, where `weir policy explain` and `show` name them,
 * and only where the policy lets the call pass: they never open anything.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kernel/util.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy/policy_impl.h"

#define FAIL(ld, e, ...) policy_fail((ld)->err, &(e)->pos, __VA_ARGS__)

#define RATE_MAX 1000			/* times as fast, and as slow */
#define INSTANT_MAX_YEAR 2231		/* what clock_settime(2) of Linux takes: 2^63 ns, less 30 years */

/* "10", "0.1": up to nine digits behind the point. */
int policy_parse_rate(const char *s, uint64_t *ret)
{
	uint64_t v = 0, unit = POLICY_RATE_ONE;
	size_t whole = strspn(s, "0123456789"), part = 0;

	if (whole == 0 || whole > 4)
		return -EINVAL;
	for (size_t i = 0; i < whole; i++)
		v = v * 10 + (s[i] - '0');
	v *= POLICY_RATE_ONE;
	s += whole;
	if (*s == '.') {
		s++;
		part = strspn(s, "0123456789");
		if (part == 0 || part > 9)
			return -EINVAL;
		for (size_t i = 0; i < part; i++) {
			unit /= 10;
			v += unit * (s[i] - '0');
		}
	}
	if (s[part] || v > RATE_MAX * POLICY_RATE_ONE || (v && v < POLICY_RATE_ONE / RATE_MAX))
		return -EINVAL;
	*ret = v;
	return 0;
}

/* Days since 1970 of a date of the Gregorian calendar; years begin in March here,
 * so that the leap day is the last. */
static int64_t days_of(int year, int month, int day)
{
	int y = month <= 2 ? year - 1 : year, m = (month + 9) % 12;
	int64_t before = (int64_t)y * 365 + y / 4 - y / 100 + y / 400;

	return before + (m * 306 + 5) / 10 + day - 1 - 719468;
}

static int days_in(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* As many digits as asked for, and what must follow; NULL if they do not. */
static const char *digits(const char *s, unsigned n, char behind, int *ret)
{
	*ret = 0;
	for (; n; n--, s++) {
		if (*s < '0' || *s > '9')
			return NULL;
		*ret = *ret * 10 + (*s - '0');
	}
	return *s == behind ? s + 1 : NULL;
}

/* "2038-01-19T03:14:00Z" (RFC 3339), UTC. */
int policy_parse_instant(const char *s, int64_t *ret_ns)
{
	static const char behind[] = "--T::Z";
	static const unsigned width[] = { 4, 2, 2, 2, 2, 2 };
	int v[6];

	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		s = digits(s, width[i], behind[i], &v[i]);
		if (!s)
			return -EINVAL;
	}
	if (*s || v[0] < 1970 || v[0] > INSTANT_MAX_YEAR || v[1] < 1 || v[1] > 12 || v[2] < 1 ||
	    v[2] > days_in(v[0], v[1]) || v[3] > 23 || v[4] > 59 || v[5] > 59)
		return -EINVAL;
	*ret_ns = (days_of(v[0], v[1], v[2]) * 86400 + v[3] * 3600 + v[4] * 60 + v[5]) *
		  (int64_t)NSEC_PER_SEC;
	return 0;
}

int policy_set_offset(struct loader *ld, const struct policy_entry *e)
{
	bool boottime = streq(e->key, "boottime");
	int64_t ns = 0;

	if (!streq(e->value, "host") && policy_parse_duration(e->value, &ns) < 0)
		return FAIL(ld, e, "%s = %s; write host, or a sign and a duration such as +3d, +90s or -2h",
			    e->key, e->value);
	*(boottime ? &ld->p->boottime_offset_ns : &ld->p->monotonic_offset_ns) = ns;
	*(boottime ? &ld->boottime_pos : &ld->monotonic_pos) = e->pos;
	return 0;
}

int policy_set_realtime(struct loader *ld, const struct policy_entry *e)
{
	struct policy_clock *c = &ld->p->clock;
	int64_t ns = 0;

	if (streq(e->value, "host"))
		c->realtime = REALTIME_HOST;
	else if (policy_parse_duration(e->value, &ns) == 0)
		c->realtime = ns ? REALTIME_OFFSET : REALTIME_HOST;
	else if (policy_parse_instant(e->value, &ns) == 0)
		c->realtime = REALTIME_AT;
	else
		return FAIL(ld, e, "realtime = %s; write host, a sign and a duration such as +3d or -1h30m, or a time in UTC such as 2038-01-19T03:14:00Z",
			    e->value);
	c->ns = ns;
	c->realtime_pos = e->pos;
	return 0;
}

int policy_set_rate(struct loader *ld, const struct policy_entry *e)
{
	if (policy_parse_rate(e->value, &ld->p->clock.rate) < 0)
		return FAIL(ld, e, "rate = %s; write a number from 0.001 to 1000 such as 10 or 0.1, or 0 for clocks that stand still",
			    e->value);
	ld->p->clock.rate_pos = e->pos;
	return 0;
}

int policy_set_settable(struct loader *ld, const struct policy_entry *e)
{
	ld->p->clock.settable_pos = e->pos;
	return policy_set_bool(ld, e, "settable", &ld->p->clock.settable);
}

int policy_set_stamps(struct loader *ld, const struct policy_entry *e)
{
	if (!streq(e->value, "raw") && !streq(e->value, "guest"))
		return FAIL(ld, e, "stamps = %s; write guest, for times of files on the guest's clock, or raw, for the host's",
			    e->value);
	ld->p->clock.guest_stamps = streq(e->value, "guest");
	ld->p->clock.stamps_pos = e->pos;
	return 0;
}

/* ---- rules -------------------------------------------------------------- */

/* What a call needs when the guest has clocks of its own. */
static const struct derived_rule time_rules[] = {
	/* the first calls of a fresh image */
	{ "brk", "brk", "trap", (const char *const[]){ "0", NULL } },
	{ "arch_prctl", "code", "trap", (const char *const[]){ "ARCH_SET_FS", NULL } },
	/* a second vDSO would be the host's clock */
	{ "arch_prctl", "code", "deny EPERM",
	  (const char *const[]){ "ARCH_MAP_VDSO_X32", "ARCH_MAP_VDSO_32", "ARCH_MAP_VDSO_64", NULL } },
	/* readings by a call */
	{ "clock_gettime", "clockid", "fix",
	  (const char *const[]){ "CLOCK_REALTIME", "CLOCK_MONOTONIC", "CLOCK_MONOTONIC_RAW",
				 "CLOCK_REALTIME_COARSE", "CLOCK_MONOTONIC_COARSE", "CLOCK_BOOTTIME",
				 "CLOCK_REALTIME_ALARM", "CLOCK_BOOTTIME_ALARM", "CLOCK_TAI", NULL } },
	{ "gettimeofday", NULL, "fix", NULL },
	{ "time", NULL, "fix", NULL },
	/* the host's time of a packet, in a control message that does not stop */
	{ "setsockopt", "optname", "fix",
	  (const char *const[]){ "SO_TIMESTAMP_OLD", "SO_TIMESTAMPNS_OLD", "SO_TIMESTAMPING_OLD",
				 "SO_TIMESTAMP_NEW", "SO_TIMESTAMPNS_NEW", "SO_TIMESTAMPING_NEW", NULL },
	  "SOL_SOCKET" },
	/* and of the last one: none had one */
	{ "ioctl", "cmd", "deny ENOENT",
	  (const char *const[]){ "SIOCGSTAMP_OLD", "SIOCGSTAMPNS_OLD", "SIOCGSTAMP_NEW",
				 "SIOCGSTAMPNS_NEW", NULL } },
};

/* And when the times of files are on that clock, too: what shows or sets them. */
static const struct derived_rule stamp_rules[] = {
	{ "stat", NULL, "fix", NULL },	    { "fstat", NULL, "fix", NULL },
	{ "lstat", NULL, "fix", NULL },	    { "newfstatat", NULL, "fix", NULL },
	{ "statx", NULL, "fix", NULL },	    { "utime", NULL, "fix", NULL },
	{ "utimes", NULL, "fix", NULL },    { "futimesat", NULL, "fix", NULL },
	{ "utimensat", NULL, "fix", NULL },
};

static uint64_t value_of(const char *name)
{
	uint64_t value = 0;

	if (name && policy_constant(name, &value) < 0)
		policy_parse_u64(name, &value);
	return value;
}

/* Does a call with this in one argument, a level if it has one, and 0 in the others,
 * pass? */
static bool call_passes(const struct policy *p, int nr, const struct derived_rule *t,
			const char *value)
{
	struct call_arg which = { .index = 0 }, level = { .index = 0 };
	uint64_t arg[6] = { 0 };

	if (t->level && call_arg_find(nr, "level", &level) == 0)
		arg[level.index] = value_of(t->level);
	if (t->argument && call_arg_find(nr, t->argument, &which) == 0)
		arg[which.index] = value_of(value);
	for (size_t i = p->nrules; i > 0; i--) {
		const struct policy_rule *r = &p->rule[i - 1];

		if (r->nr == nr && policy_rule_holds(r, arg))
			return lane_passes(r->lane);
	}
	return false;
}

/* " A B" of those values with which the call passes. */
static size_t passing_values(const struct policy *p, int nr, const struct derived_rule *t, char *buf,
			     size_t size)
{
	size_t n = 0;

	for (const char *const *name = t->values; *name; name++)
		if (call_passes(p, nr, t, *name))
			n += snprintf(buf + n, size - n, "%s%s", n ? " " : "", *name);
	return n;
}

int policy_derive_where_passed(struct loader *ld, const struct derived_rule *t,
			       const struct policy_pos *pos)
{
	struct policy_rule r = { .nr = syscall_number(t->call), .pos = *pos };
	struct policy_entry e = { .section = "syscalls", .key = t->call, .pos = *pos };
	char values[256] = "", value[320], text[400];
	int ret;

	if (t->values ? !passing_values(ld->p, r.nr, t, values, sizeof(values)) :
			!call_passes(ld->p, r.nr, t, NULL))
		return 0;
	if (t->values)
		snprintf(value, sizeof(value), "%s if %s%s%s%s in (%s)", t->lane,
			 t->level ? "level == " : "", t->level ? t->level : "",
			 t->level ? " and " : "", t->argument, values);
	else
		snprintf(value, sizeof(value), "%s", t->lane);
	snprintf(text, sizeof(text), "%s = %s", t->call, value);
	e.value = value;
	r.text = policy_strdup(ld->p, text);
	if (!r.text)
		return policy_no_memory(ld->err);
	ret = policy_rule_parse(ld, &e, &r);
	return ret < 0 ? ret : policy_rule_add(ld, &r);
}

/* The line that gives the guest clocks of its own. */
static const struct policy_pos *clock_pos(const struct policy_clock *c)
{
	if (c->realtime != REALTIME_HOST)
		return &c->realtime_pos;
	if (c->rate != POLICY_RATE_ONE)
		return &c->rate_pos;
	return c->settable ? &c->settable_pos : &c->idle_pos;
}

static int add_time_rules(struct loader *ld, const struct derived_rule *t, size_t n,
			  const struct policy_pos *pos)
{
	int ret = 0;

	for (size_t i = 0; i < n && ret == 0; i++)
		ret = policy_derive_where_passed(ld, &t[i], pos);
	return ret;
}

int policy_time_finish(struct loader *ld)
{
	const struct policy *p = ld->p;
	const struct policy_pos *pos = p->monotonic_offset_ns ? &ld->monotonic_pos :
								&ld->boottime_pos;
	int ret;

	if ((p->monotonic_offset_ns || p->boottime_offset_ns) &&
	    p->ns[POLICY_NS_TIME].mode != NS_MODE_NEW)
		return policy_fail(ld->err, pos,
				   "a clock offset needs a time namespace of the guest's own; write time = new under [namespaces]");
	ret = policy_travel_finish(ld);
	if (ret < 0 || !policy_clock_on(&p->clock))
		return ret;
	pos = clock_pos(&p->clock);
	if (p->ns[POLICY_NS_TIME].mode == NS_MODE_JOIN)
		return policy_fail(ld->err, pos,
				   "a guest with clocks of its own cannot join a time namespace; write time = new or time = host under [namespaces]");
	ret = add_time_rules(ld, time_rules, ARRAY_SIZE(time_rules), pos);
	if (ret == 0 && p->clock.guest_stamps)
		ret = add_time_rules(ld, stamp_rules, ARRAY_SIZE(stamp_rules), &p->clock.stamps_pos);
	return ret < 0 ? ret : policy_wait_finish(ld, pos);
}

/* ---- show --------------------------------------------------------------- */

static void show_offset(const char *key, int64_t ns, FILE *f)
{
	if (ns == 0)
		fprintf(f, "%s = host\n", key);
	else
		fprintf(f, "%s = %c%" PRIu64 "ns\n", key, ns < 0 ? '-' : '+',
			ns < 0 ? -(uint64_t)ns : (uint64_t)ns);
}

/* The inverse of days_of(). */
static void show_instant(int64_t ns, FILE *f)
{
	int64_t sec = ns / (int64_t)NSEC_PER_SEC, day = sec / 86400;
	int year = 1970, month = 1;

	sec %= 86400;
	while (day >= days_of(year + 1, 1, 1))
		year++;
	while (month < 12 && day >= days_of(year, month + 1, 1))
		month++;
	fprintf(f, "realtime = %04d-%02d-%02dT%02d:%02d:%02dZ\n", year, month,
		(int)(day - days_of(year, month, 1) + 1), (int)(sec / 3600), (int)(sec / 60 % 60),
		(int)(sec % 60));
}

/* Without the zeros at the end, but one. */
static void show_rate(uint64_t rate, FILE *f)
{
	uint64_t part = rate % POLICY_RATE_ONE;
	int digits = 9;

	for (; digits > 1 && part % 10 == 0; digits--)
		part /= 10;
	fprintf(f, "rate = %" PRIu64 ".%0*" PRIu64 "\n", rate / POLICY_RATE_ONE, digits, part);
}

void policy_show_time(const struct policy *p, FILE *f)
{
	const struct policy_clock *c = &p->clock;

	if (c->realtime == REALTIME_AT)
		show_instant(c->ns, f);
	else
		show_offset("realtime", c->ns, f);
	show_offset("monotonic", p->monotonic_offset_ns, f);
	show_offset("boottime", p->boottime_offset_ns, f);
	show_rate(c->rate, f);
	fprintf(f, "settable = %s\n", c->settable ? "yes" : "no");
	fprintf(f, "waits = %s\n", policy_waits_name(c->waits));
	fprintf(f, "stamps = %s\n", c->guest_stamps ? "guest" : "raw");
	policy_show_travel(p, f);
}
