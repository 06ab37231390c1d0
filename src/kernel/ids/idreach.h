/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idreach.h - directories that a guest user has lately been found to reach
 *
 * Programs ask for many files of the same directories (a compiler reads links on the
 * way to each header). A walk that came to a directory by plain names, with the right to
 * search each, is remembered for a moment. Whatever the guest does to owners, modes and
 * names of directories forgets all.
 */
#ifndef WEIR_KERNEL_IDREACH_H
#define WEIR_KERNEL_IDREACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "kernel/ids/idcred.h"

#define IDREACH_SLOTS 1024
#define IDREACH_NS 50000000	/* what the host's own users change is noticed after so long */

/* All zero is an empty one. */
struct idreach {
	_Atomic uint64_t generation;
	struct {
		_Atomic uint64_t key, until;	/* host_now() */
	} slot[IDREACH_SLOTS];
};

/* What the keys are of that are made now; for a walk, from before it looks at anything. */
uint64_t idreach_now(const struct idreach *r);

/* For a user, a root and the first @len bytes of a path, 64 bits of a hash, never 0. Two
 * that are equal give a user of the guest another's right to search, which is no boundary. */
uint64_t idreach_key(uint64_t generation, const struct idcred *cred, const struct stat *root,
		     const char *path, size_t len);

/* @key 0 is none. */
bool idreach_has(struct idreach *r, uint64_t key);
void idreach_put(struct idreach *r, uint64_t key);

/* Rights or names of directories are about to change, or have just. */
void idreach_forget(struct idreach *r);

#endif
