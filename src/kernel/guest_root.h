/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_root.h - boot steps of the guest's root, and what of its disks is mounted at boot
 */
#ifndef WEIR_KERNEL_GUEST_ROOT_H
#define WEIR_KERNEL_GUEST_ROOT_H

#include "kernel/kernel.h"

/* What the root is made of, opened by the one process that has the right to. */
int guest_root_init(struct kernel *k, struct ns_error *err);
void guest_root_exit(struct kernel *k);

/* Until the agent has built it; of a disk, its file system is read by then. The end:
 * the guest's mounts go with its last process, which is the agent. */
int guest_root_build(struct kernel *k, struct ns_error *err);
void guest_root_leave(struct kernel *k);

/* For the agent: the disks that are mounted at boot. Return: how many. */
unsigned guest_root_mounts(const struct kernel *k, const struct agent_mount **ret);

/* Where init starts: the policy's directory, or the caller's where the root is the host's. */
const char *guest_root_cwd(const struct kernel *k);

#endif
