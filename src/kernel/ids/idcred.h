/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idcred.h - credentials that the guest kernel keeps itself
 *
 * With [ids] uid = single the host gives one id, and every task of the guest has
 * it. What a task is inside, a user with groups and capabilities, is then ours to
 * know (credentials(7), capabilities(7)).
 *
 * A task must inherit it over fork and exec, which do not stop. So it is kept where
 * the host inherits it for us: in a resource limit that means nothing any more,
 * RLIMIT_LOCKS (setrlimit(2): no effect since Linux 2.4.25). Its soft value is the
 * number of a set of credentials in our table; "unlimited" is guest root as it
 * starts. The guest's own calls for that limit stop and never reach it. Limits
 * belong to a process, and so do these credentials: a thread that changes its own
 * alone, by a raw call and not the C library's, changes those of all.
 */
#ifndef WEIR_KERNEL_IDCRED_H
#define WEIR_KERNEL_IDCRED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define IDCRED_MAX_GROUPS 64	/* setgroups(2) gives EINVAL beyond */
#define IDCRED_MAX_SETS 65536	/* a set is never forgotten: EAGAIN beyond */

struct kernel;

enum id_kind { ID_REAL, ID_EFFECTIVE, ID_SAVED, ID_FS, ID_KINDS };

struct idcred {
	uint32_t uid[ID_KINDS], gid[ID_KINDS];
	uint64_t inheritable, permitted, effective, ambient, bounding;
	uint32_t securebits;
	uint32_t ngroups;
	uint32_t group[IDCRED_MAX_GROUPS];	/* zero beyond ngroups */
};

struct idcred_table;

/* The table of a guest whose root has the capabilities @caps; NULL without memory. */
struct idcred_table *idcred_create(uint64_t caps);
void idcred_destroy(struct idcred_table *t);

/* Can the host carry what we write down? -EOPNOTSUPP: RLIMIT_LOCKS is limited. */
int idcred_probe(void);

/**
 * idcred_get() - The credentials of a host process or thread
 *
 * Return: 0, or -ESRCH.
 */
int idcred_get(struct idcred_table *t, pid_t tid, struct idcred *ret);

/* Is it guest root as it starts? The short question of most calls. */
bool idcred_is_initial(pid_t tid);

/* Return: 0, -ESRCH, or -EAGAIN if the table is full. */
int idcred_set(struct idcred_table *t, pid_t tid, const struct idcred *cred);

/* The same from the moment on at which the caller, which is about to execve(2), has
 * become another program; never, if that fails. */
int idcred_set_at_exec(struct idcred_table *t, pid_t tid, const struct idcred *cred);

static inline bool idcred_capable(const struct idcred *c, int cap)
{
	return c->effective >> cap & 1;
}

/* By the group ids for files, or the supplementary ones. */
bool idcred_in_group(const struct idcred *c, uint32_t gid);

/**
 * idcred_may() - Does a file's mode give these rights? (path_resolution(7))
 * @owner, @group, @mode: the file's
 * @want: R_OK, W_OK and X_OK
 */
bool idcred_may(const struct idcred *c, uint32_t owner, uint32_t group, mode_t mode, int want);

#endif
