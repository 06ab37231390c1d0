/* SPDX-License-Identifier: Apache-2.0 */
/*
 * posture_own.c - capabilities and filters of a task; weir's own processes
 */
#include "posture_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

#include "kernel/util.h"

#define MAX_FINDINGS 1000

void __attribute__((format(printf, 4, 5)))
posture_found(struct posture *p, const struct posture_task *t, const char *what, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (json_array_size(p->findings) < MAX_FINDINGS)
		json_array_append_new(p->findings,
				      json_pack("{s:i, s:i, s:s%, s:s, s:s%}", "pid",
						(int)t->guest_tid, "host_pid", (int)t->tid, "comm",
						t->comm, strnlen(t->comm, 16), "what", what, "text",
						text, strlen(text)));
}

json_int_t posture_number(const struct posture *p, const char *key)
{
	return json_integer_value(json_object_get(p->want, key));
}

uint64_t posture_caps(const struct posture *p, const char *key)
{
	const char *hex = json_string_value(json_object_get(p->want, key));

	return hex ? strtoull(hex, NULL, 16) : 0;
}

bool posture_true(const struct posture *p, const char *key)
{
	return json_is_true(json_object_get(p->want, key));
}

const char *posture_ns_mode(const struct posture *p, enum ns_kind kind)
{
	json_t *ns = json_array_get(json_object_get(p->want, "namespaces"), kind);

	return json_string_value(json_object_get(ns, "mode")) ?: "new";
}

/* ---- capabilities ------------------------------------------------------- */

void posture_judge_caps(struct posture *p, const struct posture_task *t, uint64_t allowed)
{
	for (int set = 0; set < NUM_CAPSETS; set++) {
		uint64_t more = t->caps[set] & ~allowed;
		char names[256] = "";

		for (int cap = 0; cap < 64; cap++) {
			char *name = more & BIT(cap) ? cap_to_name(cap) : NULL;
			size_t used = strlen(names);

			if (name && used < sizeof(names) - 40)
				snprintf(names + used, sizeof(names) - used, " %s",
					 str_starts(name, "cap_") ? name + 4 : name);
			if (name)
				cap_free(name);
		}
		if (more)
			posture_found(p, t, "capabilities", "in the %s set, and not kept by the policy:%s",
			      capset_name[set], names);
	}
}

/* ---- seccomp ------------------------------------------------------------ */

void posture_judge_filters(struct posture *p, const struct posture_task *t, int least)
{
	/* Whatever lies over all of the host lies over us, too. */
	int base = MAX(p->us.filters, 0);

	if (t->seccomp != 2)
		posture_found(p, t, "seccomp", "no filter: the mask is not over this task");
	else if (t->filters >= 0 && t->filters < base + least)
		posture_found(p, t, "seccomp", "%d filters, fewer than %d: the mask is not over this task",
		      t->filters, base + least);
}

/* ---- weir's own --------------------------------------------------------- */

static void judge_kernel(struct posture *p)
{
	struct number_set threads = {};
	struct posture_task t;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task", p->kernel);
	posture_list(path, &threads);
	for (size_t i = 0; i < threads.n; i++) {
		if (posture_read_task(p->kernel, threads.v[i], &t) < 0)
			continue;
		posture_judge_caps(p, &t, posture_caps(p, "kernel_caps"));
		posture_judge_filters(p, &t, 2);
		if (t.no_new_privs == 0)
			posture_found(p, &t, "no_new_privs", "not set in the guest kernel");
		if (t.ns[NS_PID] && t.ns[NS_PID] == p->first.ns[NS_PID])
			posture_found(p, &t, "namespace", "pid: the guest kernel is in sight of the guest");
	}
	number_free(&threads);
}

static void judge_agent(struct posture *p)
{
	struct posture_task t;

	if (posture_read_task(p->agent, p->agent, &t) < 0)
		return;
	if (!streq(posture_ns_mode(p, NS_USER), "host"))
		posture_judge_caps(p, &t, posture_caps(p, "agent_caps"));
	if (t.ns[NS_PID] && t.ns[NS_PID] == p->first.ns[NS_PID])
		posture_found(p, &t, "namespace", "pid: the agent is in sight of the guest");
}

static void judge_monitor(struct posture *p)
{
	struct posture_task t;

	if (posture_read_task(p->monitor, p->monitor, &t) < 0)
		return;
	for (int i = 0; i < NUM_NS; i++)
		if (t.ns[i] && t.ns[i] == p->first.ns[i] && t.ns[i] != p->us.ns[i])
			posture_found(p, &t, "namespace", "%s: the monitor is in the guest's", ns_name(i));
}

void posture_judge_own(struct posture *p)
{
	judge_kernel(p);
	judge_agent(p);
	judge_monitor(p);
}
