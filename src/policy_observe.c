/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_observe.c - a command run in a guest all of whose calls are recorded
 */
#include "policy_observe.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "file_replace.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"
#include "passthrough/policy/policy_impl.h"

static int usage(const struct observation *o)
{
	return cmd_fail(EXIT_USAGE, streq(o->cmd, "learn") ?
		"policy learn: usage: weir policy learn [-o FILE] [--merge FILE]... [-p POLICY] [-r ROOT] [-n NAME] [--set SECTION.KEY=VALUE]... [--json] -- CMD [ARG...]" :
		"policy test: usage: weir policy test [-o FILE] [-r ROOT] [-n NAME] [--set SECTION.KEY=VALUE]... [--json] POLICY -- CMD [ARG...]");
}

static int add_word(const struct observation *o, char **list, size_t *n, size_t max, const char *option)
{
	if (*n == max)
		return cmd_fail(EXIT_USAGE, "policy %s: more than %zu %s", o->cmd, max, option);
	list[(*n)++] = optarg;
	return 0;
}

static int read_option(struct observation *o, int c)
{
	struct run_options *opt = &o->run->opt;

	switch (c) {
	case 'j':
		o->json = true;
		return 0;
	case 'm':
		return add_word(o, o->merge, &o->nmerge, MAX_MERGE, "--merge");
	case 'n':
		opt->name = optarg;
		return 0;
	case 'o':
		o->output = optarg;
		return 0;
	case 'p':
		opt->policy = optarg;
		return 0;
	case 'r':
		opt->root = optarg;
		return 0;
	case 's':
		return add_word(o, opt->set, &opt->nset, MAX_SET, "--set");
	default:
		return usage(o);
	}
}

int observe_options(struct observation *o, int argc, char **argv)
{
	static const struct option learn[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "name", required_argument, NULL, 'n' },
		{ "output", required_argument, NULL, 'o' },
		{ "root", required_argument, NULL, 'r' },
		{ "set", required_argument, NULL, 's' },
		{ "merge", required_argument, NULL, 'm' },
		{ "policy", required_argument, NULL, 'p' },
		{},
	};
	bool is_test = streq(o->cmd, "test");
	struct option longs[ARRAY_SIZE(learn)];
	int c, r = 0;

	memcpy(longs, learn, sizeof(longs));
	if (is_test)
		longs[5] = (struct option){};	/* no --merge, no --policy */
	optind = 0;
	while (r == 0 && (c = getopt_long(argc, argv, is_test ? "+n:o:r:" : "+n:o:p:r:", longs,
					  NULL)) != -1)
		r = read_option(o, c);
	if (r)
		return r;
	if (is_test && argv[optind])
		o->run->opt.policy = argv[optind++];
	if (is_test && argv[optind] && streq(argv[optind], "--"))
		optind++;
	if (!argv[optind])
		return usage(o);
	o->run->opt.cmd = argv + optind;
	return run_check_options(&o->run->opt);
}

int observe_prepare(struct observation *o)
{
	int r;

	o->run->opt.observe = true;
	r = run_load(o->run);
	if (r)
		return r;
	if (recorder_create(&o->recorder) < 0)
		return cmd_fail(1, "policy %s: no memory for the records", o->cmd);
	o->run->opt.recorder = o->recorder;
	return 0;
}

int observe_run(struct observation *o, bool *ret_ran)
{
	int out = -1, status;

	if (!o->output) {
		fflush(stdout);
		out = fcntl(1, F_DUPFD_CLOEXEC, 3);
		if (out >= 0)
			dup2(2, 1);
	}
	status = run_guest(o->run);
	if (out >= 0) {
		dup2(out, 1);
		close(out);
	}
	*ret_ran = recorder_at(o->recorder, 0) != NULL;
	return status;
}

FILE *observe_result(struct observation *o)
{
	o->f = open_memstream(&o->result, &o->size);
	return o->f;
}

int observe_deliver(struct observation *o)
{
	int r;

	if (fclose(o->f) != 0)
		return cmd_fail(1, "policy %s: no memory for the result", o->cmd);
	r = file_replace(o->output, o->result, o->size);
	return r < 0 ? cmd_fail(1, "policy %s: cannot write %s: %s", o->cmd,
				o->output ? o->output : "to standard output", strerror(-r)) : 0;
}

void observe_free(struct observation *o)
{
	recorder_destroy(o->recorder);
	lanes_free(o->run->lanes);
	policy_free(o->run->policy);
	free(o->result);
}
