/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_travel.c - the keys of [time] about time travel
 */
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "kernel/util.h"
#include "passthrough/policy/policy_impl.h"

#define FAIL(ld, e, ...) policy_fail((ld)->err, &(e)->pos, __VA_ARGS__)

int policy_set_idle(struct loader *ld, const struct policy_entry *e)
{
	struct policy_clock *c = &ld->p->clock;

	if (!streq(e->value, "run") && !streq(e->value, "travel"))
		return FAIL(ld, e, "idle = %s; write run, or travel for clocks that go to the next deadline while all tasks sleep",
			    e->value);
	c->travels = streq(e->value, "travel");
	c->idle_pos = e->pos;
	return 0;
}

int policy_set_cpu(struct loader *ld, const struct policy_entry *e)
{
	struct policy_clock *c = &ld->p->clock;

	if (!streq(e->value, "real") && !streq(e->value, "free"))
		return FAIL(ld, e, "cpu = %s; write real, or free for clocks that stand still while tasks compute",
			    e->value);
	c->cpu_free = streq(e->value, "free");
	c->cpu_pos = e->pos;
	return 0;
}

int policy_set_calendar(struct loader *ld, const struct policy_entry *e)
{
	struct policy_clock *c = &ld->p->clock;

	c->calendar = NULL;
	c->calendar_pos = e->pos;
	if (streq(e->value, "none"))
		return 0;
	if (e->value[0] != '/')
		return FAIL(ld, e, "calendar = %s; write the whole path of weir calendar's socket, from /, or none",
			    e->value);
	if (strlen(e->value) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return FAIL(ld, e, "calendar = %.40s...: the path of a socket has at most 107 bytes; write a shorter one",
			    e->value);
	c->calendar = policy_strdup(ld->p, e->value);
	return c->calendar ? 0 : policy_no_memory(ld->err);
}

/* ---- together ----------------------------------------------------------- */

int policy_travel_finish(struct loader *ld)
{
	const struct policy_clock *c = &ld->p->clock;

	if (c->cpu_free && !c->travels)
		return policy_fail(ld->err, &c->cpu_pos,
				   "cpu = free: clocks that stand still while tasks compute would never move; write idle = travel as well");
	if (c->calendar && !c->cpu_free)
		return policy_fail(ld->err, &c->calendar_pos,
				   "calendar: guests in lock-step have no time but the calendar's; write idle = travel and cpu = free as well");
	if (c->cpu_free && c->rate != POLICY_RATE_ONE)
		return policy_fail(ld->err, &c->rate_pos,
				   "rate: with cpu = free no time passes by itself; leave rate out, or write cpu = real");
	/* The guest kernel can go to the next deadline only if it knows all of them. */
	if (c->travels && c->waits != WAITS_AUTO && c->waits != WAITS_ALL)
		return policy_fail(ld->err, &c->waits_pos,
				   "waits: with idle = travel all that waits goes by the guest's clocks; write waits = all, or leave it out");
	return 0;
}

/* ---- show --------------------------------------------------------------- */

void policy_show_travel(const struct policy *p, FILE *f)
{
	const struct policy_clock *c = &p->clock;

	fprintf(f, "idle = %s\ncpu = %s\ncalendar = %s\n", c->travels ? "travel" : "run",
		c->cpu_free ? "free" : "real", c->calendar ?: "none");
}
