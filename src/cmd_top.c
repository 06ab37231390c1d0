/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_top.c - weir top: a guest at work, on a screen or as text for scripts
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "cmd.h"
#include "config.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"
#include "state.h"
#include "top_screen.h"
#include "top_view.h"

#define USAGE "[--batch | --json] [-n N] [-d SECONDS] [--sort KEY] [--reverse] [--filter TEXT] [NAME]"

struct top_args {
	const char *name;
	bool batch, json;
	long rounds;		/* 0: until the guest ends */
	struct top_options o;
};

/* ---- the command line ---------------------------------------------------- */

static int usage(void)
{
	return cmd_fail(EXIT_USAGE, "top: usage: weir top %s", USAGE);
}

static int set_sort(struct top_args *a, const char *name)
{
	char names[128];
	size_t len = 0;

	a->o.sort = top_sort_by_name(name);
	if (a->o.sort)
		return 0;
	for (unsigned i = 0; i < top_sorts_len; i++)
		len += snprintf(names + len, sizeof(names) - len, "%s%s", i ? ", " : "",
				top_sorts[i].name);
	return cmd_fail(EXIT_USAGE, "top: --sort %s: no such key; there are %s", name, names);
}

static int set_option(struct top_args *a, int c)
{
	char *end = "";

	switch (c) {
	case 'b':
		a->batch = true;
		return 0;
	case 'j':
		a->json = a->batch = true;
		return 0;
	case 'n':
		a->rounds = strtol(optarg, &end, 10);
		return *end || a->rounds < 1 ?
			       cmd_fail(EXIT_USAGE, "top: -n %s: not a number from 1 on", optarg) : 0;
	case 'd':
		a->o.delay_s = strtod(optarg, &end);
		return *end || end == optarg || !(a->o.delay_s >= 0.1 && a->o.delay_s <= 3600) ?
			       cmd_fail(EXIT_USAGE, "top: -d %s: not a number of seconds from 0.1 "
						    "to 3600", optarg) : 0;
	case 's':
		return set_sort(a, optarg);
	case 'r':
		a->o.reverse = true;
		return 0;
	case 'f':
		snprintf(a->o.filter, sizeof(a->o.filter), "%s", optarg);
		return 0;
	default:
		return usage();
	}
}

static int parse(int argc, char **argv, struct top_args *a)
{
	static const struct option longs[] = {
		{ "batch", no_argument, NULL, 'b' },
		{ "json", no_argument, NULL, 'j' },
		{ "iterations", required_argument, NULL, 'n' },
		{ "delay", required_argument, NULL, 'd' },
		{ "sort", required_argument, NULL, 's' },
		{ "reverse", no_argument, NULL, 'r' },
		{ "filter", required_argument, NULL, 'f' },
		{},
	};
	int c, ret = 0;

	*a = (struct top_args){ .o = { .delay_s = 1, .sort = &top_sorts[0] } };
	opterr = 0;
	while (ret == 0 && (c = getopt_long(argc, argv, "bjn:d:s:rf:", longs, NULL)) != -1)
		ret = set_option(a, c);
	if (ret)
		return ret;
	if (argc - optind > 1 || (a->rounds && !a->batch))
		return usage();
	a->name = argv[optind];
	return 0;
}

/* ---- batch --------------------------------------------------------------- */

static json_t *rate(double v)
{
	return isnan(v) ? json_null() : json_real(v);
}

/* The rates into the stats they belong to; the arrays are in the same order. */
static void add_rates(json_t *stats, const struct top_sample *s)
{
	json_t *sched = json_object_get(stats, "sched"), *o;
	size_t i;

	json_object_set_new(stats, "interval_ns",
			    s->interval_ns == TOP_ABSENT ? json_null() : json_integer(s->interval_ns));
	for (i = 0; sched && i < TOP_NUM_COUNTERS; i++) {
		char key[32];

		snprintf(key, sizeof(key), "%s_per_s", top_counter_str[i]);
		json_object_set_new(sched, key, rate(s->rate[i]));
	}
	json_array_foreach(json_object_get(sched, "vcpus"), i, o)
		json_object_set_new(o, "busy_percent", rate(s->vcpu[i].busy));
	json_array_foreach(json_object_get(stats, "tasks"), i, o) {
		json_object_set_new(o, "cpu_percent", rate(s->task[i].cpu));
		json_object_set_new(o, "sleeps_per_s", rate(s->task[i].sleep_rate));
		json_object_set_new(o, "preempts_per_s", rate(s->task[i].preempt_rate));
	}
	json_array_foreach(json_object_get(stats, "traps"), i, o)
		json_object_set_new(o, "count_per_s", rate(s->trap[i].rate));
	json_array_foreach(json_object_get(stats, "disks"), i, o) {
		json_object_set_new(o, "reads_per_s", rate(s->disk[i].read_rate));
		json_object_set_new(o, "writes_per_s", rate(s->disk[i].write_rate));
		json_object_set_new(o, "read_bytes_per_s", rate(s->disk[i].read_bytes_rate));
		json_object_set_new(o, "write_bytes_per_s", rate(s->disk[i].write_bytes_rate));
	}
}

