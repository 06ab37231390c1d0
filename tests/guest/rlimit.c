/* SPDX-License-Identifier: Apache-2.0 */
/* rlimit.c - limits go down for good and not up; of self and of a child */
#include <sys/resource.h>

#include "t.h"

int main(void)
{
	struct rlimit r, old;
	pid_t child;
	int fd, n = 0;

	need("getrlimit", getrlimit(RLIMIT_NOFILE, &old));
	check("soft is not above hard", old.rlim_cur <= old.rlim_max);
	r = (struct rlimit){ 30, old.rlim_max };
	say("lower the soft limit", setrlimit(RLIMIT_NOFILE, &r));
	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		n++;
	say("open until it fails", fd);
	check("it failed at the limit", n > 20 && n < 30);
	for (fd = 3; fd < 30; fd++)
		close(fd);
	r.rlim_cur = old.rlim_max;
	say("raise the soft limit to the hard", setrlimit(RLIMIT_NOFILE, &r));
	r = (struct rlimit){ 100, 200 };
	say("lower both", setrlimit(RLIMIT_NOFILE, &r));
	r = (struct rlimit){ 100, 300 };
	say("raise the hard limit", setrlimit(RLIMIT_NOFILE, &r));
	r = (struct rlimit){ 300, 200 };
	say("soft above hard", setrlimit(RLIMIT_NOFILE, &r));
	r = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
	say("no limit of files", setrlimit(RLIMIT_NOFILE, &r));
	getrlimit(RLIMIT_NOFILE, &r);
	fact("limits now", "%lu %lu", (unsigned long)r.rlim_cur, (unsigned long)r.rlim_max);

	child = need("fork", fork());
	if (child == 0) {
		pause();
		_exit(0);
	}
	r = (struct rlimit){ 50, 60 };
	say("prlimit of a child", prlimit(child, RLIMIT_NOFILE, &r, &old));
	fact("its old limits", "%lu %lu", (unsigned long)old.rlim_cur, (unsigned long)old.rlim_max);
	say("read them back", prlimit(child, RLIMIT_NOFILE, NULL, &r));
	fact("its new limits", "%lu %lu", (unsigned long)r.rlim_cur, (unsigned long)r.rlim_max);
	say("a child's core limit", prlimit(child, RLIMIT_CORE, &(struct rlimit){ 0, 0 }, NULL));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	say("prlimit of nobody", prlimit(child, RLIMIT_NOFILE, NULL, &r));
	say("unknown limit", getrlimit(99, &r));
	say("bad pointer to set", syscall(SYS_setrlimit, RLIMIT_CORE, 1L));
	say("bad pointer to get", syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, 1L));
	return t_failed;
}
