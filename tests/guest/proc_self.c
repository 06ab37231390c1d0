/* SPDX-License-Identifier: Apache-2.0 */
/* proc_self.c - /proc/self and its neighbours tell of this process and this guest */
#include <ctype.h>
#include <dirent.h>
#include <sys/prctl.h>

#include "t.h"

int main(int argc, char **argv)
{
	static char buf[65536];
	char link[256] = "", name[32] = "";
	struct dirent *e;
	int fds = 0, pids = 0, strangers = 0;
	DIR *d;

	if (readlink("/proc/self", link, sizeof(link) - 1) == -1)
		failed("/proc/self: %s", t_errno(errno));
	check("/proc/self is this process", atoi(link) == getpid());
	memset(link, 0, sizeof(link));
	check("/proc/self/exe", readlink("/proc/self/exe", link, sizeof(link) - 1) > 0 &&
					strstr(link, "/proc_self") != NULL);
	check("/proc/self/comm",
	      read_file("/proc/self/comm", buf, sizeof(buf)) > 0 && !strcmp(buf, "proc_self\n"));
	prctl(PR_SET_NAME, "renamed");
	prctl(PR_GET_NAME, name);
	check("prctl names it", strcmp(name, "renamed") == 0);
	check("/proc/self/cmdline", read_file("/proc/self/cmdline", buf, sizeof(buf)) > 0 &&
					    strstr(buf, "proc_self") != NULL);
	check("/proc/self/status has a Pid",
	      read_file("/proc/self/status", buf, sizeof(buf)) > 0 && strstr(buf, "\nPid:\t"));
	check("it is our pid", atoi(strstr(buf, "\nPid:\t") + 6) == getpid());
	check("only one pid namespace is seen", strchr(strstr(buf, "\nNSpid:\t") + 8, '\t') == NULL ||
							strchr(strstr(buf, "\nNSpid:\t") + 8, '\t') >
								strchr(strstr(buf, "\nNSpid:\t") + 8,
								       '\n'));
	check("/proc/self/maps", read_file("/proc/self/maps", buf, sizeof(buf)) > 0);
	check("/proc/self/mountinfo has a root",
	      read_file("/proc/self/mountinfo", buf, sizeof(buf)) > 0 && strstr(buf, " / "));
	check("/proc/self/environ", read_file("/proc/self/environ", buf, sizeof(buf)) >= 0);
	check("/proc/self/root is /",
	      readlink("/proc/self/root", link, sizeof(link) - 1) > 0 && link[0] == '/');
	d = opendir("/proc/self/fd");
	while (d && (e = readdir(d)))
		fds += isdigit((unsigned char)e->d_name[0]) != 0;
	check("0, 1, 2 and the directory are open, and nothing else", fds == 4);
	d = opendir("/proc");
	while (d && (e = readdir(d))) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		pids++;
		strangers += atoi(e->d_name) > 1000;
	}
	check("few processes are seen", pids >= 1 && pids < 12);
	check("none of the host's", strangers == 0 || getpid() > 1000);
	check("/proc/stat", read_file("/proc/stat", buf, sizeof(buf)) > 0 &&
				    strncmp(buf, "cpu ", 4) == 0);
	check("/proc/cpuinfo", read_file("/proc/cpuinfo", buf, sizeof(buf)) > 0);
	check("/proc/loadavg", read_file("/proc/loadavg", buf, sizeof(buf)) > 0);
	check("/proc/uptime", read_file("/proc/uptime", buf, sizeof(buf)) > 0);
	check("/proc/filesystems", read_file("/proc/filesystems", buf, sizeof(buf)) > 0);
	check("/proc/sys/kernel/pid_max", read_file("/proc/sys/kernel/pid_max", buf, 64) > 0);
	check("/proc/net/dev names lo",
	      read_file("/proc/net/dev", buf, sizeof(buf)) > 0 && strstr(buf, "lo:") != NULL);
	return t_failed;
}
