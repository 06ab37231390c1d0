/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memd.c - the broker: a budget of memory, shared among a user's guests
 *
 * Guests give before others get: what all have together is never made more than
 * the budget by us. What a guest lent it takes back by itself when it needs it
 * (kernel/memory/memory.c); the next round then has the others give.
 */
#include "memd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"
#include "state.h"

#define ASK_MS 500		/* a guest that takes longer is silent */
#define GIVE_MS 300		/* for what is to be reclaimed in a round */
#define SILENT_ROUNDS 10
#define BUSY_PERCENT 5		/* of a round: less is idle */
#define HARD_ROOM_PART 4	/* of what is hard, beside it: to grow until the next round */
#define HARD_ROOM (UINT64_C(32) << 20)
#define WORTH_PART 32		/* of a limit: less is not moved */
#define WORTH (UINT64_C(4) << 20)

static const char *const state_str[MEMD_NUM_STATES] = {
	[MEMD_NEW] = "new", [MEMD_BUSY] = "busy", [MEMD_IDLE] = "idle", [MEMD_SILENT] = "silent",
	[MEMD_UNLIMITED] = "unlimited",
};

static uint64_t number(json_t *o, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return MAX(v, 0);
}

/* ---- who there is ------------------------------------------------------------ */

static struct memd_guest *find_or_add(struct memd *d, const char *name)
{
	struct memd_guest *g;

	for (unsigned i = 0; i < d->n; i++)
		if (streq(d->guest[i].name, name))
			return &d->guest[i];
	if (d->n == MEMD_MAX_GUESTS)
		return NULL;
	g = realloc(d->guest, (d->n + 1) * sizeof(*g));
	if (!g)
		return NULL;
	d->guest = g;
	g = &d->guest[d->n++];
	*g = (struct memd_guest){ .busy_at_ns = host_now() };
	snprintf(g->name, sizeof(g->name), "%s", name);
	return g;
}

static void drop_ended(struct memd *d)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < d->n; i++)
		if (d->guest[i].seen)
			d->guest[kept++] = d->guest[i];
	d->n = kept;
}

/* ---- what they say ------------------------------------------------------------- */

/* A guest that was started again under its name has another clock. */
static void judge(struct memd *d, struct memd_guest *g, json_t *mem)
{
	uint64_t now = number(mem, "now_ns"), idle = number(mem, "idle_ns");
	bool known = g->now_ns && now > g->now_ns && idle >= g->idle_ns;
	uint64_t took = now - g->now_ns, idled = idle - g->idle_ns;

	if (!known || (took > idled && (took - idled) * 100 >= took * BUSY_PERCENT))
		g->busy_at_ns = host_now();
	if (!known)
		g->state = MEMD_NEW;
	else
		g->state = host_now() - g->busy_at_ns >= d->idle_after_ns ? MEMD_IDLE : MEMD_BUSY;
	g->share.idle = g->state == MEMD_IDLE;
	g->now_ns = now;
	g->idle_ns = idle;
}

static void take_down(struct memd *d, struct memd_guest *g, json_t *mem)
{
	uint64_t hard = number(json_object_get(mem, "more"), "hard_bytes");
	struct share *s = &g->share;

	s->limit = number(mem, "limit_bytes");
	if (!s->limit) {
		g->state = MEMD_UNLIMITED;
		return;
	}
	s->used = number(mem, "used_bytes");
	s->most = MAX(number(mem, "whole_bytes"), s->limit);
	s->least = MAX(number(mem, "floor_bytes"), hard + MAX(hard / HARD_ROOM_PART, HARD_ROOM));
	s->weight = MAX(number(mem, "weight"), 1);
	judge(d, g, mem);
}

/* One that does not answer is left alone for some rounds. */
static void ask(struct memd *d, struct memd_guest *g)
{
	cleanup_json json_t *mem = NULL;

	if (g->skip) {
		g->skip--;
		return;
	}
	if (guest_ask_json(g->name, json_pack("{s:s, s:s}", "op", "mem", "action", "brief"), ASK_MS,
			   &mem) < 0) {
		g->state = MEMD_SILENT;
		g->skip = SILENT_ROUNDS;
		return;
	}
	take_down(d, g, mem);
}

static bool ours(const struct memd_guest *g)
{
	return g->state != MEMD_SILENT && g->state != MEMD_UNLIMITED;
}

