/* SPDX-License-Identifier: Apache-2.0 */
/* reopen.c - a read-only view is not made writable by opening it again through /proc */
#include <sys/mount.h>

#include "../guest/t.h"

static void reopen(const char *what, int fd, int flags)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags);
	say(what, again);
	if (again >= 0)
		failed("%s opened", what);
}

int main(void)
{
	int fd;

	enter_dir();
	mkdir("rw", 0755);
	mkdir("ro", 0755);
	write_file("rw/file", "x");
	need("bind", mount("rw", "ro", NULL, MS_BIND, NULL));
	need("remount", mount(NULL, "ro", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
	fd = open("ro/file", O_PATH);
	reopen("a read-only bind by O_PATH", fd, O_RDWR);
	fd = open("ro/file", O_RDONLY);
	reopen("a read-only bind by a plain fd", fd, O_WRONLY);
	umount2("ro", MNT_DETACH);
	reopen("after the mount is gone", fd, O_WRONLY);
	fd = open("/proc/1/exe", O_PATH);
	if (fd >= 0)
		reopen("pid 1's program", fd, O_WRONLY);
	fd = open("/sys/kernel", O_PATH | O_DIRECTORY);
	check("nothing new in /sys", mkdirat(fd, "x", 0755) == -1);
	return t_failed;
}
