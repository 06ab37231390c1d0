/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_lanes.c - rules of [syscalls] as a seccomp program, against the lane table
 *
 * Input: rules, a NUL, then calls as they lie in struct seccomp_data. The program is
 * run by the interpreter for these calls, beside those that mask_compile() tries.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>

#include "fuzz.h"
#include "passthrough/bpf.h"
#include "passthrough/frame.h"
#include "passthrough/mask.h"

static const char head[] = "[policy]\nname = fuzz\n[syscalls]\ndefault = deny ENOSYS\n"
			   "@default = pass\n";

static void try_calls(const struct lanes *l, const struct mask *m, const uint8_t *data, size_t size)
{
	struct seccomp_data d;
	uint64_t arg[6];

	for (; size >= sizeof(d); data += sizeof(d), size -= sizeof(d)) {
		memcpy(&d, data, sizeof(d));
		/* Most of them where there is something to find. */
		if (d.arch % 4)
			d.arch = AUDIT_ARCH_X86_64;
		if (d.nr % 8)
			d.nr &= 511;
		memcpy(arg, d.args, sizeof(arg));
		MUST(bpf_run(m->insn, &d).action == frame_action(lanes_lookup(l, d.arch, d.nr, arg)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\0', size);
	size_t rules = end ? (size_t)(end - data) : size;
	struct policy_error err = {};
	struct policy *p = NULL;
	struct lanes *l = NULL;
	struct mask m = {};

	if (policy_load(fuzz_file(head, sizeof(head) - 1, data, rules), NULL, 0, &p, &err) == 0 &&
	    lanes_build(p, &l, &err) == 0) {
		int ret = mask_compile(l, &m, &err);

		/* Too long is an answer; a program that disagrees with the table is none. */
		MUST(ret != -EPROTO);
		if (ret == 0 && end)
			try_calls(l, &m, end + 1, size - rules - 1);
	}
	mask_free(&m);
	lanes_free(l);
	policy_free(p);
	return 0;
}
