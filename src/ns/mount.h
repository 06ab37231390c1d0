/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount.h - the host's mount calls that work on descriptors
 *
 * A mount is made or cloned detached, configured through its descriptor, and
 * attached last: what fails half-way disappears with the descriptor.
 */
#ifndef WEIR_NS_MOUNT_H
#define WEIR_NS_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>

/* attributes of most of what a guest sees */
#define MOUNT_PLAIN (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define MOUNT_PSEUDO (MOUNT_PLAIN | MOUNT_ATTR_NOEXEC)

/* A detached copy of what is mounted at @path, the whole tree if @recursive.
 * "" is @dfd itself. Links at the end are not followed. */
int mount_clone(int dfd, const char *path, bool recursive);

/**
 * mount_new() - A detached mount of a new file system
 * @attrs:   MOUNT_ATTR_*
 * @options: key, value, key, value ... NULL; a NULL value is written as ""
 *           and means a flag; "source", if it is there, comes first
 * @why:     gets what the file system says about a failure, may be NULL
 */
int mount_new(const char *type, unsigned attrs, const char *const *options, char *why,
	      size_t whysize);

/* Attach a detached mount at @path below @dfd; "" is @dfd itself. */
int mount_attach(int mfd, int dfd, const char *path);

/* Set and clear attributes of a mount; @userns_fd >= 0 maps its ids. */
int mount_set(int mfd, bool recursive, uint64_t set, uint64_t clear, int userns_fd);

#endif
