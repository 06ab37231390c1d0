/* SPDX-License-Identifier: Apache-2.0 */
/*
 * posture.h - a guest's processes as the host's /proc shows them, judged
 *
 * posture.c compares; posture_proc.c reads. What should be comes from the guest
 * kernel (kernel/posture.c has the object), what is from the host.
 */
#ifndef WEIR_POSTURE_H
#define WEIR_POSTURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ns/nsproxy.h"

enum { CAPSET_INH, CAPSET_PRM, CAPSET_EFF, CAPSET_BND, CAPSET_AMB, NUM_CAPSETS };
extern const char *const capset_name[NUM_CAPSETS];	/* "inheritable" ... */

/* One thread, as /proc/PID/task/TID has it. */
struct posture_task {
	pid_t pid, tid;
	pid_t ppid;
	pid_t guest_tid;		/* in its own pid namespace */
	char comm[16];
	char state;			/* R S D T t Z X I */
	uint64_t caps[NUM_CAPSETS];
	int no_new_privs, seccomp;	/* -1: the host does not say */
	int filters;			/* the same: Linux 5.9 */
	uint64_t ns[NUM_NS];		/* inodes; 0: may not be read */
};

/* Return: 0, or -ENOENT or -ESRCH if it has ended. */
int posture_read_task(pid_t pid, pid_t tid, struct posture_task *ret);

/* A set of numbers: mounts, inodes, pids. */
struct number_set {
	uint64_t *v;
	size_t n, size;
};

int number_add(struct number_set *s, uint64_t v);	/* -ENOMEM */
bool number_in(const struct number_set *s, uint64_t v);
void number_free(struct number_set *s);

/* Numbers in the names of a directory, such as /proc or /proc/PID/task. */
int posture_list(const char *dir, struct number_set *ret);

/**
 * posture_mounts() - The mounts that a process sees
 * @ids:   their numbers (fdinfo's mnt_id) are added
 * @peers: the peer groups that they propagate to or from; may be NULL
 * @ret_root_ro: is what is mounted on / read-only? may be NULL
 */
int posture_mounts(pid_t pid, struct number_set *ids, struct number_set *peers,
		   bool *ret_root_ro);

/* What a magic link of /proc leads to. */
struct posture_file {
	char link[256];		/* as readlink(2) has it */
	uint64_t dev, ino;
	int64_t mount;		/* number; -1: on none */
	int64_t pidfd;		/* the process that it holds; 0: it is no pidfd */
};

/* @path: of the link. Return: 0, or a negative errno. */
int posture_file(const char *path, struct posture_file *ret);

/* Is the namespace behind @path (of a process' ns/pid or ns/user) @inode, or a
 * descendant of it? */
bool posture_ns_below(const char *path, uint64_t inode);

/**
 * posture_check() - Compare a guest with what it should be
 * @want:   the guest kernel's words
 * @userns: the guest kernel's user namespace, joined if it is not ours: the
 *          calling process is changed for good
 * @ret:    {"tasks":N, "findings":[{"pid","host_pid","comm","what","text"}]}
 *
 * Return: 0, or a negative errno if it could not be looked at.
 */
int posture_check(json_t *want, int userns, json_t **ret);

#endif
