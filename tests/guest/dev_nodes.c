/* SPDX-License-Identifier: Apache-2.0 */
/* dev_nodes.c - what is in /dev is what should be, and it works */
#include <dirent.h>
#include <sys/random.h>
#include <sys/sysmacros.h>

#include "t.h"

static void node(const char *path, unsigned major, unsigned minor)
{
	struct stat st;

	if (stat(path, &st) == -1)
		failed("%s: %s", path, t_errno(errno));
	else
		check(path, S_ISCHR(st.st_mode) && st.st_rdev == makedev(major, minor) &&
				    (st.st_mode & 0666) == 0666);
}

static void link_to(const char *path, const char *target)
{
	char buf[256] = "";

	if (readlink(path, buf, sizeof(buf) - 1) == -1)
		failed("%s: %s", path, t_errno(errno));
	else
		check(path, strcmp(buf, target) == 0);
}

int main(void)
{
	static const char *const known[] = {
		"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "console", "fd",
		"stdin", "stdout", "stderr", "shm", "mqueue", "core", "log", "fuse", "net", "initctl",
	};
	struct dirent *e;
	struct stat st;
	char buf[16];
	DIR *d;
	int fd;

	node("/dev/null", 1, 3);
	node("/dev/zero", 1, 5);
	node("/dev/full", 1, 7);
	node("/dev/random", 1, 8);
	node("/dev/urandom", 1, 9);
	node("/dev/tty", 5, 0);
	link_to("/dev/fd", "/proc/self/fd");
	link_to("/dev/stdin", "/proc/self/fd/0");
	link_to("/dev/stdout", "/proc/self/fd/1");
	link_to("/dev/stderr", "/proc/self/fd/2");
	fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	check("/dev/ptmx opens", fd >= 0);
	check("/dev/console is there", stat("/dev/console", &st) == 0 && S_ISCHR(st.st_mode));
	check("/dev/pts is a directory", stat("/dev/pts", &st) == 0 && S_ISDIR(st.st_mode));
	check("/dev/shm is anybody's", stat("/dev/shm", &st) == 0 && (st.st_mode & 07777) == 01777);
	check("/dev/mqueue is there", stat("/dev/mqueue", &st) == 0);
	fd = open("/dev/null", O_WRONLY);
	check("null takes", write(fd, "x", 1) == 1);
	fd = open("/dev/full", O_WRONLY);
	check("full is full", write(fd, "x", 1) == -1 && errno == ENOSPC);
	fd = open("/dev/zero", O_RDONLY);
	memset(buf, 1, sizeof(buf));
	check("zero gives zeros", read(fd, buf, 16) == 16 && !buf[0] && !buf[15]);
	fd = open("/dev/urandom", O_RDONLY);
	check("urandom gives", read(fd, buf, 16) == 16);
	check("getrandom gives", getrandom(buf, 16, 0) == 16);
	fd = open("/dev/tty", O_RDWR);
	check("/dev/tty opens or there is no terminal", fd >= 0 || errno == ENXIO);

	d = opendir("/dev");
	while (d && (e = readdir(d))) {
		size_t i;

		for (i = 0; i < ARRAY_SIZE(known) && strcmp(known[i], e->d_name); i++)
			;
		if (e->d_name[0] != '.' && i == ARRAY_SIZE(known))
			failed("/dev/%s is a surprise", e->d_name);
	}
	return t_failed;
}
