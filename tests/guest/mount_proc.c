/* SPDX-License-Identifier: Apache-2.0 */
/* mount_proc.c - a proc or sysfs that the guest mounts itself is the guest's own */
#include <ctype.h>
#include <dirent.h>
#include <sys/mount.h>

#include "t.h"

static int count_pids(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d)))
		n += isdigit((unsigned char)e->d_name[0]) != 0;
	if (d)
		closedir(d);
	return n;
}

int main(void)
{
	char link[64] = "", line[128];

	enter_dir();
	mkdir("p", 0755);
	mkdir("s", 0755);
	mkdir("m", 0755);
	say("mount proc", mount("proc", "p", "proc", 0, NULL));
	if (readlink("p/self", link, sizeof(link) - 1) == -1)
		failed("p/self: %s", t_errno(errno));
	check("its self is this process", atoi(link) == getpid());
	check("it shows the guest's processes only", count_pids("p") < 12);
	check("as many as the one at /proc", count_pids("p") == count_pids("/proc"));
	check("its pid 1 is there", read_file("p/1/stat", line, sizeof(line)) > 0);
	say("write its sysrq-trigger", write_file("p/sysrq-trigger", "h"));
	say("umount proc", umount("p"));
	say("mount sysfs", mount("sysfs", "s", "sysfs", 0, NULL));
	say("sysfs has class/net/lo", access("s/class/net/lo", F_OK));
	check("and no other network device of the host", access("s/class/net/eth0", F_OK) == -1);
	umount("s");
	say("mount mqueue", mount("mqueue", "m", "mqueue", 0, NULL));
	umount("m");
	say("mount devpts", mount("devpts", "m", "devpts", MS_NOSUID, "newinstance,ptmxmode=0666"));
	umount("m");
	say("mount devtmpfs", mount("devtmpfs", "m", "devtmpfs", 0, NULL));
	say("mount debugfs", mount("debugfs", "m", "debugfs", 0, NULL));
	say("mount securityfs", mount("securityfs", "m", "securityfs", 0, NULL));
	say("mount tracefs", mount("tracefs", "m", "tracefs", 0, NULL));
	return t_failed;
}
