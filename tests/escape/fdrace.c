/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fdrace.c - a peer closes and replaces descriptors while calls give new ones
 *
 *   fdrace [COUNT]
 *
 * Whatever the peer does, a descriptor that comes back is of the kind asked for
 * or is gone, and never one of the guest kernel's.
 */
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "../guest/t.h"

static volatile int stop;

static void *peer(void *arg)
{
	int null = open("/dev/null", O_RDWR);

	(void)arg;
	while (!stop)
		for (int fd = 20; fd < 30; fd++) {
			dup2(null, fd);
			close(fd);
		}
	return NULL;
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 10000, odd = 0, lost = 0, got = 0;
	pthread_t t;

	enter_dir();
	for (int fd = 3; fd < 20; fd++)
		dup2(0, fd);
	pthread_create(&t, NULL, peer, NULL);
	for (long i = 0; i < count; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), family;
		socklen_t len = sizeof(family);
		struct stat st;

		if (fd == -1) {
			lost++;
			continue;
		}
		got++;
		if (fstat(fd, &st) == -1) {
			close(fd);
			continue;
		}
		if (S_ISSOCK(st.st_mode)) {
			if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) == 0 &&
			    family != AF_INET)
				odd++;
		} else if (!S_ISCHR(st.st_mode)) {
			odd++;
		}
		close(fd);
	}
	stop = 1;
	pthread_join(t, NULL);
	check("descriptors came back", got > 0);
	check("none was another's", odd == 0);
	fact("calls that failed", "%ld", lost);
	check("the guest kernel answers", answers());
	return t_failed;
}
