/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd.h - the commands of weir(1)
 *
 * Each gets its own name as argv[0] and returns the exit status.
 */
#ifndef WEIR_CMD_H
#define WEIR_CMD_H

#define EXIT_USAGE 2		/* bad usage or a bad policy: nothing was started */
#define EXIT_NOSTART 125	/* the guest could not start */

int cmd_run(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_console(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_time(int argc, char **argv);
int cmd_calendar(int argc, char **argv);
int cmd_mem(int argc, char **argv);
int cmd_memd(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_kill(int argc, char **argv);
int cmd_reboot(int argc, char **argv);
int cmd_pause(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_disk(int argc, char **argv);
int cmd_policy(int argc, char **argv);
int cmd_version(int argc, char **argv);

/* Print "weir: WHAT: WHY" and return @status. */
int cmd_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Block SIGINT, SIGTERM and SIGHUP, which end a command that serves. Return: a descriptor
 * that has them, signalfd(2), or why there is none. */
int cmd_end_signals(void);

#endif
