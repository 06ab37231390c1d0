/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uaccess.h - the one door to guest memory
 *
 * A guest address is a uaddr_t and nothing else turns it into bytes. Copy in
 * once, decide and act on the copy: the guest may change its memory at any
 * moment. A task is named by its host thread id; the caller checks with the
 * trap door (call_valid()) that the task was still the one it answers.
 */
#ifndef WEIR_MMU_UACCESS_H
#define WEIR_MMU_UACCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct {
	uint64_t v;
} uaddr_t;

static inline uaddr_t uaddr(uint64_t v)
{
	return (uaddr_t){ v };
}

static inline int uaddr_is_null(uaddr_t a)
{
	return a.v == 0;
}

/* All of @len bytes or -EFAULT; -ESRCH if the task is gone. */
int copy_from_guest(pid_t tid, void *to, uaddr_t from, size_t len);
int copy_to_guest(pid_t tid, uaddr_t to, const void *from, size_t len);

/**
 * copy_string_from_guest() - A NUL-terminated string
 *
 * Return: its length without the NUL, -ENAMETOOLONG if there is no NUL in the
 * first @size bytes, -EFAULT if memory ends before it.
 */
ssize_t copy_string_from_guest(pid_t tid, char *to, uaddr_t from, size_t size);

#endif
