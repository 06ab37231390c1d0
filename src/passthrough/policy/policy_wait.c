/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_wait.c - the rules that waiting on the guest's clocks needs
 *
 * A call that waits until a time of a clock that is not the host's has to stop,
 * so that the guest kernel gives the host another time to wait for (redirect.h).
 * It is chosen by its registers: the clock, the flags, and that there is a time
 * at all. When it is made again with its time in our window (window.h), it
 * passes. Everything else that waits stays as it was.
 *
 * As with the rules of policy_time.c nothing is opened: where the policy keeps
 * back a call that a rule here would catch, with any of its other arguments,
 * the rule is not added.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/edges.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy/policy_impl.h"
#include "passthrough/window.h"

#define FAIL(ld, e, ...) policy_fail((ld)->err, &(e)->pos, __VA_ARGS__)
#define MAX_TRIES 1000000

/* A futex operation, private or not. */
#define FUTEX_OP(op) "op &0xffffff7f== " op
#define ABSTIME "flags &1== 1"	/* TIMER_ABSTIME and TFD_TIMER_ABSTIME */

/* SOL_SOCKET; SO_RCVTIMEO and SO_SNDTIMEO, and the same for 32-bit programs. */
#define SOCKET_TIMEOUT "level == 1 and optname in (20 21 66 67)"

/* The time is in the register: more than 0, and not negative, which is for ever. */
#define MILLISECONDS "timeout > 0"

static const struct wait_rule {
	const char *call, *time;	/* the argument that leads to the time */
	const char *tests;		/* NULL: whenever there is a time */
	enum policy_waits since;	/* which waits = need it */
} rules[] = {
	{ "futex", "timeout", FUTEX_OP("FUTEX_WAIT_BITSET|FUTEX_CLOCK_REALTIME"), WAITS_REALTIME },
	{ "futex", "timeout", FUTEX_OP("FUTEX_WAIT_REQUEUE_PI|FUTEX_CLOCK_REALTIME"), WAITS_REALTIME },
	{ "futex", "timeout", FUTEX_OP("FUTEX_LOCK_PI2|FUTEX_CLOCK_REALTIME"), WAITS_REALTIME },
	{ "futex", "timeout", FUTEX_OP("FUTEX_LOCK_PI"), WAITS_REALTIME },
	{ "futex", "timeout", FUTEX_OP("FUTEX_WAIT_BITSET"), WAITS_ALL },
	{ "futex", "timeout", FUTEX_OP("FUTEX_WAIT_REQUEUE_PI"), WAITS_ALL },
	{ "futex", "timeout", FUTEX_OP("FUTEX_LOCK_PI2"), WAITS_ALL },
	{ "futex_waitv", "timeout", "clockid == CLOCK_REALTIME", WAITS_REALTIME },
	{ "futex_waitv", "timeout", "clockid == CLOCK_MONOTONIC", WAITS_ALL },
	{ "futex_wait", "timeout", "clockid == CLOCK_REALTIME", WAITS_REALTIME },
	{ "futex_wait", "timeout", "clockid == CLOCK_MONOTONIC", WAITS_ALL },
	{ "clock_nanosleep", "request",
	  ABSTIME " and clockid in (CLOCK_REALTIME CLOCK_REALTIME_ALARM CLOCK_TAI)", WAITS_REALTIME },
	{ "clock_nanosleep", "request",
	  ABSTIME " and clockid in (CLOCK_MONOTONIC CLOCK_BOOTTIME CLOCK_BOOTTIME_ALARM)", WAITS_ALL },
	{ "mq_timedsend", "abs_timeout", NULL, WAITS_REALTIME },
	{ "mq_timedreceive", "abs_timeout", NULL, WAITS_REALTIME },
	{ "timer_settime", "new_setting", ABSTIME, WAITS_REALTIME },
	{ "timerfd_settime", "utmr", ABSTIME, WAITS_REALTIME },
	/* for a span of time */
	{ "futex", "timeout", FUTEX_OP("FUTEX_WAIT"), WAITS_ALL },
	{ "clock_nanosleep", "request",
	  "flags &1== 0 and clockid in (CLOCK_REALTIME CLOCK_REALTIME_ALARM CLOCK_TAI CLOCK_MONOTONIC CLOCK_BOOTTIME CLOCK_BOOTTIME_ALARM)",
	  WAITS_ALL },
	{ "nanosleep", "request", NULL, WAITS_ALL },
	{ "poll", "timeout", MILLISECONDS, WAITS_ALL },
	{ "ppoll", "tsp", NULL, WAITS_ALL },
	{ "select", "tvp", NULL, WAITS_ALL },
	{ "pselect6", "tsp", NULL, WAITS_ALL },
	{ "epoll_wait", "timeout", MILLISECONDS, WAITS_ALL },
	{ "epoll_pwait", "timeout", MILLISECONDS, WAITS_ALL },
	{ "epoll_pwait2", "timeout", NULL, WAITS_ALL },
	{ "rt_sigtimedwait", "uts", NULL, WAITS_ALL },
	{ "semtimedop", "timeout", NULL, WAITS_ALL },
	{ "io_getevents", "timeout", NULL, WAITS_ALL },
	{ "io_pgetevents", "timeout", NULL, WAITS_ALL },
	{ "timer_settime", "new_setting", "flags &1== 0", WAITS_ALL },
	{ "timer_gettime", "setting", NULL, WAITS_ALL },
	{ "timerfd_settime", "utmr", "flags &1== 0", WAITS_ALL },
	{ "timerfd_gettime", "otmr", NULL, WAITS_ALL },
	{ "setitimer", "value", "which == 0", WAITS_ALL },
	{ "getitimer", "value", "which == 0", WAITS_ALL },
	{ "alarm", "seconds", NULL, WAITS_ALL },
	{ "setsockopt", "optval", SOCKET_TIMEOUT, WAITS_ALL },
	{ "getsockopt", "optval", SOCKET_TIMEOUT, WAITS_ALL },
};

