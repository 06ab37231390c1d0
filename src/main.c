/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - the weir command: a word, and who does it
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "cmd.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "run",	cmd_run,	"boot a guest and run a command or its init" },
	{ "list",	cmd_list,	"the running guests" },
	{ "exec",	cmd_exec,	"run a command in a running guest" },
	{ "console",	cmd_console,	"the console of a detached guest (leave with Ctrl-])" },
	{ "log",	cmd_log,	"a guest's kernel log" },
	{ "stats",	cmd_stats,	"what was trapped, how often and how fast" },
	{ "top",	cmd_top,	"a guest at work: its CPUs, tasks and traps" },
	{ "time",	cmd_time,	"show and set a guest's clocks" },
	{ "mem",	cmd_mem,	"show, grow and shrink a guest's memory" },
	{ "memd",	cmd_memd,	"share a budget of memory among guests" },
	{ "calendar",	cmd_calendar,	"the time of several guests in lock-step" },
	{ "check",	cmd_check,	"is a guest, seen from outside, as its policy says?" },
	{ "stop",	cmd_stop,	"shut a guest down" },
	{ "kill",	cmd_kill,	"end a guest at once" },
	{ "reboot",	cmd_reboot,	"restart a guest" },
	{ "pause",	cmd_pause,	"freeze all tasks of a guest" },
	{ "resume",	cmd_resume,	"let a paused guest run again" },
	{ "disk",	cmd_disk,	"make, check and merge disk images and COW files" },
	{ "policy",	cmd_policy,	"check, show, explain, compare, learn and test policies" },
	{ "version",	cmd_version,	"version and built-in features" },
};

int cmd_end_signals(void)
{
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	return host_result(signalfd(-1, &ends, SFD_CLOEXEC));
}

int cmd_fail(int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("weir: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return status;
}

static void usage(FILE *f)
{
	fprintf(f, "usage: weir COMMAND [ARG...]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-8s %s\n", commands[i].name, commands[i].help);
	fprintf(f, "\nSee weir(1). To begin: weir run -- sh\n");
}

/* Descriptors 0 to 2 that the caller has closed: whatever took their numbers
 * would be taken for stdio later. */
static void fill_stdio(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", O_RDWR);
}

int main(int argc, char **argv)
{
	fill_stdio();
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (streq(argv[1], "--help") || streq(argv[1], "-h") || streq(argv[1], "help")) {
		usage(stdout);
		return 0;
	}
	if (streq(argv[1], "--version"))
		argv[1] = (char *)"version";
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (streq(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	return cmd_fail(EXIT_USAGE, "%s: no such command; weir --help lists them", argv[1]);
}
