/* SPDX-License-Identifier: Apache-2.0 */
/* newmount.c - the new mount calls; a guest that is not given them sees none of them */
#include <sys/mount.h>

#include "t.h"

static void one(const char *what, long ret)
{
	say(what, ret);
}

int main(void)
{
	one("fsopen", syscall(430, "tmpfs", 0));
	one("fspick", syscall(433, -100, "/", 0));
	one("open_tree", syscall(428, -100, "/", 0));
	one("move_mount", syscall(429, -1, "", -1, "", 0));
	one("fsconfig", syscall(431, -1, 0, NULL, NULL, 0));
	one("fsmount", syscall(432, -1, 0, 0));
	one("mount_setattr", syscall(442, -1, "", 0, NULL, 0));
	one("statmount", syscall(457, NULL, NULL, 0, 0));
	one("listmount", syscall(458, NULL, NULL, 0, 0));
	enter_dir();
	mkdir("m", 0755);
	one("mount still works", mount("none", "m", "tmpfs", 0, NULL));
	one("umount too", umount("m"));
	return t_failed;
}
