/* SPDX-License-Identifier: Apache-2.0 */
/* iouring.c - no ring: its operations pass no filter */
#include "../guest/t.h"
#include "raw.h"

static void i386(void)
{
	long *page = low_page();

	check("i386 io_uring_setup", refused(raw32(425, 8, (long)page, 0, 0, 0)));
}

int main(void)
{
	static char params[256];

	check("io_uring_setup", refused(raw64(425, 8, (long)params, 0, 0, 0, 0)));
	check("io_uring_setup, bad pointer", refused(raw64(425, 8, 1, 0, 0, 0, 0)));
	check("io_uring_enter", refused(raw64(426, -1, 0, 0, 0, 0, 0)));
	check("io_uring_register", refused(raw64(427, -1, 0, 0, 0, 0, 0)));
	check("io_uring_register, without a ring", refused(raw64(427, -1, 0x80000000, 0, 0, 0, 0)));
	check("x32 io_uring_setup", refused(raw64(425 | X32_BIT, 8, (long)params, 0, 0, 0, 0)));
	fact("i386 door", "%s", WIFSIGNALED(child_status(i386)) ? "killed" : "refused");
	return t_failed;
}
