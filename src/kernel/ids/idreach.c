/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idreach.c - directories that a guest user has lately been found to reach
 *
 * No lock: a slot that is read while others write it may have one's key and another's
 * time, which are moments apart. All else that an entry is true of is in its key.
 */
#include "kernel/ids/idreach.h"

#include <stdatomic.h>

#include "kernel/util.h"
#include "passthrough/hostcall.h"

static uint64_t mix(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);	/* FNV-1a */
	return h;
}

uint64_t idreach_key(uint64_t generation, const struct idcred *cred, const struct stat *root,
		     const char *path, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	h = mix(h, &generation, sizeof(generation));
	h = mix(h, cred, offsetof(struct idcred, group));
	h = mix(h, cred->group, cred->ngroups * sizeof(cred->group[0]));
	h = mix(h, &root->st_dev, sizeof(root->st_dev));
	h = mix(h, &root->st_ino, sizeof(root->st_ino));
	h = mix(h, path, len);
	return h ? h : 1;
}

bool idreach_has(struct idreach *r, uint64_t key)
{
	size_t i = key % IDREACH_SLOTS;

	return key && atomic_load(&r->slot[i].key) == key && host_now() < atomic_load(&r->slot[i].until);
}

void idreach_put(struct idreach *r, uint64_t key)
{
	size_t i = key % IDREACH_SLOTS;

	atomic_store(&r->slot[i].key, 0);
	atomic_store(&r->slot[i].until, host_now() + IDREACH_NS);
	atomic_store(&r->slot[i].key, key);
}

uint64_t idreach_now(const struct idreach *r)
{
	return atomic_load(&r->generation);
}

void idreach_forget(struct idreach *r)
{
	atomic_fetch_add(&r->generation, 1);
}
