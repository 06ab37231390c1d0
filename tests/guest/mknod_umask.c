/* SPDX-License-Identifier: Apache-2.0 */
/* mknod_umask.c - a node made by the guest kernel has the caller's umask, owner and directory */
#include <grp.h>
#include <sys/sysmacros.h>

#include "t.h"

static void as_other(void)
{
	struct stat st;

	need("setgroups", setgroups(0, NULL));
	need("setresgid", setresgid(1000, 1000, 1000));
	need("setresuid", setresuid(1000, 1000, 1000));
	say("mknod null as uid 1000", mknod("null1000", S_IFCHR | 0666, makedev(1, 3)));
	say("mkfifo as uid 1000", mkfifo("fifo1000", 0666));
	check("the fifo is 1000's", stat("fifo1000", &st) == 0 && st.st_uid == 1000);
	say("mkfifo where 1000 may not", mkfifo("root-only/fifo", 0666));
	say("mknod where 1000 may not", mknod("root-only/null", S_IFCHR | 0666, makedev(1, 3)));
}

int main(void)
{
	struct stat st;

	enter_dir();
	umask(027);
	say("mknod null", mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	if (stat("null", &st) == 0) {
		fact("mode", "%o", st.st_mode & 07777);
		fact("owner", "%d:%d", (int)st.st_uid, (int)st.st_gid);
	}
	umask(0);
	mkdir("root-only", 0700);
	mkdir("sgid", 02777);
	need("chmod", chmod(".", 0777));
	if (other_id() < 0)
		skip("the guest has one id");
	in_child(as_other);
	return t_failed;
}
