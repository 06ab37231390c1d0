/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exhaust.c - a guest that takes all it can get; its kernel stays up
 *
 *   exhaust forks [MOST] | opens | threads | memory | mounts [MOST] | nodes
 */
#include <pthread.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "../guest/t.h"

static void still_answers(const char *when)
{
	check(when, answers());
}

static void forks(long most)
{
	long n = 0;
	int hold[2];
	pid_t pid = 0;

	need("pipe", pipe(hold));
	signal(SIGCHLD, SIG_IGN);
	while (n < most && (pid = fork()) > 0)
		n++;
	if (pid == 0) {
		char c;

		close(hold[1]);
		if (read(hold[0], &c, 1) == -1)
			_exit(1);
		_exit(0);
	}
	fact("fork ended with", "%s", n == most ? "the number asked for" : t_errno(errno));
	still_answers("with all of them there");
	close(hold[1]);
	while (wait(NULL) > 0)
		;
	still_answers("after them");
}

static void opens(void)
{
	int fd, last = -1, sock;
	struct rlimit r;

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		last = fd;
	say("open ends with", fd);
	check("many were opened", last > 100);
	still_answers("with no descriptor left");
	sock = socket(AF_INET, SOCK_STREAM, 0);
	check("a socket is refused as it should be", sock == -1 && errno == EMFILE);
	check("a fifo can be made", mknod("fifo", S_IFIFO | 0600, 0) == 0);
	check("a mount can be made", mount("none", "m", "tmpfs", 0, NULL) == 0 && umount("m") == 0);
	close(last);
	check("a socket again", socket(AF_INET, SOCK_STREAM, 0) == last);
}

static void *waits(void *arg)
{
	(void)arg;
	pause();
	return NULL;
}

static void threads(void)
{
	pthread_attr_t attr;
	pthread_t t;
	long n = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	while (n < 10000 && pthread_create(&t, &attr, waits, NULL) == 0)
		n++;
	check("many threads", n > 100);
	still_answers("with all of them there");
}

static void mounts(long most)
{
	long n = 0;

	while (n < most && mount("none", "m", "tmpfs", 0, NULL) == 0)
		n++;
	fact("mount ended with", "%s", n == most ? "the number asked for" : t_errno(errno));
	still_answers("with all of them there");
	while (umount2("m", 0) == 0)
		n--;
	check("as many umounts", n == 0);
}

static void nodes(void)
{
	char name[32];
	long made = 0;

	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		made += mknod(name, S_IFIFO | 0600, 0) == 0;
	}
	fact("made", "%ld", made);
	still_answers("after them");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "opens";
	long most = argc > 2 ? atol(argv[2]) : 3000;

	enter_dir();
	mkdir("m", 0755);
	if (strcmp(what, "forks") == 0)
		forks(most);
	else if (strcmp(what, "opens") == 0)
		opens();
	else if (strcmp(what, "threads") == 0)
		threads();
	else if (strcmp(what, "mounts") == 0)
		mounts(most);
	else if (strcmp(what, "nodes") == 0)
		nodes();
	else
		return 2;
	return t_failed;
}