static void print_text(struct top_sample *s, const struct top_options *o)
{
	struct top_lines l = {};

	top_sample_sort(s, o->sort, o->reverse);
	top_view_head(s, &l);
	top_view_vcpus(s, 0, &l);
	top_view_memory(s, &l);
	top_view_disks(s, &l);
	top_view_traps(s, o->filter, &l);
	top_view_tasks(s, o->filter, &l);
	for (unsigned i = 0; i < l.n; i++)
		puts(l.v[i].text);
	putchar('\n');
	top_lines_free(&l);
}

static int print_round(const struct top_args *a, json_t *stats, struct top_sample *s)
{
	if (a->json) {
		add_rates(stats, s);
		json_dumpf(stats, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print_text(s, &a->o);
	}
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -EPIPE;
}

/* One sample. Return: 0, -EAGAIN if there is none this time, or the guest's end. */
static int sample(const char *name, json_t **stats, struct top_sample *ret)
{
	int r = guest_stats(name, stats);

	if (r == 0)
		r = top_sample_read(*stats, ret) < 0 ? -EAGAIN : 0;
	return r == 0 || r == -ENOENT ? r : -EAGAIN;
}

static void nap(double seconds)
{
	struct timespec t = { .tv_sec = (time_t)seconds };

	t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
	nanosleep(&t, NULL);
}

/* The first sample is what the first rates are against; it is not printed. */
static int run_batch(const struct top_args *a)
{
	struct top_sample now, before = {};
	bool has_before = false;
	long printed = 0;
	int ret = 0;

	while (ret == 0 && (!a->rounds || printed < a->rounds)) {
		cleanup_json json_t *stats = NULL;
		int r = sample(a->name, &stats, &now);

		if (r == -ENOENT) {
			cmd_fail(0, "top: guest %s has ended", a->name);
			break;
		}
		if (r == 0) {
			top_sample_rates(&now, has_before ? &before : NULL);
			top_sample_free(&before);
			if (has_before) {
				ret = print_round(a, stats, &now);
				printed++;
			}
			before = now;
			has_before = true;
		}
		if (ret == 0 && (!a->rounds || printed < a->rounds))
			nap(a->o.delay_s);
	}
	top_sample_free(&before);
	return ret < 0 ? cmd_fail(1, "top: standard output: %s", strerror(-ret)) : 0;
}

/* ---- which guest --------------------------------------------------------- */

/* The only guest that runs, in @buf; none is an error, and so are many if the
 * user cannot choose. Return: 0 (@a->name NULL: choose), or an exit status. */
static int find_guest(struct top_args *a, char *buf, size_t size)
{
	char **names = state_list();
	char all[512] = "";
	size_t len = 0, n = 0;

	for (char **p = names; p && *p; p++, n++) {
		if (len < sizeof(all))
			len += snprintf(all + len, sizeof(all) - len, "%s%s", n ? ", " : "", *p);
		snprintf(buf, size, "%s", *p);
		free(*p);
	}
	free(names);
	if (n == 0)
		return cmd_fail(1, "top: no guest runs; weir run starts one");
	if (n == 1)
		a->name = buf;
	else if (a->batch)
		return cmd_fail(EXIT_USAGE, "top: several guests run, name one of %s", all);
	return 0;
}

static int run_screen(struct top_args *a)
{
#if HAVE_NCURSES
	const char *unfit = top_screen_unfit();

	if (unfit)
		return cmd_fail(1, "top: %s; use weir top --batch", unfit);
	return top_screen_run(a->name, &a->o);
#else
	return cmd_fail(1, "top: this weir was built without ncurses and has no screen; use weir "
			   "top --batch");
#endif
}

int cmd_top(int argc, char **argv)
{
	struct top_args a;
	char only[64];
	int ret = parse(argc, argv, &a);

	if (ret)
		return ret;
	if (!a.name) {
		ret = find_guest(&a, only, sizeof(only));
	} else {
		cleanup_fd int sock = guest_connect("top", a.name);

		ret = sock < 0;
	}
	if (ret)
		return ret;
	return a.batch ? run_batch(&a) : run_screen(&a);
}
