/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounts.c - no mount of the guest is shared with the host, and none is the host's to write
 *
 *   mounts [FILE]
 *
 * FILE, which the runner made on the host and then made read-only for no one,
 * is written if it can be: the runner looks whether that reached the host.
 */
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "../guest/t.h"

int main(int argc, char **argv)
{
	static char text[1 << 18];
	char *line, *save;

	need("mountinfo", read_file("/proc/self/mountinfo", text, sizeof(text)));
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *type = strstr(line, " - "), from[4096] = "", where[4096] = "";

		sscanf(line, "%*s %*s %*s %4095s %4095s", from, where);
		if (strstr(line, " shared:") && strstr(line, " shared:") < type)
			failed("shared: %s", line);
		if (strstr(line, " master:") && strstr(line, " master:") < type)
			failed("a slave of another: %s", line);
		type += 3;
		for (size_t i = 0; i < 9; i++) {
			static const char *const bad[] = { "debugfs ", "tracefs ", "securityfs ",
							   "devtmpfs ", "bpf ", "pstore ",
							   "efivarfs ", "configfs ", "fusectl " };

			if (strncmp(type, bad[i], strlen(bad[i])) == 0 &&
			    strcmp(from, "/null") != 0 && !strstr(where, "/dev/"))
				failed("%s", line);
		}
		if (strncmp(type, "sysfs ", 6) == 0) {
			struct statvfs fs;

			if (statvfs(where, &fs) == 0 && !(fs.f_flag & ST_RDONLY))
				failed("a sysfs that can be written: %s", line);
		}
	}
	check("no mount is shared", !t_failed);
	/* The old root is gone, whatever is tried to uncover it. */
	if (umount2("/", MNT_DETACH) == 0)
		say("umount of /", 0);
	say("what is at / now", access("/proc/self", F_OK));
	if (argc > 1) {
		int fd = open(argv[1], O_WRONLY | O_TRUNC);

		fact("write a file of the host", "%s", fd >= 0 ? "ok" : t_errno(errno));
		if (fd >= 0 && write(fd, "reached", 7) == -1)
			fact("write", "%s", t_errno(errno));
		fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0666);
		if (fd >= 0 && write(fd, "reached", 7) == -1)
			fact("append", "%s", t_errno(errno));
	}
	return t_failed;
}
