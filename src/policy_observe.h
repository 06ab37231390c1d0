/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_observe.h - a command run in a guest all of whose calls are recorded,
 * for weir policy learn and weir policy test
 */
#ifndef WEIR_POLICY_OBSERVE_H
#define WEIR_POLICY_OBSERVE_H

#include <stdio.h>

#include "passthrough/recorder.h"
#include "run.h"

#define MAX_MERGE 64	/* --merge options */

struct observation {
	const char *cmd;	/* "learn", "test": for messages */
	struct run *run;
	struct recorder *recorder;
	const char *output;	/* -o: a file; NULL: standard output */
	bool json;
	char *merge[MAX_MERGE];
	size_t nmerge;
	char *result;		/* what goes to @output; observe_result() */
	size_t size;
	FILE *f;
};

/**
 * observe_options() - Read the command line of learn or test
 * @o: cmd is set
 *
 * Return: 0, or an exit status after saying what is wrong. optind is that of
 * the first word that is no option; "--" may stand before or behind it.
 */
int observe_options(struct observation *o, int argc, char **argv);

/* Read the policy and make the recorder, so that the caller can say which
 * arguments it shall tell apart. Return: as above. */
int observe_prepare(struct observation *o);

/* Run the guest to its end. Without -o what it writes to standard output goes to
 * standard error, so that standard output has the result alone.
 * Return: its exit status; *ret_ran: did anything of it run? */
int observe_run(struct observation *o, bool *ret_ran);

/* Where the result is written to; NULL without memory. */
FILE *observe_result(struct observation *o);

/* Put it into its place, whole or not at all. Return: 0, or an exit status after saying why not. */
int observe_deliver(struct observation *o);

void observe_free(struct observation *o);

#endif
