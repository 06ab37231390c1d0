/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostcall.h - the boundary to the host kernel
 *
 * Every call to the host goes through here and returns a value or a negative
 * errno; errno itself is read in hostcall.c only. Descriptors are made
 * close-on-exec. Wrappers retry EINTR where a retry is what every caller
 * wants (not close, not waits that a signal is meant to end).
 */
#ifndef WEIR_PASSTHROUGH_HOSTCALL_H
#define WEIR_PASSTHROUGH_HOSTCALL_H

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* Turn the result of a libc call, -1 and errno, into a negative errno. */
long host_result(long ret);

/* Any system call by number. host_call(SYS_setns, fd, CLONE_NEWNS) */
#define host_call(nr, ...) host_result(syscall((nr), ##__VA_ARGS__))

int host_open(const char *path, int flags, mode_t mode);
int host_openat(int dirfd, const char *path, int flags, mode_t mode);

/* openat2(2); @resolve: RESOLVE_* of linux/openat2.h. */
int host_openat2(int dirfd, const char *path, uint64_t flags, mode_t mode, uint64_t resolve);

/* openat2(2) beneath @dirfd as root: no "..", link or magic link leads out. */
int host_open_beneath(int dirfd, const char *path, uint64_t flags, mode_t mode);

/* Whole buffers: a short transfer is continued; a read ends early at EOF. */
ssize_t host_read(int fd, void *buf, size_t len);
ssize_t host_write(int fd, const void *buf, size_t len);

/* A small file in one go. host_read_file() ends the text with a NUL and
 * returns its length; a longer file is -EFBIG. */
ssize_t host_read_file(int dirfd, const char *path, char *buf, size_t size);
int host_write_file(int dirfd, const char *path, const char *text);

/* Put /dev/null in the place of stdio descriptors @first to @last, so that a
 * pipe of ours does not stay open for as long as we live. */
void host_null_stdio(int first, int last);

int host_mkdir_p(const char *path, mode_t mode);

int host_pidfd_open(pid_t pid, unsigned flags);
int host_pidfd_getfd(int pidfd, int fd);
int host_pidfd_kill(int pidfd, int sig);

/**
 * host_send() - Send one message with descriptors over a SOCK_SEQPACKET socket
 * @fds, @nfds: descriptors to pass, at most HOST_MAX_FDS; they stay the caller's
 *
 * Return: 0 or a negative errno. Never raises SIGPIPE.
 */
#define HOST_MAX_FDS 8
int host_send(int sock, const void *buf, size_t len, const int *fds, unsigned nfds);

/**
 * host_recv() - Receive one message
 * @fds:  room for HOST_MAX_FDS descriptors, set to -1 beyond those received;
 *        the caller's from now on
 *
 * Return: bytes received, 0 when the peer is gone, or a negative errno.
 */
ssize_t host_recv(int sock, void *buf, size_t len, int fds[HOST_MAX_FDS]);

/* A clock of the host's, in nanoseconds; host_now() is CLOCK_MONOTONIC. */
uint64_t host_clock(clockid_t clock);
uint64_t host_now(void);

/* A condition variable whose timed waits are until a host_now(). */
void host_cond_init(pthread_cond_t *cond);

/**
 * host_thread() - Start a thread that no signal reaches
 * @ret:   NULL if nobody will join it
 * @stack: bytes
 *
 * Return: 0 or a negative errno.
 */
int host_thread(pthread_t *ret, size_t stack, void *(*run)(void *), void *arg);

/**
 * host_run() - Run a helper program (newuidmap ...) and wait for it
 * @argv: argv[0] is looked up in PATH; stdin is /dev/null
 * @err:  gets the first line it wrote to stderr, may be NULL
 *
 * Return: its exit status (0..255), -ENOENT if there is no such program, or
 * another negative errno; killed by signal N is 128 + N.
 */
int host_run(char *const argv[], char *err, size_t errsize);

/* The same; @out gets the first line it wrote to stdout. */
int host_run_output(char *const argv[], char *out, size_t outsize);

#endif
