/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids.h - which ids a guest has, and who writes its id maps
 *
 * An ordinary user's guest kernel lives in a user namespace of its own (the
 * "kernel map": 0 is the caller, 1 and up are the caller's subordinate ids);
 * the guest's namespace is a child of that one. As root there is no kernel map
 * and the guest's namespace is a child of the host's.
 */
#ifndef WEIR_NS_IDS_H
#define WEIR_NS_IDS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ns/error.h"

#define ID_EXTENTS_MAX 32	/* the host takes 340 */
#define ID_GUEST_RANGE 65536	/* ids of a guest that root starts */

struct id_extent {
	uint32_t inner, outer, count;
};

struct id_map {
	struct id_extent e[ID_EXTENTS_MAX];
	unsigned n;
};

/* [ids] uid or gid of the policy */
enum id_want { ID_WANT_AUTO, ID_WANT_SINGLE, ID_WANT_EXPLICIT };

struct id_request {
	enum id_want want_uid, want_gid;
	struct id_map uid, gid;		/* ID_WANT_EXPLICIT: guest id, host id, count */
	uid_t caller;			/* who runs weir; 0 is host root */
	gid_t caller_gid;
	const char *name;		/* the guest's, decides root's automatic range */
};

enum id_how { IDS_HOW_RANGE, IDS_HOW_SINGLE };

struct id_choice {
	struct id_map kernel_uid, kernel_gid;	/* against the host; n = 0 as root */
	struct id_map guest_uid, guest_gid;	/* against the guest kernel's namespace */
	enum id_how how;	/* SINGLE if either map is a single id */
	bool deny_setgroups;	/* the gid map is written without privilege */
	bool identity_risk;	/* host uid or gid 0 is mapped into the guest */
	char reason[128];	/* why this choice, for the boot log */
};

/**
 * ids_choose() - Decide the id maps of a guest
 *
 * Reads /etc/subuid and /etc/subgid, changes nothing.
 * Return: 0, or -EPERM (ids that the caller may not use, the line named in
 * @err), -EINVAL (a map that no kernel takes).
 */
int ids_choose(const struct id_request *req, struct id_choice *ret, struct ns_error *err);

/* Does our own namespace have every id of the host? */
bool ids_own_all(void);

/* Parse "GUEST HOST COUNT [GUEST HOST COUNT]...". Return: 0 or -EINVAL, -E2BIG. */
int ids_parse(const char *text, struct id_map *ret);

/* Add the subordinate ids of a user to @map, behind what it has: @file is
 * /etc/subuid or /etc/subgid; lines go by name or number, bad ones are logged
 * and ignored, an absent file has none. */
void ids_read_ranges(const char *file, const char *user, uid_t uid, struct id_map *map);

/* What @inner is outside; -1 if it is not mapped. */
int64_t ids_to_outer(const struct id_map *map, uint32_t inner);

/* What @outer is inside; -1 if it is not mapped. */
int64_t ids_to_inner(const struct id_map *map, uint32_t outer);

/* Write /proc/PID/{setgroups,uid_map,gid_map} with our own authority. */
int ids_write_direct(pid_t pid, const struct id_map *uid, const struct id_map *gid,
		     bool deny_setgroups, struct ns_error *err);

/* The same through newuidmap and newgidmap, both at once. */
int ids_write_helpers(pid_t pid, const struct id_map *uid, const struct id_map *gid,
		      struct ns_error *err);

/* The kernel map of @choice, each half the way it needs. For `weir run`. */
int ids_write_kernel(pid_t pid, const struct id_choice *choice, struct ns_error *err);

/* A new user namespace below ours with the guest's maps. Return: a descriptor of
 * it. A child that held it meanwhile is left to be reaped: any SIGCHLD. */
int ids_new_userns(const struct id_choice *choice, struct ns_error *err);

/* Why a user namespace could not be made: @ret is what clone or unshare gave. */
int ids_explain_userns(int ret, struct ns_error *err);

#endif
