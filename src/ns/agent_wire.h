/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_wire.h - messages between the guest kernel and the agent
 *
 * Both ends are one program and one build: the layout may change at will.
 */
#ifndef WEIR_NS_AGENT_WIRE_H
#define WEIR_NS_AGENT_WIRE_H

#include <stdint.h>
#include <sys/types.h>

#include "ns/agent.h"
#include "passthrough/hostcall.h"

enum agent_op { AGENT_SPAWN, AGENT_PTY, AGENT_ACT, AGENT_DISK, NUM_AGENT_OPS };

/* Head of every request. Descriptor 0 of a message is its reply socket. */
struct agent_msg {
	uint32_t op;
	uint32_t flags;			/* spawn: SPAWN_*; pty: 1 for the console; disk: 1 for there */
	uint32_t argc, envc;		/* spawn: strings in the blob, then cwd */
	uint32_t size;			/* spawn: bytes of the blob; act, disk: of what follows */
	uint32_t reserved;		/* what follows is aligned to 8 bytes */
};

enum { FD_REPLY, FD_PAGE, FD_BLOB, FD_STDIO, FD_PROGRAM = FD_STDIO + 3 };	/* of a spawn message */

/* Answers: spawn (from the usher), pty. */
struct agent_reply {
	int32_t result;
	int32_t pid;
	int32_t usher;			/* from the agent: pid is the usher's, more will come */
	uint32_t wants;			/* while it builds: mount number wants - 1 of its disks */
	uint64_t ino;			/* and the inode of that disk */
	char text[256];
};

/* The agent's own state; one per process, never freed. */
struct agent_self {
	const struct agent_config *cfg;
	int sock;
	int pidns;		/* the guest's, -1 before the first spawn */
	int init_pidfd;
	struct root_kept kept;
};

/* The agent's life, in the process that is forked for it. */
void agent_main(const struct agent_config *cfg, int sock, int mounter) __attribute__((noreturn));

int agent_send_reply(int sock, int result, pid_t pid, const char *text, const int *fds,
		     unsigned nfds);

/**
 * agent_request() - Send a request
 * @fds, @nfds: what goes with it, behind the reply socket; the caller's
 *
 * Return: the socket on which it is answered, the caller's, or a negative errno.
 */
int agent_request(struct agent *a, const void *msg, size_t size, const int *fds, unsigned nfds);

/**
 * agent_await() - The next message of a reply socket
 * @watched: descriptors of processes that must live for it to come (pidfds), -1
 *           for none
 *
 * Return: bytes, -EPIPE if the socket closes or one of the processes ends first.
 */
ssize_t agent_await(int sock, const int watched[2], void *buf, size_t len,
		    int fds[HOST_MAX_FDS]);

/* Die when the kernel does. @reply: a socket of which the kernel has the other
 * end: if that is closed already, it is too late to be told. */
void agent_die_with_kernel(int reply);

/* spawn.c: the agent's part in a spawn. */
void agent_do_spawn(struct agent_self *self, const struct agent_msg *msg, int *fds);

#endif
