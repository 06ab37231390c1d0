/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uaccess.c - the one door to guest memory
 *
 * process_vm_readv(2) and process_vm_writev(2): they honour the protection of
 * the guest's pages, fault them in, and need no stop of the task.
 */
#include "mmu/uaccess.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define PAGE_BYTES 4096

int copy_from_guest(pid_t tid, void *to, uaddr_t from, size_t len)
{
	struct iovec local = { to, len }, remote = { (void *)(uintptr_t)from.v, len };
	ssize_t n;

	if (len == 0)
		return 0;
	n = host_result(process_vm_readv(tid, &local, 1, &remote, 1, 0));
	if (n == -ESRCH)
		return n;
	return n == (ssize_t)len ? 0 : -EFAULT;
}

int copy_to_guest(pid_t tid, uaddr_t to, const void *from, size_t len)
{
	struct iovec local = { (void *)from, len }, remote = { (void *)(uintptr_t)to.v, len };
	ssize_t n;

	if (len == 0)
		return 0;
	n = host_result(process_vm_writev(tid, &local, 1, &remote, 1, 0));
	if (n == -ESRCH)
		return n;
	return n == (ssize_t)len ? 0 : -EFAULT;
}

/* Read up to the end of a page at a time: a string may end just before memory
 * that is not there. */
ssize_t copy_string_from_guest(pid_t tid, char *to, uaddr_t from, size_t size)
{
	size_t done = 0;

	while (done < size) {
		uint64_t at = from.v + done;
		size_t chunk = MIN(PAGE_BYTES - at % PAGE_BYTES, size - done);
		int ret;
		char *nul;

		if (at < from.v)
			return -EFAULT;
		ret = copy_from_guest(tid, to + done, uaddr(at), chunk);
		if (ret < 0)
			return ret;
		nul = memchr(to + done, '\0', chunk);
		if (nul)
			return nul - to;
		done += chunk;
	}
	return -ENAMETOOLONG;
}
