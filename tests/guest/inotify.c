/* SPDX-License-Identifier: Apache-2.0 */
/* inotify.c - watches on files and directories report what happened, in order */
#include <sys/inotify.h>

#include "t.h"

int main(void)
{
	char buf[4096] __attribute__((aligned(8)));
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	ssize_t n;

	enter_dir();
	say("inotify_init1", fd);
	check("watch", inotify_add_watch(fd, ".", IN_CREATE | IN_DELETE | IN_MOVE | IN_CLOSE_WRITE) >=
			       0);
	write_file("a", "x");
	if (rename("a", "b") == -1)
		need("rename", -1);
	unlink("b");
	n = read(fd, buf, sizeof(buf));
	for (char *at = buf; at < buf + n;) {
		struct inotify_event *e = (struct inotify_event *)at;

		fact("event", "%#x %s", e->mask, e->len ? e->name : "");
		at += sizeof(*e) + e->len;
	}
	say("nothing more", read(fd, buf, sizeof(buf)));
	say("watch nothing", inotify_add_watch(fd, "missing", IN_CREATE));
	return t_failed;
}
