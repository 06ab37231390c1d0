/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_dir.h - where the guest finds its disks: /dev/ubd/0, also as /dev/ubd0
 */
#ifndef WEIR_NS_DISK_DIR_H
#define WEIR_NS_DISK_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "ns/error.h"
#include "ns/root.h"

/* /dev/fuse, on the way into the guest's user namespace, as view_open_device(). */
void disk_dir_open_device(void);

/* In the agent, later: make or remove /dev/ubd@name. What else is there under that
 * name is the guest's, and stays. Return: 0 or a negative errno. */
int disk_dir_link(const char *name, bool there);

/**
 * disk_dir_mount() - Make the file system that they are in
 *
 * In the agent's mount namespace. Return: the FUSE device to serve them by, the
 * caller's, or a negative errno with @err.
 */
int disk_dir_mount(struct ns_error *err);

/* Once they are served: the disk or partition @name, past the page cache; the caller's.
 * @readonly: one that cannot be written will do. Or a negative errno. */
int disk_dir_open(const char *name, bool readonly, uint64_t *ret_ino);

/**
 * disk_dir_build() - Put them into the guest's /dev
 * @names: "0", "0p1" ...
 * @ret_dir: gets the directory they are in, to be kept
 *
 * Return: 0 or a negative errno with @err.
 */
int disk_dir_build(struct root *root, const char *const *names, unsigned n, int *ret_dir, struct ns_error *err);

#endif
