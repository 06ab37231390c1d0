/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cleanup.h - locals that clean themselves up
 *
 * A local marked cleanup_fd or cleanup_free is released when it goes out of
 * scope. Ownership moves by name: take_fd() and take_ptr() empty the local.
 */
#ifndef WEIR_KERNEL_CLEANUP_H
#define WEIR_KERNEL_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_fd_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_free_p(void *p)
{
	free(*(void **)p);
}

static inline int take_fd(int *fd)
{
	int ret = *fd;

	*fd = -1;
	return ret;
}

#define take_ptr(p)                                                                                \
	({                                                                                         \
		__typeof__(p) take_ptr_ret = (p);                                                  \
		(p) = NULL;                                                                        \
		take_ptr_ret;                                                                      \
	})

#define cleanup_fd __attribute__((cleanup(cleanup_fd_p), unused))
#define cleanup_free __attribute__((cleanup(cleanup_free_p), unused))

#endif
