/* SPDX-License-Identifier: Apache-2.0 */
/* mknod.c - devices the guest has can be made and used; all others are refused */
#include <sys/sysmacros.h>

#include "t.h"

static void try(const char *what, mode_t type, unsigned major, unsigned minor)
{
	static int n;
	char name[32];

	snprintf(name, sizeof(name), "node%d", n++);
	say(what, mknod(name, type | 0666, makedev(major, minor)));
}

int main(void)
{
	struct stat st;
	char c = 'x';
	int fd;

	enter_dir();
	umask(0);
	say("mknod null", mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	fd = open("null", O_RDWR);
	say("open it", fd);
	if (fd >= 0) {
		check("null takes data", write(fd, "abc", 3) == 3);
		check("null reads as empty", read(fd, &c, 1) == 0);
		check("it is 1:3", fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
					   st.st_rdev == makedev(1, 3));
		close(fd);
	}
	say("mknod zero", mknodat(AT_FDCWD, "zero", S_IFCHR | 0666, makedev(1, 5)));
	fd = open("zero", O_RDONLY);
	say("open it", fd);
	if (fd >= 0) {
		check("zero reads as zero", read(fd, &c, 1) == 1 && c == 0);
		close(fd);
	}
	try("full", S_IFCHR, 1, 7);
	try("random", S_IFCHR, 1, 8);
	try("urandom", S_IFCHR, 1, 9);
	try("tty", S_IFCHR, 5, 0);
	try("mem", S_IFCHR, 1, 1);
	try("port", S_IFCHR, 1, 4);
	try("kmsg", S_IFCHR, 1, 11);
	try("disk 8:0", S_IFBLK, 8, 0);
	try("loop 7:0", S_IFBLK, 7, 0);
	try("virtio disk 254:0", S_IFBLK, 254, 0);
	try("kvm", S_IFCHR, 10, 232);
	try("tun", S_IFCHR, 10, 200);
	try("disk with the bits above the mode", 0xffff0000 | S_IFBLK, 8, 0);
	try("whiteout 0:0", S_IFCHR, 0, 0);
	try("fifo", S_IFIFO, 0, 0);
	try("socket", S_IFSOCK, 0, 0);
	try("regular file", S_IFREG, 0, 0);
	try("type 0 is a regular file", 0, 0, 0);
	try("directory", S_IFDIR, 0, 0);
	say("over an existing file", write_file("here", ""));
	say("mknod there", mknod("here", S_IFCHR | 0666, makedev(1, 3)));
	say("below a file", mknod("here/x", S_IFCHR | 0666, makedev(1, 3)));
	say("in a missing directory", mknod("missing/x", S_IFCHR | 0666, makedev(1, 3)));
	say("bad directory fd", mknodat(12345, "x", S_IFCHR | 0666, makedev(1, 3)));
	say("empty path", mknod("", S_IFCHR | 0666, makedev(1, 3)));
	umask(077);
	if (access("null", F_OK) == 0)
		say("remove null", unlink("null"));
	say("mknod fifo under umask 077", mknod("pipe", S_IFIFO | 0666, 0));
	check("the umask holds", stat("pipe", &st) == 0 && (st.st_mode & 0777) == 0600);
	return t_failed;
}
