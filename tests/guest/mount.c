/* SPDX-License-Identifier: Apache-2.0 */
/* mount.c - mount(2) and umount2(2): what works, what is refused, and with which error */
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "t.h"

#define TMPFS_MAGIC 0x01021994

static void make_and_remove(void)
{
	struct statfs fs;

	say("mount tmpfs", mount("none", "t", "tmpfs", 0, "size=1m,mode=0750"));
	need("statfs", statfs("t", &fs));
	check("it is a tmpfs", fs.f_type == TMPFS_MAGIC);
	fact("its size", "%ld KiB", (long)(fs.f_blocks * fs.f_bsize / 1024));
	say("write a file in it", write_file("t/file", "text"));
	say("bind it", mount("t", "b", NULL, MS_BIND, NULL));
	say("the file is at both", access("b/file", F_OK));
	say("remount the bind read-only",
	    mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	say("write through the read-only bind", write_file("b/file", "x"));
	say("write through the first mount", write_file("t/file", "y"));
	say("remount all of it read-only", mount(NULL, "t", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	say("write after that", write_file("t/file", "z"));
	say("umount the bind", umount("b"));
	say("umount it again", umount("b"));
	say("umount the tmpfs", umount("t"));
	say("the file is gone", access("t/file", F_OK));
}

static void busy(void)
{
	int fd;

	say("mount for the busy test", mount("none", "t", "tmpfs", 0, NULL));
	fd = open("t/open", O_RDWR | O_CREAT, 0644);
	say("umount while a file is open", umount("t"));
	say("umount with MNT_DETACH", umount2("t", MNT_DETACH));
	say("the open file still takes data", write(fd, "x", 1));
	close(fd);
	say("mount for the expire test", mount("none", "t", "tmpfs", 0, NULL));
	say("first MNT_EXPIRE", umount2("t", MNT_EXPIRE));
	say("second MNT_EXPIRE", umount2("t", MNT_EXPIRE));
}

static void flags(void)
{
	struct statvfs fs;

	say("mount with nosuid,nodev,noexec",
	    mount("none", "t", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
	need("statvfs", statvfs("t", &fs));
	fact("nosuid", "%d", !!(fs.f_flag & ST_NOSUID));
	fact("nodev", "%d", !!(fs.f_flag & ST_NODEV));
	fact("noexec", "%d", !!(fs.f_flag & ST_NOEXEC));
	write_file("t/prog", "#!/bin/sh\nexit 0\n");
	chmod("t/prog", 0755);
	say("exec on noexec", execl("t/prog", "t/prog", NULL));
	say("move it", mount("t", "b", NULL, MS_MOVE, NULL));
	say("it is at the new place", access("b/prog", F_OK));
	say("it is not at the old place", access("t/prog", F_OK));
	say("umount", umount("b"));
}

static void propagation(void)
{
	say("mount for propagation", mount("none", "t", "tmpfs", 0, NULL));
	say("make shared", mount(NULL, "t", NULL, MS_SHARED, NULL));
	say("bind of the shared", mount("t", "b", NULL, MS_BIND, NULL));
	mkdir("t/sub", 0755);
	say("mount below the shared", mount("none", "t/sub", "tmpfs", 0, NULL));
	write_file("t/sub/seen", "");
	say("seen through the peer", access("b/sub/seen", F_OK));
	say("make private", mount(NULL, "b", NULL, MS_PRIVATE | MS_REC, NULL));
	say("make slave", mount(NULL, "b", NULL, MS_SLAVE, NULL));
	say("make unbindable", mount(NULL, "b", NULL, MS_UNBINDABLE, NULL));
	say("bind of the unbindable", mount("b", "c", NULL, MS_BIND, NULL));
	say("two kinds at once", mount(NULL, "b", NULL, MS_SHARED | MS_PRIVATE, NULL));
	say("detach the peer", umount2("b", MNT_DETACH));
	say("detach the first", umount2("t", MNT_DETACH));
}

static void refused(void)
{
	static char path[5000];

	say("unknown file system", mount("none", "t", "nosuchfs", 0, NULL));
	say("no file system type", mount("none", "t", NULL, 0, NULL));
	say("ext4 without a device", mount("/dev/null", "t", "ext4", 0, NULL));
	say("missing target", mount("none", "missing", "tmpfs", 0, NULL));
	say("target below a file", mount("none", "/etc/passwd/x", "tmpfs", 0, NULL));
	say("missing source of a bind", mount("missing", "t", NULL, MS_BIND, NULL));
	say("directory bound over a file", mount("t", "/etc/passwd", NULL, MS_BIND, NULL));
	say("bad option", mount("none", "t", "tmpfs", 0, "nosuchoption=1"));
	memset(path, 'a', sizeof(path) - 1);
	say("path too long", mount("none", path, "tmpfs", 0, NULL));
	say("remount of what is no mount point", mount(NULL, "t", NULL, MS_REMOUNT, NULL));
	say("umount of what is no mount point", umount("t"));
	say("umount of a missing path", umount("missing"));
	say("umount with unknown flags", umount2("t", 0x1000));
	say("umount through a link, not followed", umount2("link", UMOUNT_NOFOLLOW));
	say("mount of the root's private parent", mount(NULL, "/nowhere", NULL, MS_PRIVATE, NULL));
}

int main(void)
{
	enter_dir();
	mkdir("t", 0755);
	mkdir("b", 0755);
	mkdir("c", 0755);
	if (symlink("t", "link") == -1)
		need("symlink", -1);
	make_and_remove();
	busy();
	flags();
	propagation();
	refused();
	return t_failed;
}
