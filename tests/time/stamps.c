/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stamps.c - what stat(2) and its family say, and what utimensat(2) and its do
 *
 *   stamps answers DIR [UID]   each call on each kind of path, a line each
 *   stamps set FILE            each way to set a time, and what is shown then
 *   stamps flip DIR            a path that changes while it is asked about
 *
 * answers is compared between a guest whose calls pass and one whose calls
 * stop: DIR, made by the suite, is the same for both. All calls are raw: libc
 * would make one of another.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

#define CALL(name, ...) (syscall(SYS_##name, __VA_ARGS__) < 0 ? -errno : 0)

static void show(const char *call, const char *path, int ret, const struct stat *st)
{
	if (ret < 0) {
		printf("%s %s: %s\n", call, path, strerrorname_np(-ret));
		return;
	}
	printf("%s %s: %o %u:%u %lu", call, path, st->st_mode, st->st_uid, st->st_gid,
	       (unsigned long)st->st_rdev);
	/* What every guest has of its own differs between two. */
	if (S_ISREG(st->st_mode) && !strstr(path, "proc") && !strstr(path, "self"))
		printf(" %lu %ld %ld.%09ld", (unsigned long)st->st_nlink, (long)st->st_size,
		       (long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	printf("\n");
}

static void show_statx(const char *path, int ret, const struct statx *x)
{
	if (ret < 0)
		printf("statx %s: %s\n", path, strerrorname_np(-ret));
	else if (S_ISREG(x->stx_mode) && !strstr(path, "proc") && !strstr(path, "self"))
		printf("statx %s: %x %o %lld.%09u birth %d\n", path, x->stx_mask & STATX_BASIC_STATS,
		       x->stx_mode, (long long)x->stx_mtime.tv_sec, x->stx_mtime.tv_nsec,
		       x->stx_btime.tv_sec > 0);
	else
		printf("statx %s: %x %o\n", path, x->stx_mask & STATX_BASIC_STATS, x->stx_mode);
}

static void ask(int dir, const char *path)
{
	struct stat st = {};
	struct statx x = {};

	show("stat", path, CALL(stat, path, &st), &st);
	show("lstat", path, CALL(lstat, path, &st), &st);
	show("newfstatat", path, CALL(newfstatat, dir, path, &st, 0), &st);
	show("newfstatat-nofollow", path, CALL(newfstatat, dir, path, &st, AT_SYMLINK_NOFOLLOW), &st);
	show_statx(path, CALL(statx, dir, path, 0, STATX_BASIC_STATS | STATX_BTIME, &x), &x);
}

static void ask_by_descriptor(int dir)
{
	struct stat st = {};
	struct statx x = {};
	int file = openat(dir, "file", O_RDONLY), path_only = openat(dir, "link", O_PATH | O_NOFOLLOW);
	int pipes[2];

	show("fstat", "file", CALL(fstat, file, &st), &st);
	show("fstat", "path-only", CALL(fstat, path_only, &st), &st);
	show("newfstatat-empty", "file", CALL(newfstatat, file, "", &st, AT_EMPTY_PATH), &st);
	show("newfstatat-empty", "cwd", CALL(newfstatat, AT_FDCWD, "", &st, AT_EMPTY_PATH), &st);
	show_statx("file", CALL(statx, file, "", AT_EMPTY_PATH, STATX_MTIME | STATX_TYPE, &x), &x);
	show("newfstatat", "file as a directory", CALL(newfstatat, file, "a", &st, 0), &st);
	if (pipe(pipes) == 0)
		show("fstat", "pipe", CALL(fstat, pipes[1], &st), &st);
	show("fstat", "none", CALL(fstat, 999, &st), &st);
	show("fstat", "negative", CALL(fstat, -100, &st), &st);
	show("newfstatat", "none", CALL(newfstatat, 999, "a", &st, 0), &st);
	/* Looked at only if the path needs it. */
	show("newfstatat", "none, absolute", CALL(newfstatat, 999, "/", &st, 0), &st);
}

static void ask_badly(int dir)
{
	char longer[PATH_MAX + 1];
	struct stat st = {};
	struct statx x = {};

	memset(longer, 'a', PATH_MAX);
	longer[PATH_MAX] = '\0';
	show("stat", "too long", CALL(stat, longer, &st), &st);
	longer[300] = '\0';
	show("stat", "a long name", CALL(stat, longer, &st), &st);
	show("stat", "empty", CALL(stat, "", &st), &st);
	show("stat", "bad path", CALL(stat, 8, &st), &st);
	show("stat", "bad memory", CALL(stat, "/", 8), &st);
	show("newfstatat", "bad flags", CALL(newfstatat, dir, "file", &st, 0x40), &st);
	show_statx("bad flags", CALL(statx, dir, "file", 0x40, 0xfff, &x), &x);
	show_statx("both syncs", CALL(statx, dir, "file", AT_STATX_SYNC_TYPE, 0xfff, &x), &x);
	show_statx("bad mask", CALL(statx, dir, "file", 0, 0x80000000u, &x), &x);
}

static int answers(const char *where, const char *uid)
{
	static const char *const paths[] = {
		"file", "sub/file", "sub/../file", "../", "sub/", "file/", "file/x", "link", "link/", "far", "up",
		"dangling", "loop", "dirlink", "dirlink/", "dirlink/file", "none", "none/none", ".", "..", "shut/in",
		"shut", "foreign/in", "foreign", "self", "self/status", "//", "/", "/proc/self", "/proc/self/", "/dev/null",
		"/proc/self/exe", "/proc/self/fd/0", "/proc/self/cwd/file", "/proc/self/none", "/proc/self/fd/99",
		"/proc/thread-self/exe", "/proc/self/task/none", "/proc/1/status", "/proc/1/exe", "/proc/1/cwd/etc",
		"/dev/stdin", "/dev/fd", "/proc/mounts", "/proc/net/dev", "/proc/cpuinfo", "/../../etc", "/root/.",
	};
	char path[PATH_MAX];
	int dir;

	if (chdir(where) < 0 || (dir = open(".", O_RDONLY | O_DIRECTORY)) < 0)
		return printf("FAILED to enter %s: %m\n", where), 1;
	if (uid && (setgroups(0, NULL) < 0 || setgid(atoi(uid)) < 0 || setuid(atoi(uid)) < 0))
		return printf("FAILED to be %s: %m\n", uid), 1;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		ask(dir, paths[i]);
	snprintf(path, sizeof(path), "%s/sub/file", where);
	ask(dir, path);
	ask_by_descriptor(dir);
	ask_badly(dir);
	/* From below a root of its own, and from inside /proc. */
	if (chdir("/proc/self") == 0)
		ask(dir, "exe");
	if (chdir("/proc") == 0)
		ask(dir, "self/exe");
	if (!uid && fchdir(dir) == 0 && chroot(".") == 0 && chdir("/sub") == 0) {
		ask(dir, "/file");
		ask(dir, "../../file");
		ask(dir, "/far");
		ask(dir, "../self");
	}
	return 0;
}

/* ---- setting ------------------------------------------------------------- */

static const char *file;

static void shown(const char *what, int ret)
{
	struct stat st = {};

	if (ret < 0)
		printf("%s: %s\n", what, strerrorname_np(-ret));
	else if (syscall(SYS_stat, file, &st) < 0)
		printf("FAILED %s: %m\n", what);
	else
		printf("%s: %ld.%09ld %ld.%09ld\n", what, (long)st.st_atim.tv_sec, st.st_atim.tv_nsec,
		       (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static void shown_as_now(const char *what, int ret)
{
	struct stat st = {};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (ret < 0 || syscall(SYS_stat, file, &st) < 0)
		printf("%s: %s\n", what, strerrorname_np(ret < 0 ? -ret : errno));
	else
		printf("%s: %s\n", what, labs(now.tv_sec - st.st_mtim.tv_sec) <= 60 ? "now" : "not now");
}

static int set(const char *path)
{
	struct timespec ts[2] = { { 1000000001, 5 }, { 1100000002, 999999999 } };
	struct timespec omit[2] = { { 0, UTIME_OMIT }, { 1200000003, 7 } };
	struct timespec now[2] = { { 1300000000, 1 }, { 0, UTIME_NOW } };
	struct timespec both[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
	struct timespec none[2] = { { 0, UTIME_OMIT }, { 0, UTIME_OMIT } };
	struct timespec bad[2] = { { 0, 1000000000 }, { 0, 0 } };
	struct timeval tv[2] = { { 1400000004, 8 }, { 1500000005, 999999 } };
	struct timeval badtv[2] = { { 0, 0 }, { 0, 1000000 } };
	struct utimbuf buf = { 1600000006, 1700000007 };
	int fd, dir = open("/", O_PATH), link;

	file = path;
	fd = open(path, O_CREAT | O_RDWR, 0666);
	link = open(path, O_PATH);
	shown("utimensat", CALL(utimensat, AT_FDCWD, path, ts, 0));
	shown("utimensat omits", CALL(utimensat, dir, path, omit, 0));
	shown("futimesat", CALL(futimesat, AT_FDCWD, path, tv));
	shown("utimes", CALL(utimes, path, (struct timeval[]){ tv[1], tv[0] }));
	shown("utime", CALL(utime, path, &buf));
	shown("utimensat of a descriptor", CALL(utimensat, fd, NULL, ts, 0));
	shown("futimesat of a descriptor", CALL(futimesat, fd, NULL, tv));
	shown("by /proc/self/fd", CALL(utimensat, AT_FDCWD, "/proc/self/fd/3", ts, 0));
	shown("before 1970", CALL(utimes, path, ((struct timeval[]){ { -5, 0 }, { -1000000, 500000 } })));
	shown("omits both", CALL(utimensat, AT_FDCWD, "/none", none, 0));
	shown_as_now("one is now", CALL(utimensat, AT_FDCWD, path, now, 0));
	shown("of a descriptor of a path", CALL(utimensat, link, NULL, ts, 0));
	shown("bad time", CALL(utimensat, AT_FDCWD, path, bad, 0));
	shown("bad timeval", CALL(utimes, path, badtv));
	shown("bad flags", CALL(utimensat, AT_FDCWD, path, ts, 0x1));
	shown("flags and a descriptor", CALL(utimensat, fd, NULL, ts, AT_SYMLINK_NOFOLLOW));
	shown("bad memory", CALL(utimensat, AT_FDCWD, path, 8, 0));
	shown("no path", CALL(utimensat, AT_FDCWD, NULL, ts, 0));
	shown("nowhere", CALL(utimensat, AT_FDCWD, "/none/none", ts, 0));
	CALL(utimensat, AT_FDCWD, path, ts, 0);
	shown_as_now("both are now", CALL(utimensat, AT_FDCWD, path, both, 0));
	CALL(utimensat, AT_FDCWD, path, ts, 0);
	shown_as_now("no times", CALL(utimensat, AT_FDCWD, path, NULL, 0));
	CALL(utimensat, AT_FDCWD, path, ts, 0);
	shown_as_now("utime without times", CALL(utime, path, NULL));
	chmod(path, 0444);
	if (setgid(1000) == 0 && setuid(1000) == 0) {
		shown("another's", CALL(utimensat, AT_FDCWD, path, ts, 0));
		shown_as_now("another's, now", CALL(utimensat, AT_FDCWD, path, both, 0));
	}
	return 0;
}

/* ---- a path that changes ------------------------------------------------- */

static _Atomic int done;
static char link_path[PATH_MAX];

static void *flipper(void *arg)
{
	char other[PATH_MAX + 8];

	snprintf(other, sizeof(other), "%s.new", link_path);
	while (!done) {
		(void)!symlink("shut", other);
		rename(other, link_path);
		(void)!symlink("sub", other);
		rename(other, link_path);
	}
	return arg;
}

/* "way/in" is sub/in, which is not there, or shut/in, which we may not see. */
static int flip(const char *where)
{
	pthread_t t;
	struct stat st;
	int seen = 0;

	snprintf(link_path, sizeof(link_path), "%s/way", where);
	if (chdir(where) < 0 || setgroups(0, NULL) < 0 || setgid(1000) < 0 || setuid(1000) < 0)
		return printf("FAILED to begin: %m\n"), 1;
	pthread_create(&t, NULL, flipper, NULL);
	for (int i = 0; i < 20000; i++) {
		int ret = CALL(stat, "way/in", &st);

		seen += ret == 0;
		if (ret < 0 && ret != -EACCES && ret != -ENOENT)
			printf("FAILED: %s\n", strerrorname_np(-ret));
	}
	done = 1;
	pthread_join(t, NULL);
	printf("%s: seen %d times\n", seen ? "FAILED" : "ok", seen);
	return seen > 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	if (argc >= 3 && strcmp(argv[1], "answers") == 0)
		return answers(argv[2], argv[3]);
	if (argc == 3 && strcmp(argv[1], "set") == 0)
		return set(argv[2]);
	if (argc == 3 && strcmp(argv[1], "flip") == 0)
		return flip(argv[2]);
	return 2;
}
