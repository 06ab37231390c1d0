/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge.h - equal pages of processes kept once: KSM
 */
#ifndef WEIR_MMU_MERGE_H
#define WEIR_MMU_MERGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The caller's anonymous memory, and that of what it forks and execs (Linux 6.7;
 * before, until it execs). Return: 0, -EINVAL before Linux 6.4 or without KSM. */
int merge_enable(void);

/* Does this host know of merge_enable()? */
bool merge_offered(void);

/* Does the host's KSM run at all? /sys/kernel/mm/ksm/run */
bool merge_runs(void);

/* Bytes of a process that are merged, 0 if the host does not tell (before 5.19). */
uint64_t merge_bytes(pid_t pid);

#endif
