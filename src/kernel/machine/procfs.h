/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procfs.h - serving the files that show a guest its machine
 *
 * Over FUSE where the guest's root may open /dev/fuse: each file is answered
 * when it is read. Else from files of a tmpfs, written when they are opened.
 */
#ifndef WEIR_KERNEL_PROCFS_H
#define WEIR_KERNEL_PROCFS_H

#include "kernel/kernel.h"
#include "ns/view.h"

/* Which files of the guest's /proc and /sys are ours; before the agent builds
 * them. The texts in @ret live as long as @k. Return: 0 or -ENOMEM. */
int procfs_plan(struct kernel *k, struct view_config *ret);

/* The agent has mounted them: serve @fd, its from now on (agent_config.serve_view). */
int procfs_serve(void *kernel, int fd, struct ns_error *err);
void procfs_exit(struct kernel *k);

/* The two ways. Both take @fd. Return: 0 or a negative errno. */
struct fuse_server;
int procfs_fuse_start(struct kernel *k, int fd, struct fuse_server **ret);
struct procfs_lease;
int procfs_lease_start(struct kernel *k, int fd, struct procfs_lease **ret);
void procfs_lease_stop(struct procfs_lease *l);

#endif
