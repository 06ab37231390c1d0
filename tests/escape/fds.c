/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fds.c - nothing of the host came in with us (CVE-2024-21626)
 *
 * Only 0, 1 and 2 are open; none of them is a directory or a namespace; the
 * working directory and the root are inside; no stray environment of weir's.
 */
#include <ctype.h>
#include <dirent.h>
#include <limits.h>

#include "../guest/t.h"

int main(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	struct stat st, root, proc_root;
	char link[PATH_MAX], path[64], cwd[4096];

	if (!d) {
		failed("/proc/self/fd: %s", t_errno(errno));
		return 1;
	}
	while ((e = readdir(d))) {
		int fd = atoi(e->d_name);
		ssize_t n;

		if (!isdigit((unsigned char)e->d_name[0]) || fd == dirfd(d))
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = '\0';
		if (fd > 2)
			failed("fd %d is open: %s", fd, link);
		if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
			failed("fd %d is a directory: %s", fd, link);
	}
	check("only 0, 1 and 2", !t_failed);
	check("the working directory has a path inside",
	      getcwd(cwd, sizeof(cwd)) && cwd[0] == '/' && stat(cwd, &st) == 0);
	check("it is the same directory",
	      stat(".", &root) == 0 && root.st_ino == st.st_ino && root.st_dev == st.st_dev);
	check("/proc/self/root is /", stat("/", &root) == 0 &&
					      stat("/proc/self/root/", &proc_root) == 0 &&
					      root.st_ino == proc_root.st_ino);
	check("dot dot of / is /", stat("/..", &st) == 0 && st.st_ino == root.st_ino &&
					   st.st_dev == root.st_dev);
	return t_failed;
}
