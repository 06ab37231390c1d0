/* SPDX-License-Identifier: Apache-2.0 */
/* pi_requeue.c - PI requeue of a futex is refused by every door (CVE-2026-43499) */
#include <linux/futex.h>

#include "../guest/t.h"
#include "raw.h"

static const int ops[] = { FUTEX_CMP_REQUEUE_PI, FUTEX_WAIT_REQUEUE_PI };
static const int modifiers[] = { 0, FUTEX_PRIVATE_FLAG, FUTEX_CLOCK_REALTIME,
				 FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME };

static void i386(void)
{
	int *words = low_page();

	for (int i = 0; words && i < 8; i++) {
		int op = ops[i & 1] | modifiers[i >> 1];

		check("i386 futex", refused(raw32(240, (long)words, op, 1, 0, (long)(words + 1))));
		check("i386 futex_time64", refused(raw32(422, (long)words, op, 1, 0, (long)(words + 1))));
	}
}

int main(void)
{
	struct timespec soon = { .tv_nsec = 1000000 };
	int words[2] = { 0, 0 };

	for (int i = 0; i < 8; i++) {
		int op = ops[i & 1] | modifiers[i >> 1];
		char what[64];
		long ret = raw64(SYS_futex, (long)&words[0], op, 1, i & 1 ? (long)&soon : 1,
				 (long)&words[1], 0);

		snprintf(what, sizeof(what), "futex op %#x", op);
		check(what, ret == -ENOSYS || ret == -EPERM || ret == -EINVAL);
		if (ret == -EINVAL)
			failed("%s reached the host", what);
		snprintf(what, sizeof(what), "x32 futex op %#x", op);
		check(what, refused(raw64(202 | X32_BIT, (long)&words[0], op, 1, (long)&soon,
					  (long)&words[1], 0)));
	}
	fact("i386 door", "%s", WIFSIGNALED(child_status(i386)) ? "killed" : "refused");
	check("plain requeue works", raw64(SYS_futex, (long)&words[0], FUTEX_CMP_REQUEUE, 1, 1,
					   (long)&words[1], 0) == 0);
	check("plain PI lock works", raw64(SYS_futex, (long)&words[0], FUTEX_LOCK_PI, 0, 0, 0, 0) == 0);
	return t_failed;
}
