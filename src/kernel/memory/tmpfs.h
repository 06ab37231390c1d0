/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmpfs.h - how much a tmpfs that the guest mounts may hold
 */
#ifndef WEIR_KERNEL_TMPFS_H
#define WEIR_KERNEL_TMPFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * tmpfs_bound() - Put a size into mount options
 * @data: the options; "" for none
 * @size: room in @data
 * @most: bytes
 * @hard: also where the options have a size and it is greater, or cannot be told
 * @always: where they have none, too
 *
 * tmpfs takes the last of several sizes, tmpfs(5). Return: true if @data was
 * changed, false if not, also for want of room: the host refuses such options.
 */
bool tmpfs_bound(char *data, size_t size, uint64_t most, bool hard, bool always);

#endif
