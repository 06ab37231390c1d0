/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mconsole.h - User-mode Linux's management console: its datagrams, its commands
 *
 * Protocol version 2, as uml_mconsole(1) of Debian's uml-utilities speaks it: a request
 * is one datagram, an answer one or more, and the client waits until one says that no
 * other follows. Integers are the host's, without padding.
 *
 * Here are the bytes and the words only: what a command is to do is a plan, and most
 * plans are the command line of a weir command. Nothing is kept, nothing is called.
 */
#ifndef WEIR_KERNEL_MCONSOLE_H
#define WEIR_KERNEL_MCONSOLE_H

#include <stddef.h>
#include <stdint.h>

#define MCONSOLE_MAGIC 0xcafebabe
#define MCONSOLE_VERSION 2
#define MCONSOLE_DATA 512	/* bytes of text, its NUL included */

struct mconsole_request {
	uint32_t magic, version;
	uint32_t len;			/* bytes of the command */
	char data[MCONSOLE_DATA];
};

struct mconsole_reply {
	uint32_t err;			/* 0: it went well. The client looks at the last one's */
	uint32_t more;			/* 1: another one follows */
	uint32_t len;			/* bytes of text, its NUL included */
	char data[MCONSOLE_DATA];
};

/* What a client of version 0 is told: this text alone, without a header. */
#define MCONSOLE_OLD_CLIENT "ERR Version 0 mconsole clients are not supported by this driver"

/**
 * mconsole_parse() - Take a datagram apart
 * @buf, @len: as it came, untrusted
 * @command:   gets the text with a NUL, what is blank at its ends cut away
 * @why:       gets what is wrong with it
 *
 * Return: 0; -EPROTO if it is no request at all, and MCONSOLE_OLD_CLIENT is the answer;
 * -EINVAL if it is a wrong one.
 */
int mconsole_parse(const void *buf, size_t len, char command[MCONSOLE_DATA], const char **why);

/* The next datagram of an answer. @text: what is left of it, of @left bytes, no NUL
 * among them; @err goes into the last one. Return: how many bytes of it are in there. */
size_t mconsole_fragment(struct mconsole_reply *r, const char *text, size_t left, uint32_t err);

enum mconsole_how {
	MCONSOLE_SAY,		/* @text is the answer */
	MCONSOLE_REFUSE,	/* @text says why not */
	MCONSOLE_WEIR,		/* @argv is a weir command, its output the answer, or @text if it has none */
	MCONSOLE_CONTROL,	/* @argv[0] is an operation of the control socket with
				 * @number ms of patience; answered before it is done */
	MCONSOLE_INTERRUPT,	/* SIGINT to init: on a PC, ctrl, alt and del */
	MCONSOLE_FACT,		/* @fact, of @number or @text */
};

enum mconsole_fact {
	MCONSOLE_FACT_VERSION,	/* as uname -snrvm has it */
	MCONSOLE_FACT_MEMORY,	/* bytes of the guest */
	MCONSOLE_FACT_DISK,	/* COW,IMAGE of disk @number */
	MCONSOLE_FACT_STACK,	/* of the guest's process @number, in the host's kernel */
	MCONSOLE_FACT_LOG,	/* none: @text goes into the guest's log */
	MCONSOLE_FACT_GO,	/* weir resume, unless nothing is paused */
};

#define MCONSOLE_MAX_ARGS 10

struct mconsole_plan {
	enum mconsole_how how;
	enum mconsole_fact fact;
	unsigned number;
	const char *argv[MCONSOLE_MAX_ARGS];	/* ends with NULL; into @words, constants, or the guest's name */
	char words[2 * MCONSOLE_DATA];
	char text[2 * MCONSOLE_DATA];		/* a line each; no NUL but the last */
};

/* What to do for @command of the guest @name, which both must outlive the plan. There is
 * always something: what cannot be done is refused in a line that says what to write. */
void mconsole_plan(const char *command, const char *name, struct mconsole_plan *ret);

#endif
