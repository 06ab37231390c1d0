/* SPDX-License-Identifier: Apache-2.0 */
/*
 * root.h - the guest's root file system
 *
 * Built in the order of these functions, by the processes named:
 *
 *   guest kernel   root_prepare()      opens what needs its authority
 *   agent          root_build()        staging, layers, /dev /sys /run /tmp
 *   guest init     root_mount_proc()   /proc of its pid namespace
 *   guest init     root_enter()        pivot_root, for both
 *   agent          root_detach_old()   the host is gone
 *   agent          root_keep()         what later requests need
 *
 * Everything is mounted in the agent's mount namespace or hangs on a
 * descriptor: nothing is left on the host, whatever fails.
 */
#ifndef WEIR_NS_ROOT_H
#define WEIR_NS_ROOT_H

#include <stdbool.h>
#include <stdint.h>

#include "ns/error.h"

/* [guest] writable = no | overlay | yes */
enum root_mode { ROOT_RO, ROOT_OVERLAY, ROOT_RW };

struct root_config {
	const char *dir;	/* NULL: the host's own /; its name, if it is on a disk */
	bool on_disk;		/* root_give() will say what it is */
	enum root_mode mode;
	bool as_root;		/* the guest kernel is host root */
	int userns_fd;		/* as root: the guest's, whose map goes on the mounts; or -1 */
	const char *cwd;	/* where to start, NULL: /; kept by the caller */
	bool own_net;		/* the net namespace is the guest's: sysfs may be mounted */
	bool own_cgroup;	/* so is the cgroup namespace */
	bool own_group;		/* and its root is the guest's own group, to be written */
	uint64_t tmpfs_bytes;	/* what a tmpfs of the guest may hold; 0: as the host has it */
	uint64_t caps;		/* what the guest's root has, as bits */
	bool identity_risk;	/* host id 0 is in the guest's map: protect /proc more */
};

struct root;

/**
 * root_prepare() - Open what the guest's root is made of
 *
 * Runs in the guest kernel's private mount namespace.
 * Return: 0, or an error with its line: -ENOENT, -ENOTDIR, -EINVAL (the host's
 * own root cannot be writable; a file system that cannot carry the id map).
 */
int root_prepare(const struct root_config *cfg, struct root **ret, struct ns_error *err);

/* The directory of the host's that root_build() will cover: what is mounted there
 * before hides nothing, and goes with the host's root. NULL: the host has none. */
const char *root_cover(struct root *root);

/* Closes everything; fine on NULL and half-built objects. */
void root_destroy(struct root *root);

/* A root on a disk: the mount of its file system, detached, the root's from now on. */
void root_give(struct root *root, int tree);

/**
 * root_build() - Mount all but /proc below a staging directory
 *
 * Runs in the agent: uid 0 of the guest's user namespace, in its new mount
 * namespace. The working directory is the new root afterwards.
 */
int root_build(struct root *root, struct ns_error *err);

/* Once it is built: @tree, detached, at @path of the guest's, which is made if it is not
 * there and can be. */
int root_attach(struct root *root, const char *path, int tree, struct ns_error *err);

/* Once all is mounted: is cfg->cwd there? root_cwd() knows then. */
void root_check_cwd(struct root *root);

/* Runs in the guest's pid namespace, before root_enter(): a user namespace may
 * mount procfs only while it still sees another one whole. */
int root_mount_proc(struct root *root, struct ns_error *err);

/* Make the new root / for every process of this mount namespace. The old one
 * lies on top of it, where no path leads. Leaves the caller in /. */
int root_enter(struct root *root, struct ns_error *err);

/* Detach the old root; before anything of the guest's runs. Takes long: the host
 * waits for all its CPUs. Leaves the caller in /. */
int root_detach_old(struct root *root, struct ns_error *err);

/* Where the guest's first program starts: cfg->cwd if it is there, else "/". */
const char *root_cwd(const struct root *root);

/* The file systems and devices that later requests hand out copies of. */
enum root_tree { ROOT_TREE_PROC, ROOT_TREE_SYS, NUM_ROOT_TREES };

struct root_device {
	const char *name;
	unsigned major, minor;
};

enum { NUM_ROOT_DEVICES = 6 };
extern const struct root_device root_devices[NUM_ROOT_DEVICES];

struct root_kept {
	/* Descriptors on the attached mount, and a detached copy for the time
	 * after the guest has unmounted it; -1 if there is none. */
	int tree[NUM_ROOT_TREES], spare[NUM_ROOT_TREES];
	bool whole;	/* copies of a tree come with the mounts below it */
	int device[NUM_ROOT_DEVICES];
	int pts;	/* the guest's devpts */
	int console;	/* /dev/console, what consoles are bound over */
	int disks;	/* /dev/ubd; only if the guest has disks */
};

/* What root_open_pty() and root_bind_console() need; after root_build(). */
int root_keep_console(struct root *root, struct root_kept *ret, struct ns_error *err);

/* The rest; after root_detach_old(). */
int root_keep(struct root *root, struct root_kept *ret, struct ns_error *err);

/* A detached copy to attach somewhere in the guest. Copying needs CAP_SYS_ADMIN
 * over the mount namespace. -ENOENT: the guest has none. */
int root_clone_kept(const struct root_kept *kept, unsigned tree);
int root_clone_device(const struct root_kept *kept, unsigned device);

/* Index in root_devices, -ENODEV if the guest has no such device. */
int root_device_index(unsigned major, unsigned minor);

/* A new pseudo-terminal of the guest's devpts: both ends, close-on-exec. */
int root_open_pty(struct root *root, const struct root_kept *kept, int *ret_master,
		  int *ret_slave, struct ns_error *err);

/* Put the pseudo-terminal @slave over /dev/console. */
int root_bind_console(struct root *root, const struct root_kept *kept, int slave,
		      struct ns_error *err);

/**
 * root_verify() - Is anything of the host still mounted, or shared with it?
 * @mountinfo: /proc/PID/mountinfo of a guest process
 *
 * Return: 0, or -EXDEV with the line of the mount that should not be there.
 */
int root_verify(const struct root *root, const char *mountinfo, struct ns_error *err);

#endif
