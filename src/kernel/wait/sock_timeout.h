/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sock_timeout.h - SO_RCVTIMEO and SO_SNDTIMEO of the guest's sockets
 *
 * The host keeps them as spans of its own time. What the program gave is remembered
 * by the socket's inode number, under which it is found in whichever process has it
 * when the clocks' rate changes.
 */
#ifndef WEIR_KERNEL_SOCK_TIMEOUT_H
#define WEIR_KERNEL_SOCK_TIMEOUT_H

#include <sys/time.h>

struct kernel;

#define SOCK_TIMEOUTS_MAX 16384	/* sockets; more keep what they were set to */

/**
 * sock_timeout_set() - Give a socket a time-out of the guest's, and remember it
 * @fd:     ours
 * @option: of SOL_SOCKET
 * @tv:     valid; 0 is none
 *
 * Return: as setsockopt(2).
 */
int sock_timeout_set(struct kernel *k, int fd, int option, const struct timeval *tv);

/* After a change of the clocks; on the thread of deadline.c. If spans of the guest's are
 * others than they were, all of them are set again. */
void sock_timeouts_again(struct kernel *k);

int sock_timeouts_init(struct kernel *k);

#endif
