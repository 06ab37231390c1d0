/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_run.c - weir run: from the command line to a guest and its monitor
 *
 * Everything is read and checked before anything is started.
 */
#include <getopt.h>
#include <limits.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "cmd.h"
#include "id_request.h"
#include "kernel/cleanup.h"
#include "kernel/guest.h"
#include "kernel/log.h"
#include "kernel/syscall.h"
#include "kernel/util.h"
#include "ns/cgroup.h"
#include "passthrough/hostcall.h"
#include "run.h"

/* ---- command line ------------------------------------------------------ */

static int parse_options(int argc, char **argv, struct run_options *o)
{
	static const struct option longs[] = {
		{ "policy", required_argument, NULL, 'p' },
		{ "name", required_argument, NULL, 'n' },
		{ "root", required_argument, NULL, 'r' },
		{ "set", required_argument, NULL, 's' },
		{ "detach", no_argument, NULL, 'd' },
		{ "verbose", no_argument, NULL, 'v' },
		{},
	};
	int c;

	while ((c = getopt_long(argc, argv, "+p:n:r:dv", longs, NULL)) != -1) {
		switch (c) {
		case 'p':
			o->policy = optarg;
			break;
		case 'n':
			o->name = optarg;
			break;
		case 'r':
			o->root = optarg;
			break;
		case 's':
			if (o->nset == MAX_SET)
				return cmd_fail(EXIT_USAGE, "--set: more than %d; write a policy file",
						MAX_SET);
			o->set[o->nset++] = optarg;
			break;
		case 'd':
			o->detach = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		default:
			return cmd_fail(EXIT_USAGE, "run: usage: weir run [-p POLICY] [-n NAME] "
						    "[--set SECTION.KEY=VALUE] [-d] [-v] [-r ROOT] "
						    "[--] [CMD ARG...]");
		}
	}
	if (argv[optind])
		o->cmd = argv + optind;
	return run_check_options(o);
}

int run_check_options(const struct run_options *o)
{
	if (o->name && !state_valid_name(o->name))
		return cmd_fail(EXIT_USAGE, "run: -n %s: a name has letters, digits, '-', '_', '.', "
					    "and fewer than 64 of them", o->name);
	return 0;
}

/* Where no cgroup can hold the guest to its memory, weir counts it, and other calls
 * are stopped for that: as if the policy had said so. */
static int choose_budget(struct run *r, struct policy_error *err)
{
	cleanup_free char **set = NULL;

	if (!r->policy->memory || r->policy->mem.budget != BUDGET_AUTO || cgroup_offers_memory())
		return 0;
	set = calloc(r->opt.nset + 1, sizeof(*set));
	if (!set) {
		snprintf(err->text, sizeof(err->text), "no memory for the policy");
		return -ENOMEM;
	}
	for (size_t i = 0; i < r->opt.nset; i++)
		set[i] = r->opt.set[i];
	set[r->opt.nset] = (char *)"memory.budget=strict";
	policy_free(take_ptr(r->policy));
	return policy_load(r->opt.policy ? r->opt.policy : "hosting", set, r->opt.nset + 1, &r->policy,
			   err);
}

/* NULL: the host's. */
static const char *run_root(const struct run *r)
{
	return r->opt.root ? r->opt.root : r->policy->root;
}

int run_load(struct run *r)
{
	struct policy_error err = {};
	const struct policy_namespace *user;

	if (policy_load(r->opt.policy ? r->opt.policy : "hosting", r->opt.set, r->opt.nset,
			&r->policy, &err) < 0 || choose_budget(r, &err) < 0)
		return cmd_fail(EXIT_USAGE, "%s", err.text);
	r->policy->observe = r->opt.observe;
	if (lanes_build(r->policy, &r->lanes, &err) < 0 || syscall_check(r->lanes, policy_keeps_ids(r->policy), &err) < 0)
		return cmd_fail(EXIT_USAGE, "%s", err.text);
	user = &r->policy->ns[POLICY_NS_USER];
	if (geteuid() != 0 && user->mode != NS_MODE_NEW)
		return cmd_fail(EXIT_USAGE, "%s:%d: only root can run a guest without a user "
					    "namespace of its own; write user = new",
				user->pos.file, user->pos.line);
	if (r->opt.root && policy_check_root(r->policy, r->opt.root, &err) < 0)
		return cmd_fail(EXIT_USAGE, "run: -r %s", err.text);
	if (!run_root(r) && r->policy->writable == WRITABLE_YES)
		return cmd_fail(EXIT_USAGE, "%s:%d: writable = yes would let the guest write to the "
					    "host's own root; give a directory with -r, or write "
					    "overlay", r->policy->writable_pos.file,
				r->policy->writable_pos.line);
	return 0;
}

/* ---- what the guest is given -------------------------------------------- */

static bool env_names(const char *entry, const char *name)
{
	size_t len = strlen(name);

	return strncmp(entry, name, len) == 0 && entry[len] == '=';
}

