/* SPDX-License-Identifier: Apache-2.0 */
/* chroot.c - chroot(2): works for root, not for others, and holds with "..", links and fds */
#include <grp.h>

#include "t.h"

static void jailed(void)
{
	char buf[64];
	int fd = open("/", O_RDONLY | O_DIRECTORY);

	(void)fd;
	say("chroot", chroot("jail"));
	say("chdir", chdir("/"));
	check("the root is the jail", read_file("/marker", buf, sizeof(buf)) > 0);
	say("dot dot", chdir("../../../.."));
	check("leads nowhere", access("/marker", F_OK) == 0 && access("marker", F_OK) == 0);
	say("an absolute link", access("/link", F_OK));
	say("sethostname in there", sethostname("jailed", 6));
	say("/proc is not there", access("/proc", F_OK));
	say("mknod in there", mknod("/fifo", S_IFIFO | 0600, 0));
	check("it is in there", access("/fifo", F_OK) == 0);
}

static void not_root(void)
{
	need("setgroups", setgroups(0, NULL));
	need("setresuid", setresuid(1000, 1000, 1000));
	say("chroot as uid 1000", chroot("jail"));
}

int main(void)
{
	enter_dir();
	mkdir("jail", 0755);
	write_file("jail/marker", "here");
	if (symlink("/etc/passwd", "jail/link") == -1)
		need("symlink", -1);
	say_status("jailed", child_status(jailed));
	check("the fifo is where it should be", access("jail/fifo", F_OK) == 0);
	say("chroot to a file", chroot("jail/marker"));
	say("chroot to nothing", chroot("missing"));
	say("chroot of a bad pointer", syscall(SYS_chroot, 1L));
	if (other_id() > 0)
		in_child(not_root);
	return t_failed;
}
