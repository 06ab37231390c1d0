/* SPDX-License-Identifier: Apache-2.0 */
/* pivot.c - pivot_root(2) in a mount namespace, as container tools do it */
#include <sched.h>
#include <sys/mount.h>

#include "t.h"

static int pivot_root(const char *new_root, const char *put_old)
{
	return syscall(SYS_pivot_root, new_root, put_old);
}

static void pivots(void)
{
	if (unshare(CLONE_NEWNS) == -1) {
		say("a mount namespace", -1);
		return;
	}
	say("a mount namespace", 0);
	say("private", mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	say("a tmpfs for the root", mount("none", "new", "tmpfs", 0, NULL));
	mkdir("new/old", 0755);
	write_file("new/marker", "");
	say("pivot_root", pivot_root("new", "new/old"));
	say("chdir", chdir("/"));
	say("the root is the new one", access("/marker", F_OK));
	say("the old one is below it", access("/old/etc", F_OK));
	say("detach the old one", umount2("/old", MNT_DETACH));
	say("it is gone", access("/old/etc", F_OK));
	say("sethostname after it", sethostname("pivoted", 7));
	say("mount after it", mount("none", "/old", "tmpfs", 0, NULL));
	say("umount after it", umount("/old"));
}

int main(void)
{
	enter_dir();
	mkdir("new", 0755);
	mkdir("put", 0755);
	say_status("pivots", child_status(pivots));
	say("the root here is as it was", access("/etc", F_OK));
	say("to what is no mount point", pivot_root("put", "put"));
	say("to nothing", pivot_root("missing", "missing"));
	say("bad pointers", syscall(SYS_pivot_root, 1L, 1L));
	return t_failed;
}
