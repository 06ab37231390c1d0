/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h - the guest's memory: how much it is, and how it grows and shrinks
 *
 * A guest with a limit of its own has it in a cgroup (ns/cgroup.h) or, where
 * weir may make none, strictly counted by us (mmu/budget.h). The limit changes
 * while the guest runs; whoever shows it to the guest asks memory_limit().
 *
 * What takes long (reclaim) is done by a thread of its own.
 */
#ifndef WEIR_KERNEL_MEMORY_H
#define WEIR_KERNEL_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "mmu/usage.h"
#include "ns/error.h"

struct kernel;
struct client;
struct json_t;

/* The boot step "memory"; after the cgroup, before what shows memory. */
int memory_init(struct kernel *k, struct ns_error *err);
void memory_exit(struct kernel *k);

/* When init runs: pressure of the host is heard of from now on. */
void memory_start(struct kernel *k);

/* The guest's memory in bytes; 0: the host's. Any thread, before the boot step too. */
uint64_t memory_limit(const struct kernel *k);

/* Of it, in use: what the group counts, or what is promised. Any thread. */
uint64_t memory_used(struct kernel *k);

/* What one tmpfs of the guest may hold, as on Linux half of its memory; where only
 * mappings are counted an eighth, for what is in them is counted late. 0: no limit. */
uint64_t memory_tmpfs_bytes(const struct kernel *k);

/* In a process that enters the guest, before its mask. Return: 0, or a negative
 * errno if the policy's memory cannot be had. */
int memory_enter(const struct kernel *k);

/* "memory" of weir stats. */
struct json_t *memory_stats(struct kernel *k);

/**
 * memory_request() - weir mem: show, plug, unplug, release
 * @msg: as control.c describes
 *
 * The answer comes by client_memory_ended(), perhaps before this returns.
 * Return: 0, or a negative errno with a line in @err and no answer to come.
 */
int memory_request(struct kernel *k, struct json_t *msg, struct client *client,
		   struct ns_error *err);
void memory_forget_client(struct kernel *k, struct client *c);

/* ---- a strict budget: memory_strict.c ------------------------------------ */

struct strict;

/* NULL: the guest has none. */
struct strict *memory_strict(const struct kernel *k);

/* Thread and all. */
int strict_create(struct kernel *k, uint64_t limit, struct strict **ret);
void strict_destroy(struct strict *s);

/* May the caller have @bytes more by its call? @over: the address where it replaces
 * what is there, or 0. Return: 0 or -ENOMEM. */
struct call;
int strict_charge(struct strict *s, struct call *c, uint64_t bytes, uint64_t over);

/* Shared anonymous memory is mapped, which counts must look for from now on. */
void strict_shares(struct strict *s);

/* Nothing need be watched while the guest is idle. */
void strict_idle(struct strict *s, bool idle);
uint64_t strict_used(struct strict *s);
uint64_t strict_refused(struct strict *s);
uint64_t strict_kills(struct strict *s);
int strict_resize(struct strict *s, uint64_t limit);

/* All processes of the guest; to be cleared by usage_clear(). */
int memory_count(struct kernel *k, struct usage *u);

#endif
