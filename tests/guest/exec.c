/* SPDX-License-Identifier: Apache-2.0 */
/* exec.c - exec of scripts, of descriptors, of what is no program; close-on-exec; a busy text */
#include "t.h"

static const char *path;

static void run(void)
{
	execl(path, path, NULL);
	say(path, -1);
}

static void run_fd(void)
{
	int fd = memfd_create("script", MFD_CLOEXEC), self;
	char *argv[] = { "spawned", "by-fd", NULL }, *envp[] = { NULL };

	(void)fd;
	self = need("open", open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	fexecve(self, argv, envp);
	say("fexecve", -1);
}

static void run_memfd(void)
{
	char buf[65536], *argv[] = { "spawned", "by-memfd", NULL }, *envp[] = { NULL };
	int in = open("/proc/self/exe", O_RDONLY), fd = memfd_create("program", MFD_CLOEXEC);
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		need("write", write(fd, buf, n));
	fexecve(fd, argv, envp);
	say("fexecve of a memfd", -1);
}

int main(int argc, char **argv)
{
	int fd;

	if (argc > 1) {
		fact("run", "%s", argv[1]);
		say("a descriptor of before", fcntl(100, F_GETFD));
		return 21;
	}
	enter_dir();
	write_file("script", "#!/bin/sh\necho a script; exit 3\n");
	chmod("script", 0755);
	path = "./script";
	say_status("a script", child_status(run));
	write_file("no-interpreter", "#!/nowhere/sh\n");
	chmod("no-interpreter", 0755);
	path = "./no-interpreter";
	say_status("no interpreter", child_status(run));
	write_file("text", "just text\n");
	chmod("text", 0755);
	path = "./text";
	say_status("text", child_status(run));
	write_file("plain", "#!/bin/sh\n");
	chmod("plain", 0644);
	path = "./plain";
	say_status("not executable", child_status(run));
	path = ".";
	say_status("a directory", child_status(run));
	path = "./missing";
	say_status("missing", child_status(run));
	fd = open("script", O_WRONLY);
	path = "./script";
	say_status("a script that is written to", child_status(run));
	close(fd);
	dup2(1, 100);
	fcntl(100, F_SETFD, FD_CLOEXEC);
	say_status("by descriptor", child_status(run_fd));
	say_status("by memfd", child_status(run_memfd));
	return t_failed;
}
