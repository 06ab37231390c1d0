/* SPDX-License-Identifier: Apache-2.0 */
/* chroot_mount.c - mount, mknod and umount named from inside a chroot act inside it */
#include <sys/mount.h>

#include "t.h"

static void jailed(void)
{
	need("chroot", chroot("jail"));
	need("chdir", chdir("/"));
	say("mount on /m", mount("none", "/m", "tmpfs", 0, NULL));
	write_file("/m/inside", "");
	say("mount on ../../m2", mount("none", "../../m2", "tmpfs", 0, NULL));
	write_file("/m2/inside", "");
	say("mount through a link that points out", mount("none", "/out", "tmpfs", 0, NULL));
	say("mknod through a link that points out", mknod("/out/fifo", S_IFIFO | 0600, 0));
	say("umount /m2", umount("/m2"));
}

int main(void)
{
	enter_dir();
	mkdir("jail", 0755);
	mkdir("jail/m", 0755);
	mkdir("jail/m2", 0755);
	mkdir("m2", 0755);
	mkdir("outside", 0755);
	if (symlink("/outside", "jail/out") == -1)
		need("symlink", -1);
	say_status("jailed", child_status(jailed));
	check("the mount is in the chroot's /m", access("jail/m/inside", F_OK) == 0);
	check("nothing is at our m2", access("m2/inside", F_OK) == -1);
	check("nothing is outside", access("outside/fifo", F_OK) == -1);
	say("umount from outside", umount("jail/m"));
	return t_failed;
}
