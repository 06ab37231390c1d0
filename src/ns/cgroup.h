/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.h - limits of a guest
 *
 * One group in the v2 tree if a place in it is ours to use; for limits that v2
 * does not offer here, groups in v1 hierarchies; a limit that neither offers is
 * refused by name. Without limits there is no group: moving a process into one
 * waits for a grace period of the host's (9 ms measured), more than the rest
 * of a guest's start; a guest dies with its init either way.
 */
#ifndef WEIR_NS_CGROUP_H
#define WEIR_NS_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ns/error.h"

struct cgroup_limits {
	uint64_t memory_bytes;	/* 0: none, for each of them */
	unsigned vcpus;		/* cpu.max where there is a v2 group anyway; affinity is what holds */
	unsigned pids;
};

#define CGROUP_MAX_GROUPS 4	/* v2 and three v1 hierarchies */

struct cgroup_group {
	char *path;
	int fd;
	bool v2;
	bool memory;		/* memory is counted here */
};

/* Nothing is in it when zeroed. */
struct cgroup {
	struct cgroup_group g[CGROUP_MAX_GROUPS];
	unsigned n;

	/* Made by the first freeze of a guest that has no v2 group: its tasks are
	 * moved in then, and stay. path NULL: there is none. */
	struct cgroup_group freezer;
	char *home;		/* where the tasks come from, as in /proc/PID/cgroup */
};

/**
 * cgroup_create() - Make the groups of guest @name and set the limits
 *
 * Return: 0, also if no group is made and none is needed; -EOPNOTSUPP with each
 * limit that cannot be kept and why; nothing is left behind then.
 */
int cgroup_create(const char *name, const struct cgroup_limits *limits, struct cgroup *ret,
		  struct ns_error *err);

/* Takes milliseconds; starting in the group (cgroup_fd()) does not. */
int cgroup_attach(const struct cgroup *cg, pid_t pid);

/* For CLONE_INTO_CGROUP: the v2 group if it is the only one, else -1. */
int cgroup_fd(const struct cgroup *cg);

/* Kill every task in it. -EOPNOTSUPP if there is no group to tell who that is. */
int cgroup_kill(const struct cgroup *cg);

/* Remove the groups; waits up to a second for the last tasks to go. */
int cgroup_destroy(struct cgroup *cg);

/* Could cgroup_create() make a group with a memory limit here, for this user? */
bool cgroup_offers_memory(void);

/* Bytes in use, 0 if no group counts them. */
uint64_t cgroup_memory_used(const struct cgroup *cg);

/* The text of memory.stat. Return: its length, -EOPNOTSUPP without a group. */
ssize_t cgroup_memory_stat(const struct cgroup *cg, char *text, size_t size);

/**
 * cgroup_memory_limit() - Another limit for a guest that runs
 *
 * May take long, as what is above a smaller limit is reclaimed first; a signal
 * ends it. Nobody is killed for it. Return: 0, -EBUSY if that did not suffice
 * (the limit is as it was), -EINTR, -EOPNOTSUPP without a group.
 */
int cgroup_memory_limit(const struct cgroup *cg, uint64_t bytes);

/**
 * cgroup_memory_lend() - Less than the limit for now, which may be taken back
 * @bytes: what it may use; @whole or more: all of it again
 * @whole: the limit, as cgroup_memory_limit() set it
 *
 * As cgroup_memory_limit(), but who needs more than that waits (v1, in a page
 * fault only) or is slowed down (v2) until it is given back; nobody is killed.
 * cgroup_memory_watch() tells when that is.
 */
int cgroup_memory_lend(const struct cgroup *cg, uint64_t bytes, uint64_t whole);

/* Memory that holds to the limit holds with swap: called with the limit set. */
int cgroup_memory_no_swap(const struct cgroup_group *g, uint64_t bytes);

/**
 * cgroup_memory_reclaim() - Have the host take some of it back
 *
 * As cgroup_memory_limit(), but the limit stays. Return: 0, -EAGAIN if it was
 * not all to be had, -EINTR, -ENOENT on a host before Linux 5.19 (v2).
 */
int cgroup_memory_reclaim(const struct cgroup *cg, uint64_t bytes);

/* How many tasks the host has killed in it, out of memory. */
uint64_t cgroup_memory_kills(const struct cgroup *cg);

/* A descriptor that tells of it: EPOLLPRI on v2; on v1 EPOLLIN, to be read. */
int cgroup_memory_watch(const struct cgroup *cg, bool *ret_v2);

/*
 * Freezing. A v2 group that the guest has anyway is frozen as it is; else one
 * is made for it in our own group, v2 or a v1 freezer, and each process has to
 * be taken into it (the first costs a grace period, the others some 40 us).
 * A task that waits for an answer of ours is not frozen until it has it.
 */

/**
 * cgroup_freezer() - See to it that there is a group to freeze guest @name in
 *
 * Return: 0 if all tasks are in it already, 1 if they are to be taken in,
 * -EOPNOTSUPP if no group may be made here.
 */
int cgroup_freezer(struct cgroup *cg, const char *name);

/* Any time after cgroup_freezer(); returns at once. */
int cgroup_freeze(const struct cgroup *cg, bool frozen);

/* Take a process in. Return: 1 if it was in already, 0 if it is now; -ESRCH;
 * -EXDEV if the guest keeps it in a group of its own making. */
int cgroup_freezer_take(const struct cgroup *cg, pid_t pid);

/* Are all tasks in it frozen? Return: 1, 0, or a negative errno. */
int cgroup_frozen(const struct cgroup *cg);

/* A text from which another process can kill and remove what is left of the
 * guest. Return: its length, 0 without groups, -ENOSPC. */
int cgroup_describe(const struct cgroup *cg, char *buf, size_t size);
int cgroup_destroy_described(const char *text);

/* The text as file "cgroup" of a guest's state directory; none without groups. */
int cgroup_record(const struct cgroup *cg, int state_dir);

#endif
