/* SPDX-License-Identifier: Apache-2.0 */
/* reboot_bad.c - reboot(2) with wrong words does nothing; nor does it for others than root */
#include <grp.h>

#include "t.h"

static void not_root(void)
{
	need("setgroups", setgroups(0, NULL));
	need("setresuid", setresuid(1000, 1000, 1000));
	say("restart as uid 1000", syscall(SYS_reboot, 0xfee1dead, 672274793, 0x1234567, NULL));
	say("power off as uid 1000", syscall(SYS_reboot, 0xfee1dead, 672274793, 0x4321fedc, NULL));
}

int main(void)
{
	say("wrong first word", syscall(SYS_reboot, 1, 672274793, 0x1234567, NULL));
	say("wrong second word", syscall(SYS_reboot, 0xfee1dead, 1, 0x1234567, NULL));
	say("unknown command", syscall(SYS_reboot, 0xfee1dead, 672274793, 0x77777777, NULL));
	if (other_id() > 0)
		in_child(not_root);
	say("still here", 0);
	return t_failed;
}
