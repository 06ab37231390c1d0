/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openfile.h - an open file of the guest's, known again without being kept open
 *
 * A descriptor of ours on it would keep it alive, and in the epoll sets it is in.
 * So it is put into an epoll set of ours instead: the host takes it out when the
 * last descriptor on it is closed (epoll(7), question 6), and kcmp(2) says
 * whether somebody's descriptor is on the file in the set.
 */
#ifndef WEIR_KERNEL_OPENFILE_H
#define WEIR_KERNEL_OPENFILE_H

#include <stdbool.h>
#include <sys/types.h>

struct kernel;
struct openfile;

/**
 * openfile_watch() - Know the file behind a descriptor of ours again
 *
 * The descriptor may be closed afterwards. Return: a reference, or NULL if the
 * host cannot (no CONFIG_KCMP), or OPENFILE_MAX files are watched.
 */
struct openfile *openfile_watch(int fd);

#define OPENFILE_MAX 1024	/* each is a descriptor of ours */

/* References; NULL is none. Any thread. */
struct openfile *openfile_get(struct openfile *o);
void openfile_put(struct openfile *o);

/* Has anybody still a descriptor on it? */
bool openfile_is_open(const struct openfile *o);

/* Is a task's descriptor on it? */
bool openfile_is(const struct openfile *o, pid_t tid, int fd);

/* @tid: a thread of process @pid that has the table; @what: what /proc/PID/fd says of @fd,
 * "anon_inode:[timerfd]", "socket:[5]" */
typedef void openfile_visit(void *ctx, pid_t pid, pid_t tid, int fd, const char *what);

/**
 * openfile_walk() - Visit the descriptors of all processes of the guest
 *
 * Processes that come and go meanwhile may be missed. Return: 0 or -ENOMEM.
 */
int openfile_walk(struct kernel *k, openfile_visit *visit, void *ctx);

#endif