/* The decision without the rule: does the call pass? */
static bool passes(const struct policy *p, int nr, const uint64_t arg[6])
{
	for (size_t i = p->nrules; i > 0; i--)
		if (p->rule[i - 1].nr == nr && policy_rule_holds(&p->rule[i - 1], arg))
			return lane_passes(p->rule[i - 1].lane);
	return false;
}

/* Does every call that a rule would catch pass? Tried with the edge values of
 * all that is tested. */
static bool all_pass(const struct policy *p, const struct policy_rule *r, struct edges *edges)
{
	edges_init(edges);
	for (unsigned k = 0; k < r->ntests; k++)
		edges_add(edges, r->test[k].arg, &r->test[k]);
	for (size_t i = 0; i < p->nrules; i++)
		for (unsigned k = 0; p->rule[i].nr == r->nr && k < p->rule[i].ntests; k++)
			edges_add(edges, p->rule[i].test[k].arg, &p->rule[i].test[k]);
	if (edges_count(edges) > MAX_TRIES)
		return false;
	do {
		uint64_t arg[6];

		for (unsigned i = 0; i < ARRAY_SIZE(arg); i++)
			arg[i] = edges_value(edges, i);
		if (policy_rule_holds(r, arg) && !passes(p, r->nr, arg))
			return false;
	} while (edges_next(edges));
	return true;
}

/* "LANE if [TESTS and] TIME TEST" as a rule. */
static int make_rule(struct loader *ld, const struct wait_rule *w, const char *lane,
		     const char *test, const struct policy_pos *pos, struct policy_rule *ret)
{
	struct policy_entry e = { .section = "syscalls", .key = w->call, .pos = *pos };
	char value[320], text[400];

	*ret = (struct policy_rule){ .nr = syscall_number(w->call), .pos = *pos };
	snprintf(value, sizeof(value), "%s if %s%s%s %s", lane, w->tests ? w->tests : "",
		 w->tests ? " and " : "", w->time, test);
	snprintf(text, sizeof(text), "%s = %s", w->call, value);
	e.value = value;
	ret->text = policy_strdup(ld->p, text);
	return ret->text ? policy_rule_parse(ld, &e, ret) : policy_no_memory(ld->err);
}

static int add_rules(struct loader *ld, const struct wait_rule *w, const struct policy_pos *pos,
		     struct edges *edges)
{
	struct policy_rule stop, pass;
	struct call_arg arg = { .width = 64 };
	bool number;
	int ret;

	/* A number, and no address: made again it is another call. */
	call_arg_find(syscall_number(w->call), w->time, &arg);
	number = arg.width < 64;
	ret = make_rule(ld, w, "fix", number ? "<= 0x7fffffff" : "!= 0", pos, &stop);

	if (ret == 0 && !number)
		ret = make_rule(ld, w, "pass", "&" WINDOW_MASK_TEXT "== " WINDOW_TEXT, pos, &pass);
	if (ret < 0 || !all_pass(ld->p, &stop, edges))
		return ret;
	ret = policy_rule_add(ld, &stop);
	return ret < 0 || number ? ret : policy_rule_add(ld, &pass);
}

/* Unless the policy says it: as much as its own clocks need. */
static enum policy_waits needed(const struct policy_clock *c)
{
	if (c->waits != WAITS_AUTO)
		return c->waits;
	return c->rate != POLICY_RATE_ONE || c->travels ? WAITS_ALL : WAITS_REALTIME;
}

int policy_wait_finish(struct loader *ld, const struct policy_pos *pos)
{
	cleanup_free struct edges *edges = malloc(sizeof(*edges));
	int ret = 0;

	if (!edges)
		return policy_no_memory(ld->err);
	ld->p->clock.waits = needed(&ld->p->clock);
	for (size_t i = 0; i < ARRAY_SIZE(rules) && ret == 0; i++)
		if (rules[i].since <= ld->p->clock.waits)
			ret = add_rules(ld, &rules[i], pos, edges);
	return ret;
}

/* ---- the key ------------------------------------------------------------ */

static const char *const names[] = {
	[WAITS_HOST] = "host", [WAITS_REALTIME] = "realtime", [WAITS_ALL] = "all",
	[WAITS_AUTO] = "auto",
};

const char *policy_waits_name(enum policy_waits w)
{
	return names[w];
}

int policy_set_waits(struct loader *ld, const struct policy_entry *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!streq(e->value, names[i]))
			continue;
		ld->p->clock.waits = i;
		ld->p->clock.waits_pos = e->pos;
		return 0;
	}
	return FAIL(ld, e, "waits = %s; write auto, host, realtime or all", e->value);
}
