/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostcall.c - the boundary to the host kernel
 */
#include "passthrough/hostcall.h"

#include <errno.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"

long host_result(long ret)
{
	return ret == -1 ? -errno : ret;
}

#define RETRY(call)                                                                                \
	({                                                                                         \
		long retry_ret;                                                                    \
		do                                                                                 \
			retry_ret = host_result(call);                                             \
		while (retry_ret == -EINTR);                                                       \
		retry_ret;                                                                         \
	})

int host_open(const char *path, int flags, mode_t mode)
{
	return RETRY(open(path, flags | O_CLOEXEC, mode));
}

int host_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	return RETRY(openat(dirfd, path, flags | O_CLOEXEC, mode));
}

int host_openat2(int dirfd, const char *path, uint64_t flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .mode = mode, .resolve = resolve };

	/* -EAGAIN: a rename raced with "..", openat2(2) says to try again; or not all
	 * of the path is in memory, and then it would say so again. */
	for (int try = 0;; try++) {
		int fd = RETRY(syscall(SYS_openat2, dirfd, path, &how, sizeof(how)));

		if (fd != -EAGAIN || (resolve & RESOLVE_CACHED) || try == 32)
			return fd;
	}
}

int host_open_beneath(int dirfd, const char *path, uint64_t flags, mode_t mode)
{
	return host_openat2(dirfd, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

ssize_t host_read(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = RETRY(read(fd, (char *)buf + done, len - done));

		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += n;
	}
	return done;
}

ssize_t host_write(int fd, const void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = RETRY(write(fd, (const char *)buf + done, len - done));

		if (n < 0)
			return n;
		done += n;
	}
	return done;
}

ssize_t host_read_file(int dirfd, const char *path, char *buf, size_t size)
{
	cleanup_fd int fd = host_openat(dirfd, path, O_RDONLY, 0);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = host_read(fd, buf, size);
	if (n < 0)
		return n;
	if ((size_t)n == size)
		return -EFBIG;
	buf[n] = '\0';
	return n;
}

int host_write_file(int dirfd, const char *path, const char *text)
{
	cleanup_fd int fd = host_openat(dirfd, path, O_WRONLY, 0);
	ssize_t n;

	if (fd < 0)
		return fd;
	/* One write: the files of /proc and cgroups take a value whole. */
	n = RETRY(write(fd, text, strlen(text)));
	return n < 0 ? n : 0;
}

void host_null_stdio(int first, int last)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = first; fd <= last && null >= 0; fd++)
		dup2(null, fd);
	if (null >= 0)
		close(null);
}

int host_mkdir_p(const char *path, mode_t mode)
{
	char buf[4096];
	size_t len = strlen(path);
	int ret = 0;

	if (len >= sizeof(buf))
		return -ENAMETOOLONG;
	memcpy(buf, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (buf[i] != '/' && buf[i] != '\0')
			continue;
		char c = buf[i];

		buf[i] = '\0';
		ret = host_result(mkdir(buf, mode));
		buf[i] = c;
		if (ret < 0 && ret != -EEXIST)
			return ret;
	}
	return 0;
}

int host_pidfd_open(pid_t pid, unsigned flags)
{
	return host_call(SYS_pidfd_open, pid, flags);
}

int host_pidfd_getfd(int pidfd, int fd)
{
	return host_call(SYS_pidfd_getfd, pidfd, fd, 0);
}

int host_pidfd_kill(int pidfd, int sig)
{
	return host_call(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(HOST_MAX_FDS * sizeof(int))];
};

int host_send(int sock, const void *buf, size_t len, const int *fds, unsigned nfds)
{
	struct iovec iov = { (void *)buf, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control = {};
	ssize_t n;

	if (nfds > HOST_MAX_FDS)
		return -E2BIG;
	if (nfds) {
		struct cmsghdr *c;

		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	n = RETRY(sendmsg(sock, &msg, MSG_NOSIGNAL));
	return n < 0 ? n : 0;
}

ssize_t host_recv(int sock, void *buf, size_t len, int fds[HOST_MAX_FDS])
{
	struct iovec iov = { buf, len };
	union control control = {};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n;

	for (int i = 0; i < HOST_MAX_FDS; i++)
		fds[i] = -1;
	n = RETRY(recvmsg(sock, &msg, MSG_CMSG_CLOEXEC));
	if (n < 0)
		return n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	return n;
}

uint64_t host_clock(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return timespec_ns(&ts);
}

uint64_t host_now(void)
{
	return host_clock(CLOCK_MONOTONIC);
}

void host_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

int host_thread(pthread_t *ret, size_t stack, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, stack);
	if (!ret)
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(ret ?: &thread, &attr, run, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -err;
}

/* @heard: which of stdout and stderr is ours, the other leads nowhere. */
static void run_child(char *const argv[], int heard, int pipe)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 3 - heard) < 0 || dup2(pipe, heard) < 0)
		_exit(126);
	execvp(argv[0], argv);
	_exit(errno == ENOENT ? 127 : 126);
}

static int run(char *const argv[], int heard, char *line, size_t size)
{
	char buf[512] = "";
	int p[2], status, ret;
	pid_t pid;
	ssize_t n;

	ret = host_result(pipe2(p, O_CLOEXEC));
	if (ret < 0)
		return ret;
	pid = host_result(fork());
	if (pid == 0)
		run_child(argv, heard, p[1]);
	close(p[1]);
	if (pid < 0) {
		close(p[0]);
		return pid;
	}
	n = host_read(p[0], buf, sizeof(buf) - 1);
	close(p[0]);
	ret = RETRY(waitpid(pid, &status, 0));
	if (ret < 0)
		return ret;
	if (line && size) {
		buf[MAX(n, 0)] = '\0';
		buf[strcspn(buf, "\n")] = '\0';
		snprintf(line, size, "%s", buf);
	}
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	return WEXITSTATUS(status) == 127 ? -ENOENT : WEXITSTATUS(status);
}

int host_run(char *const argv[], char *err, size_t errsize)
{
	return run(argv, STDERR_FILENO, err, errsize);
}

int host_run_output(char *const argv[], char *out, size_t outsize)
{
	return run(argv, STDOUT_FILENO, out, outsize);
}
