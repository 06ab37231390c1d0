/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine.c - the guest kernel's filter of its own system calls, laid
 */
#include "passthrough/confine.h"

#include <errno.h>
#include <linux/seccomp.h>

#include "passthrough/hostcall.h"

static int load(const struct confine_program *p, unsigned flags)
{
	struct sock_fprog prog = { .len = p->len, .filter = (struct sock_filter *)p->insn };
	long ret = host_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			     SECCOMP_FILTER_FLAG_TSYNC | flags, &prog);

	/* Positive: a thread that has a filter of its own, and keeps us from ours. */
	return ret > 0 ? -EBUSY : ret;
}

int confine_filter(enum confine_filter which)
{
	/* This first: the other does not let another one be laid. */
	int ret = load(&confine_kernel[CONFINE_QUIET], 0);

	return ret < 0 ? ret : load(&confine_kernel[which], SECCOMP_FILTER_FLAG_LOG);
}