/* ---- what they are to have ------------------------------------------------------- */

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* What the silent have is not to be given. */
static void divide(struct memd *d)
{
	struct share *v = calloc(d->n + 1, sizeof(*v));
	uint64_t budget = d->budget;
	unsigned n = 0;

	if (!v)
		return;
	for (unsigned i = 0; i < d->n; i++) {
		if (ours(&d->guest[i]))
			v[n++] = d->guest[i].share;
		else if (d->guest[i].state == MEMD_SILENT)
			budget = less(budget, d->guest[i].share.limit);
	}
	d->missing = share_divide(v, n, budget);
	n = 0;
	for (unsigned i = 0; i < d->n; i++)
		if (ours(&d->guest[i]))
			d->guest[i].share.target = v[n++].target & ~UINT64_C(4095);
	free(v);
}

static bool worth_it(const struct memd_guest *g, uint64_t bytes)
{
	return bytes >= MAX(g->share.limit / WORTH_PART, WORTH);
}

static void resize(struct memd *d, struct memd_guest *g, uint64_t to)
{
	cleanup_json json_t *mem = NULL;
	uint64_t before = g->share.limit;
	json_t *msg = json_pack("{s:s, s:s, s:I, s:i}", "op", "mem", "action", "lend", "bytes",
				(json_int_t)to, "deadline_ms", GIVE_MS);

	if (guest_ask_json(g->name, msg, GIVE_MS + ASK_MS, &mem) < 0)
		return;
	g->share.limit = number(mem, "limit_bytes");
	g->lent += less(before, g->share.limit);
	g->got += less(g->share.limit, before);
	if (d->verbose && g->share.limit != before) {
		printf("%s: %.1f MiB, had %.1f (%s)\n", g->name, g->share.limit / 1048576.0,
		       before / 1048576.0, state_str[g->state]);
		fflush(stdout);
	}
}

/* One without a limit has none of the budget. */
static uint64_t given(const struct memd *d)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < d->n; i++)
		sum += d->guest[i].share.limit;
	return sum;
}

static void move_memory(struct memd *d)
{
	uint64_t have;

	for (unsigned i = 0; i < d->n; i++) {
		struct memd_guest *g = &d->guest[i];

		if (ours(g) && worth_it(g, less(g->share.limit, g->share.target)))
			resize(d, g, g->share.target);
	}
	have = given(d);
	for (unsigned i = 0; i < d->n; i++) {
		struct memd_guest *g = &d->guest[i];
		uint64_t more = ours(g) ? MIN(less(g->share.target, g->share.limit),
					      less(d->budget, have)) & ~UINT64_C(4095) : 0;

		if (!more || !worth_it(g, more))
			continue;
		have -= g->share.limit;
		resize(d, g, g->share.limit + more);
		have += g->share.limit;
	}
}

/* ---- a round ----------------------------------------------------------------------- */

void memd_round(struct memd *d)
{
	char **names = state_list();

	for (unsigned i = 0; i < d->n; i++)
		d->guest[i].seen = false;
	for (char **name = names; name && *name; name++) {
		struct memd_guest *g = find_or_add(d, *name);

		if (g) {
			g->seen = true;
			ask(d, g);
		}
		free(*name);
	}
	free(names);
	drop_ended(d);
	divide(d);
	move_memory(d);
	d->rounds++;
}

bool memd_any_busy(const struct memd *d)
{
	for (unsigned i = 0; i < d->n; i++)
		if (d->guest[i].state == MEMD_BUSY || d->guest[i].state == MEMD_NEW)
			return true;
	return false;
}

/* ---- what is shown --------------------------------------------------------------------- */

static json_t *guest_json(const struct memd_guest *g)
{
	const struct share *s = &g->share;

	return json_pack("{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "guest", g->name, "state",
			 state_str[g->state], "weight", (int)s->weight, "limit_bytes",
			 (json_int_t)s->limit, "used_bytes", (json_int_t)s->used, "least_bytes",
			 (json_int_t)s->least, "most_bytes", (json_int_t)s->most, "target_bytes",
			 (json_int_t)s->target, "lent_bytes", (json_int_t)g->lent, "got_bytes",
			 (json_int_t)g->got);
}

json_t *memd_json(const struct memd *d)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < d->n; i++)
		json_array_append_new(list, guest_json(&d->guest[i]));
	return json_pack("{s:i, s:I, s:I, s:I, s:I, s:o}", "pid", (int)getpid(), "budget_bytes",
			 (json_int_t)d->budget, "given_bytes", (json_int_t)given(d), "missing_bytes",
			 (json_int_t)d->missing, "rounds", (json_int_t)d->rounds, "guests", list);
}

void memd_clear(struct memd *d)
{
	free(d->guest);
	d->guest = NULL;
	d->n = 0;
}
