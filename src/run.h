/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - a guest from its options to its end, for weir run and for those that
 * watch what a guest does (weir policy learn and test)
 */
#ifndef WEIR_RUN_H
#define WEIR_RUN_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "monitor.h"

#define MAX_SET 128	/* --set options */

struct run_options {
	const char *policy, *name, *root;
	char *set[MAX_SET];
	size_t nset;
	bool detach, verbose;
	char **cmd;	/* NULL: the policy's init */
	bool observe;	/* every call stops: policy.h */
	struct recorder *recorder;	/* who is told of them */
};

struct run {
	struct run_options opt;
	struct policy *policy;
	struct lanes *lanes;
	struct id_choice ids;
	char cwd[PATH_MAX];
	struct monitor monitor;
};

#define RUN_INIT {							\
	.monitor = {							\
		.up = -1, .signals = -1, .kernel_sock = -1, .mconsole.sock = -1, \
		.term = { .in = -1, .out = -1, .master = -1 },		\
	},								\
}

/* Are the options right as far as they can be told without a look at the host?
 * Return: 0, or an exit status after saying why not. */
int run_check_options(const struct run_options *o);

/* Read the policy and make its lane table. Return: as above. */
int run_load(struct run *r);

/* Start the guest and see it to its end; run_load() was called. Return: the exit
 * status of weir. */
int run_guest(struct run *r);

#endif
