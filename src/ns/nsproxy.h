/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nsproxy.h - which namespaces a guest has
 *
 * The user and pid namespaces have an order of their own and are made by
 * whoever starts the guest; the table holds them so that they are probed,
 * opened and named like the others.
 */
#ifndef WEIR_NS_NSPROXY_H
#define WEIR_NS_NSPROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "ns/error.h"

enum ns_kind { NS_USER, NS_PID, NS_MNT, NS_UTS, NS_IPC, NS_NET, NS_TIME, NS_CGROUP, NUM_NS };
enum ns_mode { NS_NEW, NS_HOST, NS_JOIN };

struct ns_choice {
	enum ns_mode mode;
	const char *path;	/* NS_JOIN: the caller's string */
	int fd;			/* NS_JOIN: open after nsproxy_open(), else -1 */
};

struct nsproxy {
	struct ns_choice ns[NUM_NS];
	int64_t monotonic_ns, boottime_ns;	/* offsets of a new time namespace */
};

/* "user", "net" ... as the policy has them. */
const char *ns_name(enum ns_kind kind);
/* CLONE_NEWUSER, CLONE_NEWNET ... */
unsigned ns_flag(enum ns_kind kind);

/* All new, nothing open. */
void nsproxy_init(struct nsproxy *p);
void nsproxy_destroy(struct nsproxy *p);

/**
 * nsproxy_open() - Check the table against the host and open what is joined
 *
 * Return: 0; -ENOSYS if the host lacks a kind that the guest shall have,
 * -EINVAL for a file that is no namespace of the kind, or what open gives; the
 * namespace is named in @err.
 */
int nsproxy_open(struct nsproxy *p, struct ns_error *err);

/* Flags for clone3(2) or unshare(2): the new ones among the kinds in @flags. */
unsigned nsproxy_flags(const struct nsproxy *p, unsigned flags);

/**
 * nsproxy_join() - Enter the namespaces that are joined, all but user and pid
 *
 * Before the guest's user namespace is entered: its root has no rights over a
 * namespace that somebody else made.
 */
int nsproxy_join(const struct nsproxy *p, struct ns_error *err);

/* Make the new ones, all but user and pid, and set the clocks' offsets; join
 * what is not joined yet. */
int nsproxy_enter(const struct nsproxy *p, struct ns_error *err);

/* Offsets for the children of this process; only right after
 * unshare(CLONE_NEWTIME), before the first child. */
int nsproxy_write_timens(int64_t monotonic_ns, int64_t boottime_ns);

#endif
