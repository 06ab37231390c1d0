/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.h - files of ours over those of the guest's /proc and /sys
 *
 * The agent's part. What the files say is the guest kernel's business: it
 * answers them over FUSE, or, where the guest's user may not have /dev/fuse,
 * writes them into a tmpfs. In the order of these functions:
 *
 *   view_open_device()	on the way into the guest's user namespace: the device
 *			must be opened with credentials of that namespace, but
 *			may be its owner's only
 *   view_mount()	one file system with all the files, out of the guest's sight
 *   view_prepare()	a detached copy of each file; the kernel answers already
 *   view_attach()	over the guest's files, once its /proc is mounted
 *   view_guard()	no guest mounts or unmounts its way past them
 */
#ifndef WEIR_NS_VIEW_H
#define WEIR_NS_VIEW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ns/error.h"

#define VIEW_MAX_FILES 32

struct view_file {
	const char *name;	/* in the view's own root; NULL: source is it */
	const char *source;	/* a file of the host, for the guest as it is */
	const char *target;	/* below the guest's root */
};

struct view_config {
	struct view_file file[VIEW_MAX_FILES];
	unsigned n;		/* 0: no view */
	/* Make the files in the tmpfs @dir; run in the agent. Return: 0 or -errno. */
	int (*fill)(void *ctx, int dir);
	void *ctx;
};

/**
 * view_open_device() - /dev/fuse, for a guest's user namespace
 *
 * For a process that is in the user namespace already, but has not taken on its
 * ids. Failing is no error: the reason is kept for view_mount().
 */
void view_open_device(void);

/**
 * view_mount() - Mount the view
 * @place: a directory of the host's to mount it over; it is needed there until
 *         view_prepare(), since older hosts copy only what is attached (Linux 6.15)
 *
 * While the host's files are there still.
 * Return: what the guest kernel serves: the FUSE device, or the directory of
 * the tmpfs; the caller's. A negative errno with @err.
 */
int view_mount(const struct view_config *cfg, const char *place, struct ns_error *err);

/* Look up and clone all files: with FUSE it waits for the guest kernel.
 * @host: the host's root; @root: the guest's, /proc need not be mounted yet. */
void view_prepare(const struct view_config *cfg, int host, int root);

/* Put them over the guest's files; what the host has not, the guest needs not.
 * Where they lie is remembered, for view_guard() and view_umount().
 * @root: the guest's. Return: 0, or an error: then the guest must not run. */
int view_attach(const struct view_config *cfg, int root, struct ns_error *err);

/* What it needs no more, but costs time to give up; once the guest runs. */
void view_settle(void);

/* Is there one? Then /proc and /sys are only handed out with it. */
bool view_is_attached(void);

/**
 * view_guard() - A mount(2) or umount2(2) that a guest task asked for
 * @arg: its arguments, pointers being ours; flags may be changed
 *
 * Runs where the task's paths lead. A bind of a part of /proc or /sys takes
 * what lies over it along; our files are not unmounted, moved or remounted.
 *
 * Return: 0 to go on, or the errno for the task (EINVAL, as for a mount that
 * another user namespace locked, mount_namespaces(7)).
 */
int view_guard(int nr, uint64_t arg[6]);

/* umount2(2) of a copy of /proc or /sys that a guest made: with our files over
 * it, which the host takes for other mounts and says EBUSY. */
long view_umount(const uint64_t arg[6]);

#endif
