/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.c - what `weir stats` prints; names and units are a stable interface
 */
#include <jansson.h>
#include <stdio.h>

#include "drivers/disks.h"
#include "kernel/kernel.h"
#include "kernel/memory/memory.h"
#include "kernel/nets.h"
#include "kernel/sched.h"
#include "kernel/time/timekeeper.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

static json_t *guest_json(const struct kernel *k)
{
	const struct guest_config *cfg = k->cfg;

	return json_pack("{s:s, s:s, s:I, s:s, s:I, s:i, s:i}", "name", cfg->name, "state",
			 guest_state_str[k->state], "uptime_ns",
			 (json_int_t)(host_now() - k->start_ns), "policy", cfg->policy->name,
			 "vcpus", (json_int_t)sched_nvcpus(k),
			 "kernel_pid", (int)getpid(), "init_pid", (int)k->init_pid);
}

static json_t *boot_json(const struct kernel *k)
{
	json_t *steps = json_array();

	for (unsigned i = 0; i < k->nsteps; i++)
		json_array_append_new(steps, json_pack("{s:s, s:I}", "name", k->step[i].name, "ns",
						       (json_int_t)k->step[i].ns));
	return json_pack("{s:I, s:o}", "total_ns", (json_int_t)k->boot_ns, "steps", steps);
}

static json_t *trap_json(const struct lane_rule *r, const struct trap_counter *c)
{
	char rule[512];

	snprintf(rule, sizeof(rule), "%s:%d", r->pos->file, r->pos->line);
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "syscall", syscall_name(r->nr),
			 "rule", rule, "lane", lane_str[r->lane], "count", (json_int_t)c->count,
			 "errors", (json_int_t)c->errors, "p50_ns",
			 (json_int_t)trap_quantile(c, 0.50), "p99_ns",
			 (json_int_t)trap_quantile(c, 0.99), "max_ns", (json_int_t)c->max_ns);
}

static json_t *traps_json(const struct kernel *k)
{
	json_t *traps = json_array();

	for (unsigned i = 0; i < lanes_count(k->cfg->lanes); i++)
		if (k->counter[i].count)
			json_array_append_new(traps, trap_json(lanes_rule(k->cfg->lanes, i),
							       &k->counter[i]));
	return traps;
}

static json_t *disks_json(const struct kernel *k)
{
	json_t *disks = json_array();
	struct disk_stats d;

	for (unsigned i = 0; i < DISKS_MAX; i++) {
		if (!disks_stats(k->disks, i, &d))
			continue;
		json_array_append_new(disks, json_pack(
			"{s:s, s:s, s:s?, s:s, s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name", d.name,
			"image", d.image, "cow", d.cow, "serial", d.serial, "size_bytes", (json_int_t)d.size, "readonly", d.readonly,
			"reads", (json_int_t)d.io.reads, "writes", (json_int_t)d.io.writes,
			"flushes", (json_int_t)d.io.flushes, "discards", (json_int_t)d.io.discards,
			"read_bytes", (json_int_t)d.io.read_bytes, "write_bytes", (json_int_t)d.io.write_bytes,
			"merged", (json_int_t)d.io.merged, "inflight_max", (json_int_t)d.io.inflight_max));
	}
	return disks;
}

json_t *stats_json(struct kernel *k)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "guest", guest_json(k), "boot", boot_json(k), "traps", traps_json(k),
			 "sched", sched_json(k), "tasks", sched_tasks_json(k), "time", time_stats(k),
			 "memory", memory_stats(k), "disks", disks_json(k), "nets", nets_json(k));
}
