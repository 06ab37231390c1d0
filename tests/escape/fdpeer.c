/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fdpeer.c - a thread that shares the descriptors puts another file behind a number while
 * the guest kernel uses it
 *
 *   fdpeer [COUNT]
 *
 * The number stands in turn for directory a, directory b, a file, a pipe, and nothing.
 * What a call by that number makes is in a or in b, once; what it tells is of one of
 * them; and it never is a descriptor of the guest kernel's.
 */
#include <dirent.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "../guest/t.h"

#define NUMBER 50

static volatile int stop;
static int source[5];	/* what the number is in turn; the last is none */

static void *peer(void *arg)
{
	for (unsigned i = 0; !stop; i++) {
		if (i % 5 == 4)
			close(NUMBER);
		else
			dup2(source[i % 5], NUMBER);
	}
	return NULL;
}

/* How many entries of a directory begin with "made"; they are removed. */
static long harvest(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[512];
	long n = 0;

	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, "made", 4) != 0)
			continue;
		n++;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		umount2(path, MNT_DETACH);	/* a device is a mount */
		if (unlink(path) == -1)
			rmdir(path);
		rewinddir(d);
	}
	if (d)
		closedir(d);
	return n;
}

/* ---- calls that make something by the number ---------------------------------- */

static long do_mknodat(const char *name) { return mknodat(NUMBER, name, S_IFIFO | 0600, 0); }
static long do_device(const char *name) { return mknodat(NUMBER, name, S_IFCHR | 0600, 0x103); }
static long do_mkdirat(const char *name) { return mkdirat(NUMBER, name, 0700); }
static long do_symlinkat(const char *name) { return symlinkat("x", NUMBER, name); }
static long do_linkat(const char *name) { return linkat(AT_FDCWD, "file", NUMBER, name, 0); }
static long do_renameat(const char *name)
{
	close(open("moved", O_CREAT | O_WRONLY, 0600));
	return renameat(AT_FDCWD, "moved", NUMBER, name);
}
static long do_openat(const char *name)
{
	int fd = openat(NUMBER, name, O_CREAT | O_EXCL | O_WRONLY, 0600);

	return fd == -1 ? -1 : close(fd);
}

static const struct {
	const char *name;
	long (*call)(const char *name);
	int slower;	/* so much fewer calls */
} makers[] = {
	{ "mknodat", do_mknodat }, { "mknodat of a device", do_device, 20 }, { "mkdirat", do_mkdirat },
	{ "symlinkat", do_symlinkat }, { "linkat", do_linkat }, { "renameat", do_renameat },
	{ "openat", do_openat },
};

/* The number does not stand for a directory. */
static bool no_directory(int err)
{
	return err == EBADF || err == ENOTDIR || err == EINVAL;
}

/* This guest never does it, wherever the number leads. */
static bool never(int err)
{
	return err == EPERM || err == ENOSYS;
}

static void make(size_t m, long count)
{
	long made = 0, refused = 0, found;
	char name[32];

	count /= makers[m].slower ? makers[m].slower : 1;
	/* On, until the peer has got a CPU and the number stood for a directory once. */
	for (long i = 0; i < count || (!made && !refused && i < count * 1000); i++) {
		snprintf(name, sizeof(name), "made%ld", i);
		if (makers[m].call(name) != -1)
			made++;
		else if (never(errno))
			refused++;
		else if (!no_directory(errno))
			failed("%s: %s", makers[m].name, t_errno(errno));
	}
	found = harvest("a") + harvest("b");
	if (found != made)
		failed("%s: %ld made, %ld found", makers[m].name, made, found);
	if (harvest(".") || harvest("/"))
		failed("%s: some lie elsewhere", makers[m].name);
	/* All of them, or none. */
	check(makers[m].name, (made > 0) != (refused > 0));
}

/* ---- calls that tell something ------------------------------------------------- */

static void tell(long count)
{
	struct stat known[4], st;
	struct ucred peer_cred;
	struct itimerspec its = { { 0, 0 }, { 1000, 0 } };
	struct timeval tv = { 5, 0 };
	socklen_t len;
	int odd = 0;

	for (int i = 0; i < 4; i++)
		need("fstat", fstat(source[i], &known[i]));
	for (long i = 0; i < count; i++) {
		bool is_known = fstat(NUMBER, &st) == -1;

		for (int k = 0; k < 4 && !is_known; k++)
			is_known = st.st_ino == known[k].st_ino && st.st_dev == known[k].st_dev;
		odd += !is_known;
		is_known = fstatat(NUMBER, "", &st, AT_EMPTY_PATH) == -1;
		for (int k = 0; k < 4 && !is_known; k++)
			is_known = st.st_ino == known[k].st_ino && st.st_dev == known[k].st_dev;
		odd += !is_known;
		/* None of them is a socket or a timer. */
		len = sizeof(peer_cred);
		odd += getsockopt(NUMBER, SOL_SOCKET, SO_PEERCRED, &peer_cred, &len) == 0;
		odd += setsockopt(NUMBER, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0;
		odd += timerfd_settime(NUMBER, 0, &its, NULL) == 0;
	}
	check("what it stands for is what we put there", odd == 0);
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 2000;
	int pipe_fd[2];
	pthread_t t;

	enter_dir();
	mkdir("a", 0755);
	mkdir("b", 0755);
	write_file("file", "x");
	need("pipe", pipe(pipe_fd));
	source[0] = need("open", open("a", O_RDONLY | O_DIRECTORY));
	source[1] = need("open", open("file", O_RDONLY));
	source[2] = need("open", open("b", O_RDONLY | O_DIRECTORY));
	source[3] = pipe_fd[0];
	pthread_create(&t, NULL, peer, NULL);
	for (size_t m = 0; m < ARRAY_SIZE(makers); m++)
		make(m, count);
	tell(count);
	stop = 1;
	pthread_join(t, NULL);
	check("the guest kernel answers", answers());
	return t_failed;
}
