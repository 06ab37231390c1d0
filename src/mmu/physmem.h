/* SPDX-License-Identifier: Apache-2.0 */
/*
 * physmem.h - memory that the guest kernel itself keeps for the guest, as files
 *
 * An area is a memfd of a size that cannot change. It is sparse: a page of it that
 * was never written is not there, and one that is punched out (fallocate(2),
 * FALLOC_FL_PUNCH_HOLE) is the host's again when that call returns.
 */
#ifndef WEIR_MMU_PHYSMEM_H
#define WEIR_MMU_PHYSMEM_H

#include <stdint.h>

#define PHYSMEM_MAX_AREAS 16

struct physmem_area {
	char name[16];		/* what it is for: "ubd0" */
	int fd;
	uint64_t bytes;
};

/* Nothing is in it when zeroed. */
struct physmem {
	struct physmem_area area[PHYSMEM_MAX_AREAS];
	unsigned n;
};

/**
 * physmem_add() - A new area, all zeroes
 * @bytes: its size
 *
 * Return: a descriptor for reading and writing, @p's until physmem_exit(), or a
 * negative errno.
 */
int physmem_add(struct physmem *p, const char *name, uint64_t bytes);

/* Bytes of it that are there: its blocks, stat(2). Any thread. */
uint64_t physmem_resident(const struct physmem_area *a);

void physmem_exit(struct physmem *p);

#endif
