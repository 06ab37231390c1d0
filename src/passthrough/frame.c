/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.c - the part of the mask that libseccomp makes: the search by number
 */
#include "passthrough/frame.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>

#include "kernel/cleanup.h"
#include "passthrough/hostcall.h"
#include "passthrough/lanes_impl.h"

uint32_t frame_action(const struct lane_rule *r)
{
	if (r->stops)
		return SECCOMP_RET_USER_NOTIF;
	switch (r->lane) {
	case LANE_PASS:
		return SECCOMP_RET_ALLOW;
	case LANE_DENY:
		return SECCOMP_RET_ERRNO | r->err;
	default:
		return SECCOMP_RET_KILL_PROCESS;
	}
}

static int add_calls(scmp_filter_ctx ctx, const struct lanes *l)
{
	uint32_t otherwise = frame_action(&l->rule[LANES_DEFAULT]);

	for (int nr = 0; nr < LANES_MAX_NR; nr++) {
		const struct lane_rule *rule = lanes_constant_rule(l, nr);
		uint32_t action = rule ? frame_action(rule) : SECCOMP_RET_TRACE | (nr + 1);
		int r;

		if (action == otherwise)
			continue;
		r = seccomp_rule_add_exact(ctx, action, nr, 0);
		if (r < 0)
			return r;
	}
	return 0;
}

static int export(scmp_filter_ctx ctx, struct sock_filter *insn)
{
	const size_t room = BPF_MAXINSNS * sizeof(*insn);
	cleanup_fd int fd = host_call(SYS_memfd_create, "mask", MFD_CLOEXEC);
	ssize_t len;
	int r;

	if (fd < 0)
		return fd;
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return r;
	if (host_call(SYS_lseek, fd, 0, SEEK_SET) < 0)
		return -EIO;
	len = host_read(fd, insn, room);
	if (len < 0)
		return len;
	return (size_t)len == room ? -E2BIG : (int)(len / sizeof(*insn));
}

int frame_build(const struct lanes *l, struct sock_filter *insn)
{
	scmp_filter_ctx ctx;
	int r;

	if (seccomp_arch_native() != SCMP_ARCH_X86_64)
		return -EOPNOTSUPP;
	ctx = seccomp_init(frame_action(&l->rule[LANES_DEFAULT]));
	if (!ctx)
		return -ENOMEM;
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = add_calls(ctx, l);
	if (r == 0)
		r = export(ctx, insn);
	seccomp_release(ctx);
	return r;
}
