/* SPDX-License-Identifier: Apache-2.0 */
/* setns.c - no namespace but the guest's own can be named, so none can be entered */
#include <ctype.h>
#include <dirent.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "../guest/t.h"
#include "raw.h"

static const char *const kinds[] = { "user", "pid", "mnt", "uts", "ipc", "net", "time", "cgroup" };

static void one(const char *pid, const char *kind)
{
	char path[300], own[64];
	struct stat a, b;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/ns/%s", pid, kind);
	snprintf(own, sizeof(own), "/proc/self/ns/%s", kind);
	if (stat(path, &a) == -1 || stat(own, &b) == -1)
		return;
	if (a.st_ino != b.st_ino)
		failed("%s is another %s namespace", path, kind);
	fd = open(path, O_RDONLY);
	if (fd == -1)
		return;
	/* NS_GET_USERNS and NS_GET_PARENT: the owner and the parent lie outside. */
	if (strcmp(kind, "user") == 0 && ioctl(fd, 0xb702, 0) >= 0)
		failed("%s: its parent can be had", path);
	if (strcmp(kind, "pid") == 0 && ioctl(fd, 0xb702, 0) >= 0)
		failed("%s: its parent can be had", path);
	close(fd);
}

int main(void)
{
	DIR *d = opendir("/proc");
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (isdigit((unsigned char)e->d_name[0]))
			for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
				one(e->d_name, kinds[i]);
	check("all namespaces seen are our own", !t_failed);
	check("setns to a user namespace, ours",
	      setns(open("/proc/self/ns/user", O_RDONLY), 0) == -1);
	check("setns by a bad fd", raw64(SYS_setns, 12345, 0, 0, 0, 0, 0) < 0);
	check("setns by pid 1's pidfd, all at once",
	      setns(syscall(SYS_pidfd_open, 1, 0), CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) == -1);
	return t_failed;
}
