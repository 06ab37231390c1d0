/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rights.h - what a process of weir's is, and what it takes from itself for good
 *
 * Which process takes what, and when: kernel/confine.c, ns/agent.c, monitor.c.
 */
#ifndef WEIR_NS_RIGHTS_H
#define WEIR_NS_RIGHTS_H

#include <stdbool.h>
#include <stdint.h>

/**
 * rights_keep() - Keep some of the calling thread's capabilities and drop the rest
 * @keep: bits by number (linux/capability.h); what the thread does not have is
 *        not gained
 *
 * Of all five sets; inheritable and ambient become empty. Threads that the caller
 * makes later have what it has left.
 * Return: 0 or a negative errno.
 */
int rights_keep(uint64_t keep);

/**
 * rights_bound() - What programs run by the calling thread can have at the most
 * @keep: bits of the bounding set; its inheritable and ambient sets become empty
 *
 * The thread itself keeps what it has. Return: 0 or a negative errno.
 */
int rights_bound(uint64_t keep);

/* Be uid and gid 0 of the user namespace. Return: 0 or a negative errno. */
int rights_take_root(void);

/* No program run from now on gains rights by its set-user-ID bit or capabilities. */
int rights_no_new_privs(void);

/**
 * rights_no_new_code() - No memory that was writable becomes executable
 * @children: those that are forked from now on, too
 *
 * PR_SET_MDWE: Linux 6.3; without @children 6.6. Return: 0, or -EINVAL if the
 * host has it not.
 */
int rights_no_new_code(bool children);

#endif
