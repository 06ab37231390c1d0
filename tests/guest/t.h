/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t.h - what the small programs of tests/guest and tests/escape share
 *
 * A program prints one line per fact, "WHAT: RESULT". The runner compares the
 * lines of a native run with those of a run in a guest, so a line holds
 * nothing that differs from run to run (no pid, no time, no address). What must
 * hold wherever the program runs is a check(): "ok WHAT" or "FAILED WHAT".
 *
 * Exit status: 0, 1 when a check failed, 77 when the program cannot tell here
 * (the line "SKIP why" says so).
 */
#ifndef T_H
#define T_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define T_UNUSED __attribute__((unused))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static int t_failed;

static T_UNUSED const char *t_errno(int e)
{
	const char *name = strerrorname_np(e);

	return name ? name : "errno without a name";
}

/* "WHAT: ok", or "WHAT: EPERM" when @ret is -1. */
static T_UNUSED void say(const char *what, long ret)
{
	dprintf(1, "%s: %s\n", what, ret == -1 ? t_errno(errno) : "ok");
}

/* "WHAT: 42", or the error's name. */
static T_UNUSED void say_number(const char *what, long ret)
{
	if (ret == -1)
		dprintf(1, "%s: %s\n", what, t_errno(errno));
	else
		dprintf(1, "%s: %ld\n", what, ret);
}

static T_UNUSED __attribute__((format(printf, 2, 3))) void fact(const char *what, const char *fmt,
								...)
{
	char line[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	dprintf(1, "%s: %s\n", what, line);
}

static T_UNUSED bool check(const char *what, bool ok)
{
	dprintf(1, "%s %s\n", ok ? "ok" : "FAILED", what);
	if (!ok)
		t_failed = 1;
	return ok;
}

/* A failed check with the reason, for counters and other things worth seeing. */
static T_UNUSED __attribute__((format(printf, 1, 2))) void failed(const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	dprintf(1, "FAILED %s\n", line);
	t_failed = 1;
}

static T_UNUSED __attribute__((format(printf, 1, 2), noreturn)) void skip(const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	dprintf(1, "SKIP %s\n", line);
	_exit(77);
}

/* What has to work before the test can begin. */
static T_UNUSED long need(const char *what, long ret)
{
	if (ret == -1) {
		failed("cannot begin: %s: %s", what, t_errno(errno));
		_exit(1);
	}
	return ret;
}

/* Run @fn in a child that exits with t_failed; returns the wait status. Whoever does not
 * look at that wants in_child(). */
static T_UNUSED __attribute__((warn_unused_result)) int child_status(void (*fn)(void))
{
	pid_t pid = need("fork", fork());
	int status = -1;

	if (pid == 0) {
		t_failed = 0;
		fn();
		_exit(t_failed);
	}
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
		t_failed = 1;
	return status;
}

/* Run @fn in a child that has to come to its end. */
static T_UNUSED void in_child(void (*fn)(void))
{
	int status = child_status(fn);

	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
		failed("a child ended with status %#x", status);
}

static T_UNUSED void say_status(const char *what, int status)
{
	if (WIFSIGNALED(status))
		fact(what, "signal %d", WTERMSIG(status));
	else if (WIFEXITED(status))
		fact(what, "exit %d", WEXITSTATUS(status));
	else
		fact(what, "status %#x", status);
}

static char t_dir[64];

static T_UNUSED void t_leave(void)
{
	char cmd[128];

	if (chdir("/") == -1)
		return;
	snprintf(cmd, sizeof(cmd), "rm -rf %s 2>/dev/null", t_dir);
	if (system(cmd) == -1)
		return;
}

/* Go to a new empty directory; it goes when the program does. */
static T_UNUSED void enter_dir(void)
{
	strcpy(t_dir, "/tmp/t-XXXXXX");
	if (!mkdtemp(t_dir))
		need("mkdtemp", -1);
	need("chdir", chdir(t_dir));
	need("chmod", chmod(t_dir, 0755));
	atexit(t_leave);
}

static T_UNUSED int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t n;

	if (fd == -1)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

/* The whole of a small file, NUL-terminated; -1 with errno. */
static T_UNUSED ssize_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t got = 0;
	ssize_t n;

	if (fd == -1)
		return -1;
	while (got < size - 1 && (n = read(fd, buf + got, size - 1 - got)) > 0)
		got += n;
	close(fd);
	buf[got] = '\0';
	return got;
}

static T_UNUSED uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

/* A call that every shipped policy traps: is the guest kernel there? */
static T_UNUSED bool answers(void)
{
	struct sysinfo si;

	return sysinfo(&si) == 0 && si.totalram > 0;
}

/* A small id other than 0 that is mapped here, or -1: the guest has one id. */
static T_UNUSED long other_id(void)
{
	char map[4096];
	char *line = map;
	unsigned long inside, outside, count;

	if (read_file("/proc/self/uid_map", map, sizeof(map)) == -1)
		return -1;
	while (sscanf(line, "%lu %lu %lu", &inside, &outside, &count) == 3) {
		if (inside <= 1000 && inside + count > 1000)
			return 1000;
		line = strchr(line, '\n');
		if (!line)
			break;
		line++;
	}
	return -1;
}

#endif
