/* SPDX-License-Identifier: Apache-2.0 */
/*
 * time_control.c - the clocks as `weir stats` shows and `weir time` sets them
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "kernel/kernel.h"
#include "kernel/log.h"
#include "kernel/time/timekeeper.h"
#include "kernel/travel/travel.h"
#include "kernel/util.h"

static json_int_t ns_of(const struct timespec *ts)
{
	return ts->tv_sec * (json_int_t)NSEC_PER_SEC + ts->tv_nsec;
}

/* The guest's and the host's reading of a clock, with the guest's between two of
 * the host's: the offset is right to the time that takes. */
static void read_both(struct timekeeper *t, clockid_t id, json_int_t *guest, json_int_t *offset)
{
	struct timespec before, now, after;

	clock_gettime(id, &before);
	if (t)
		timekeeper_read(t, id, &now);
	else
		now = before;
	clock_gettime(id, &after);
	*guest = ns_of(&now);
	*offset = t ? *guest - (ns_of(&before) + ns_of(&after)) / 2 : 0;
}

static const char *vdso_text(const struct timekeeper *t)
{
	if (!t || !t->image.size)
		return "native";
	return t->image.how == IMAGE_READS ? "changed" : "stubs";
}

/* Without a clock of the guest's own, its time namespace is all there is. */
static json_t *host_stats(const struct policy *p)
{
	bool own = p->ns[POLICY_NS_TIME].mode == NS_MODE_NEW;

	return json_pack("{s:b, s:I, s:I, s:I, s:f, s:b, s:b, s:s}", "own", 0, "realtime_offset_ns",
			 (json_int_t)0, "monotonic_offset_ns",
			 own ? (json_int_t)p->monotonic_offset_ns : 0, "boottime_offset_ns",
			 own ? (json_int_t)p->boottime_offset_ns : 0, "rate", 1.0, "frozen", 0,
			 "settable", 0, "vdso", "native");
}

static json_t *images_json(struct time_counters *n)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "changed",
			 (json_int_t)atomic_load(&n->changed), "stubs",
			 (json_int_t)atomic_load(&n->stubbed), "left",
			 (json_int_t)atomic_load(&n->left), "mapped",
			 (json_int_t)atomic_load(&n->mapped), "refused",
			 (json_int_t)atomic_load(&n->refused));
}

static json_t *waits_json(struct time_counters *n)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "at_once", (json_int_t)atomic_load(&n->at_once),
			 "redirected", (json_int_t)atomic_load(&n->redirected), "in_place",
			 (json_int_t)atomic_load(&n->in_place), "moved",
			 (json_int_t)atomic_load(&n->moved));
}

json_t *time_stats(struct kernel *k)
{
	static const struct {
		clockid_t id;
		const char *ns, *offset;
	} clocks[] = {
		{ CLOCK_REALTIME, "realtime_ns", "realtime_offset_ns" },
		{ CLOCK_MONOTONIC, "monotonic_ns", "monotonic_offset_ns" },
		{ CLOCK_BOOTTIME, "boottime_ns", "boottime_offset_ns" },
	};
	struct timekeeper *t = k->time;
	json_t *j;

	if (!t)
		return host_stats(k->cfg->policy);
	j = json_pack("{s:b, s:f, s:b, s:b, s:b, s:I, s:s, s:o, s:o, s:I}", "own", 1, "rate",
		      t->model.frozen ? 0.0 : (double)t->model.rate / POLICY_RATE_ONE, "frozen",
		      t->model.frozen, "settable", t->settable, "follows_host",
		      !t->model.map[VCLOCK_REALTIME].steady, "changes", (json_int_t)t->changes,
		      "vdso", vdso_text(t), "images", images_json(&t->count), "waits",
		      waits_json(&t->count), "trapped_reads",
		      (json_int_t)atomic_load(&t->count.trapped));
	if (j && k->travel)
		json_object_set_new(j, "travel", travel_stats(k));
	for (size_t i = 0; j && i < ARRAY_SIZE(clocks); i++) {
		json_int_t ns, offset;

		read_both(t, clocks[i].id, &ns, &offset);
		json_object_set_new(j, clocks[i].ns, json_integer(ns));
		json_object_set_new(j, clocks[i].offset, json_integer(offset));
	}
	return j;
}

/* ---- weir time ---------------------------------------------------------- */

static int do_show(struct kernel *k, json_int_t ns)
{
	return 0;
}

static int do_set(struct kernel *k, json_int_t ns)
{
	return timekeeper_set(k, ns);
}

static int do_offset(struct kernel *k, json_int_t ns)
{
	return timekeeper_follow(k, ns);
}

static int do_rate(struct kernel *k, json_int_t rate)
{
	if (rate <= 0 || rate > (json_int_t)POLICY_RATE_ONE * 1000)
		return -EINVAL;
	timekeeper_rate(k, rate);
	timekeeper_freeze(k, false);
	return 0;
}

static int do_freeze(struct kernel *k, json_int_t ns)
{
	timekeeper_freeze(k, true);
	return 0;
}

static int do_thaw(struct kernel *k, json_int_t ns)
{
	timekeeper_freeze(k, false);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct kernel *k, json_int_t value);
	bool changes_rate;
} actions[] = {
	{ "show", do_show },	{ "set", do_set }, { "offset", do_offset },
	{ "rate", do_rate, true }, { "freeze", do_freeze, true }, { "thaw", do_thaw, true },
};

json_t *time_control(struct kernel *k, json_t *msg, struct ns_error *err)
{
	const char *action = json_string_value(json_object_get(msg, "action")) ?: "show";
	json_int_t value = json_integer_value(json_object_get(msg, "value"));

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		int ret;

		if (!streq(action, actions[i].name))
			continue;
		if (actions[i].run != do_show && !k->time) {
			ns_fail(err, -EINVAL, "the guest has no clock of its own; start it with --set "
				"time.settable=yes, or another key of [time]");
			return NULL;
		}
		if (k->travel && k->cfg->policy->clock.cpu_free && actions[i].changes_rate) {
			ns_fail(err, -EBUSY, "with cpu = free the guest's clocks move by travel only; "
				"start it with --set time.cpu=real");
			return NULL;
		}
		ret = actions[i].run(k, value);
		if (ret < 0) {
			ns_fail(err, ret, "the guest cannot have this time: it is before 1970, before "
				"the guest was up, or after 2231");
			return NULL;
		}
		if (actions[i].run != do_show)
			log_info("time: %s, by weir time", action);
		return time_stats(k);
	}
	ns_fail(err, -EINVAL, "unknown action %.32s", action);
	return NULL;
}
