/* SPDX-License-Identifier: Apache-2.0 */
/* locks.c - flock, POSIX and open-file-description locks between processes; leases */
#include <sys/file.h>

#include "t.h"

static void contend(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_len = 10 };
	int fd = need("open", open("file", O_RDWR));

	say("flock held by another", flock(fd, LOCK_EX | LOCK_NB));
	say("lock of a locked range", fcntl(fd, F_SETLK, &l));
	l.l_start = 20;
	say("lock of a free range", fcntl(fd, F_SETLK, &l));
	l = (struct flock){ .l_type = F_WRLCK, .l_len = 10 };
	say("who has it", fcntl(fd, F_GETLK, &l));
	check("the parent has", l.l_type == F_WRLCK && l.l_pid == getppid());
	l = (struct flock){ .l_type = F_WRLCK, .l_start = 100, .l_len = 10 };
	say("an OFD lock against an OFD lock", fcntl(fd, F_OFD_SETLK, &l));
}

int main(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_len = 10 };
	int fd;

	enter_dir();
	write_file("file", "0123456789");
	fd = need("open", open("file", O_RDWR));
	say("flock", flock(fd, LOCK_EX));
	say("posix lock", fcntl(fd, F_SETLK, &l));
	l = (struct flock){ .l_type = F_WRLCK, .l_start = 100, .l_len = 10 };
	say("OFD lock", fcntl(fd, F_OFD_SETLK, &l));
	in_child(contend);
	say("unlock", flock(fd, LOCK_UN));
	say("lockf", lockf(fd, F_TLOCK, 5));
	return t_failed;
}
