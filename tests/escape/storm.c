/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storm.c - a signal every millisecond, and each trapped call is done exactly once
 *
 *   storm [CALLS]
 *
 * A call done twice shows as EEXIST (mknod), as EINVAL (umount) or as a mount
 * too many. With SA_RESTART no call may fail with EINTR. Without it a signal
 * that comes before the guest kernel took the call ends it with EINTR; then it was
 * not done, and is made again here.
 */
#include <sys/mount.h>
#include <sys/time.h>

#include "../guest/t.h"

static volatile long ticks;

static void on_tick(int sig)
{
	(void)sig;
	ticks++;
}

static long interrupted;

/* Was the call done? EINTR is allowed without SA_RESTART, and means no. */
static bool again(long ret)
{
	if (ret != -1 || errno != EINTR)
		return false;
	interrupted++;
	return true;
}

#define DO(call)                                                                                   \
	({                                                                                         \
		long do_ret;                                                                       \
		do                                                                                 \
			do_ret = (call);                                                           \
		while (again(do_ret));                                                             \
		do_ret;                                                                            \
	})

static void run(const char *what, int flags, long calls)
{
	struct sigaction sa = { .sa_handler = on_tick, .sa_flags = flags };
	struct itimerval ms = { { 0, 1000 }, { 0, 1000 } }, off = { 0 };
	char name[32], line[128];
	long bad = 0, left = 0;

	ticks = 0;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &ms, NULL);
	for (long i = 0; i < calls; i++) {
		snprintf(name, sizeof(name), "fifo%ld", i);
		if (DO(mknod(name, S_IFIFO | 0600, 0)) == -1) {
			bad++;
			snprintf(line, sizeof(line), "%s: mknod: %s", what, t_errno(errno));
			if (bad < 5)
				failed("%s", line);
		}
		unlink(name);
		if (DO(sethostname(name, strlen(name))) == -1 && bad++ < 5)
			failed("%s: sethostname: %s", what, t_errno(errno));
		if (i % 8 == 0) {
			if (DO(mount("none", "m", "tmpfs", 0, NULL)) == -1 && bad++ < 5)
				failed("%s: mount: %s", what, t_errno(errno));
			else
				left++;
			if (DO(umount("m")) == -1 && bad++ < 5)
				failed("%s: umount: %s", what, t_errno(errno));
			else
				left--;
		}
	}
	setitimer(ITIMER_REAL, &off, NULL);
	snprintf(line, sizeof(line), "%s: signals came", what);
	check(line, ticks > 0);
	snprintf(line, sizeof(line), "%s: each call once", what);
	check(line, bad == 0 && left == 0);
	snprintf(line, sizeof(line), "%s: no call was interrupted", what);
	if (flags & SA_RESTART)
		check(line, interrupted == 0);
}

int main(int argc, char **argv)
{
	long calls = argc > 1 ? atol(argv[1]) : 2000;

	enter_dir();
	mkdir("m", 0755);
	run("with SA_RESTART", SA_RESTART, calls);
	run("without", 0, calls);
	check("nothing is mounted", umount("m") == -1 && errno == EINVAL);
	return t_failed;
}