/* The policy's variables, then defaults for what it does not set. Nothing
 * else of the caller's environment: it may hold secrets. */
static char **guest_env(const struct policy *p)
{
	static const char *const pass[] = { "TERM", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE",
					    "LC_MESSAGES", "COLORTERM", "NO_COLOR" };
	static const char *const fixed[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh", "container=weir",
	};
	char **env = calloc(POLICY_MAX_ENV + ARRAY_SIZE(pass) + ARRAY_SIZE(fixed) + 1,
			    sizeof(*env));
	size_t n = 0;

	for (; env && p->env[n]; n++)
		env[n] = (char *)p->env[n];
	for (size_t i = 0; env && i < ARRAY_SIZE(pass) + ARRAY_SIZE(fixed); i++) {
		bool is_pass = i < ARRAY_SIZE(pass);
		char *entry = NULL, *name;
		bool set = false;

		if (!is_pass)
			entry = strdup(fixed[i - ARRAY_SIZE(pass)]);
		else if (getenv(pass[i]) && asprintf(&entry, "%s=%s", pass[i], getenv(pass[i])) < 0)
			entry = NULL;
		if (!entry)
			continue;
		name = strndup(entry, strcspn(entry, "="));
		for (size_t j = 0; p->env[j]; j++)
			set |= env_names(p->env[j], name);
		free(name);
		if (set)
			free(entry);
		else
			env[n++] = entry;
	}
	return env;
}

static void configure(struct run *r)
{
	struct guest_config *cfg = &r->monitor.cfg;

	if (!getcwd(r->cwd, sizeof(r->cwd)))
		strcpy(r->cwd, "/");
	*cfg = (struct guest_config){
		.policy = r->policy,
		.lanes = r->lanes,
		.mask = r->monitor.mask,
		.ids = &r->ids,
		.name = r->monitor.state.name,
		.root = run_root(r),
		.cmd = r->opt.cmd,
		.cwd = r->cwd,
		.env = guest_env(r->policy),
		.state_dir = r->monitor.state.dir,
		.state_lock = r->monitor.state.lock,
		.control = r->monitor.state.control,
		.stdio = { 0, 1, 2 },
		.detached = r->opt.detach,
		.verbose = r->opt.verbose,
		.rootless = geteuid() != 0,
		.recorder = r->opt.recorder,
	};
	for (int i = 0; i < 3 && !r->opt.detach; i++)
		cfg->tty[i] = isatty(i);
}

/* -d: go on in a child; the command waits until init runs.
 * Return: -1 in the child, else the exit status of the command. */
static int detach(struct run *r)
{
	int p[2];
	pid_t pid;
	char c;

	if (pipe2(p, O_CLOEXEC) < 0)
		return cmd_fail(EXIT_NOSTART, "cannot make a pipe");
	pid = fork();
	if (pid == 0) {
		setsid();
		close(p[0]);
		r->monitor.up = p[1];
		return -1;
	}
	close(p[1]);
	if (pid < 0)
		return cmd_fail(EXIT_NOSTART, "cannot fork");
	if (host_read(p[0], &c, 1) == 1) {
		printf("%s\n", r->monitor.state.name);
		return 0;
	}
	waitpid(pid, NULL, 0);
	return EXIT_NOSTART;	/* the child has said why */
}

static int monitor_guest(struct run *r)
{
	struct monitor *m = &r->monitor;
	int ret;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	monitor_init_signals(m);
	if (!r->opt.detach)
		terminal_init(&m->term);
	if (monitor_share_mask(m) < 0) {
		state_remove(&m->state);
		return cmd_fail(EXIT_NOSTART, "no memory for the mask");
	}
	/* Without it the guest runs as well. */
	if (mconsole_create(&m->mconsole, m->state.dir) < 0)
		log_warn("mconsole: there is no socket for it in %s", m->state.path);
	configure(r);
	do
		ret = monitor_run(m);
	while (ret == 0 && m->end == END_RESTART);
	mconsole_close(&m->mconsole);
	state_remove(&m->state);
	if (ret)
		return ret;
	return m->end == END_KILLED && m->status != EXIT_NOSTART ? 128 + SIGKILL : m->status;
}

int run_guest(struct run *r)
{
	struct state *state = &r->monitor.state;
	char err[4096];
	int ret;

	log_set_verbose(r->opt.verbose);
	ret = state_create(r->opt.name, state, err, sizeof(err));
	if (ret < 0)
		return cmd_fail(EXIT_NOSTART, "%s", err);
	ret = ids_for_guest(r->policy, r->monitor.state.name, &r->ids);
	if (ret) {
		state_remove(state);
		return ret;
	}
	if (r->opt.detach) {
		ret = detach(r);
		if (ret >= 0)
			return ret;
	}
	return monitor_guest(r);
}

int cmd_run(int argc, char **argv)
{
	static struct run r = RUN_INIT;
	int ret = parse_options(argc, argv, &r.opt);

	if (ret == 0)
		ret = run_load(&r);
	return ret ? ret : run_guest(&r);
}
