/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller.h - who makes a trapped call: its rights and its place
 */
#ifndef WEIR_KERNEL_CALLER_H
#define WEIR_KERNEL_CALLER_H

#include <stdbool.h>

#include "kernel/kernel.h"
#include "ns/agent.h"
#include "passthrough/trap.h"

/**
 * caller_capable() - Has the caller a capability over the guest's own user
 * namespace in effect? (capabilities(7))
 *
 * One capget(2), no file is opened. The answer is the caller's if the caller
 * still waits: before acting on it, call_valid(), or what contains it
 * (arg_copy_in(), caller_open()).
 */
bool caller_capable(const struct kernel *k, const struct call *c, int cap);

/* The process of a thread, in our pid namespace; 0 if it is gone. */
pid_t caller_tgid(pid_t tid);

/**
 * caller_fd() - A descriptor of ours on what a task's descriptor is on
 *
 * Before Linux 6.9 that of the thread's process, which is not the thread's own
 * if it has left the common table (CLONE_FILES). Return: the descriptor, the
 * caller's from now on, or a negative errno.
 */
int caller_fd(pid_t tid, pid_t tgid, int fd);
/* All of them that are in effect over the guest; the same holds. */
uint64_t caller_capabilities(const struct kernel *k, const struct call *c);

/* A caller's ids for files, in our own numbers, its groups and its process, into
 * what cred_read() gives. Return: 0, -ESRCH, -E2BIG. */
struct host_cred;
int caller_file_ids(const struct call *c, struct host_cred *ret);

/* Owner and group of a file, from our numbers to what the caller is shown, by the
 * map of its user namespace; 65534 for what is not in it. */
void caller_shown_ids(const struct kernel *k, const struct call *c, uint32_t *uid, uint32_t *gid);

/* All of a caller that a call done on its behalf needs. */
struct caller {
	pid_t tgid;		/* host */
	pid_t guest_tid;	/* in its own pid namespace */
	struct act_cred cred;
	int root, cwd, mntns;	/* descriptors; mntns -1 if it is the guest's own */
};

/**
 * caller_open() - Look at a caller while it waits; the call is slow from here
 * @dirfd_arg: the number of the argument that is a directory descriptor and
 *             takes the place of the working directory; -1 for none
 *
 * Return: 0, -EBADF for a bad directory descriptor, -ESRCH if the caller is
 * gone. On success to be closed by caller_close().
 */
int caller_open(const struct kernel *k, struct call *c, int dirfd_arg, struct caller *ret);
void caller_close(struct caller *who);

/* Fill an act's who and where. */
void caller_act(const struct caller *who, struct act *act);

#endif
