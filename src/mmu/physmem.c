/* SPDX-License-Identifier: Apache-2.0 */
/*
 * physmem.c - memory that the guest kernel itself keeps for the guest, as files
 */
#include "mmu/physmem.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "kernel/cleanup.h"
#include "passthrough/hostcall.h"

#define BLOCK 512	/* of st_blocks */

int physmem_add(struct physmem *p, const char *name, uint64_t bytes)
{
	cleanup_fd int fd = -1;
	struct physmem_area *a;
	int ret;

	if (p->n == PHYSMEM_MAX_AREAS)
		return -ENOSPC;
	fd = host_result(memfd_create("weir-physmem", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	if (fd < 0)
		return fd;
	ret = host_result(ftruncate(fd, bytes));
	if (ret == 0)
		ret = host_result(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL));
	if (ret < 0)
		return ret;
	a = &p->area[p->n++];
	*a = (struct physmem_area){ .fd = take_fd(&fd), .bytes = bytes };
	snprintf(a->name, sizeof(a->name), "%s", name);
	return a->fd;
}

uint64_t physmem_resident(const struct physmem_area *a)
{
	struct stat st;

	return host_result(fstat(a->fd, &st)) < 0 ? 0 : (uint64_t)st.st_blocks * BLOCK;
}

void physmem_exit(struct physmem *p)
{
	while (p->n)
		cleanup_fd_p(&p->area[--p->n].fd);
}
