/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_exec.c - weir exec and weir console: a terminal joined to a running guest
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "client.h"
#include "cmd.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"
#include "terminal.h"

#define DETACH_KEY 0x1d	/* Ctrl-] leaves a console */

struct session {
	int sock, signals;
	struct terminal term;
	int status;		/* -1: not known yet */
	bool detach_key;	/* console: the key leaves */
	bool left;
};

static void session_signal(struct session *s)
{
	struct signalfd_siginfo si;

	if (host_read(s->signals, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo == SIGWINCH)
		terminal_resize(&s->term);
	else if (s->detach_key)
		s->left = true;
	else
		guest_send(s->sock, json_pack("{s:i}", "signal", (int)si.ssi_signo), NULL, 0);
}

/* Return: false at the end of the session. */
static bool session_message(struct session *s)
{
	cleanup_json json_t *msg = guest_recv(s->sock, NULL);
	json_t *status = json_object_get(msg, "status");

	if (json_is_integer(status))
		s->status = json_integer_value(status);
	return msg && !json_is_integer(status);
}

/* The console's key is looked for before the guest sees it. */
static bool leaves(struct session *s, struct pollfd *keys)
{
	char buf[256];
	ssize_t n;

	if (!s->detach_key || !keys->revents)
		return false;
	n = host_result(read(s->term.in, buf, sizeof(buf)));
	keys->revents = 0;
	if (n <= 0 || memchr(buf, DETACH_KEY, n))
		return true;
	host_write(s->term.master, buf, n);
	return false;
}

static void session_run(struct session *s)
{
	bool go_on = true;

	while (go_on && !s->left) {
		struct pollfd p[4] = {
			{ .fd = s->sock, .events = POLLIN },
			{ .fd = s->signals, .events = POLLIN },
		};

		terminal_poll(&s->term, p + 2);
		if (poll(p, 4, -1) < 0)
			continue;
		if (leaves(s, &p[2]))
			break;
		if (!terminal_relay(&s->term, p + 2))
			cleanup_fd_p(&s->term.master), s->term.master = -1;
		if (p[1].revents)
			session_signal(s);
		if (p[0].revents)
			go_on = session_message(s);
	}
	if (!s->detach_key)
		terminal_drain(&s->term);
	terminal_restore(&s->term);
}

static json_t *exec_request(char **cmd)
{
	static const char *const env[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "USER=root", "LOGNAME=root", "container=weir",
	};
	json_t *argv = json_array(), *envp = json_array(), *tty = json_array();

	for (; *cmd; cmd++)
		json_array_append_new(argv, json_string(*cmd));
	for (size_t i = 0; i < ARRAY_SIZE(env); i++)
		json_array_append_new(envp, json_string(env[i]));
	if (getenv("TERM"))
		json_array_append_new(envp, json_sprintf("TERM=%s", getenv("TERM")));
	for (int i = 0; i < 3; i++)
		if (isatty(i))
			json_array_append_new(tty, json_integer(i));
	return json_pack("{s:s, s:o, s:o, s:o, s:s}", "op", "exec", "argv", argv, "env", envp, "tty",
			 tty, "cwd", "/");
}

int cmd_exec(int argc, char **argv)
{
	int at = argc > 2 && streq(argv[2], "--") ? 3 : 2;
	cleanup_json json_t *answer = NULL;
	struct session s = { .status = -1 };
	const char *error;
	int master = -1;

	if (argc <= at || argv[1][0] == '-')
		return cmd_fail(EXIT_USAGE, "exec: usage: weir exec NAME -- CMD [ARG...]");
	s.sock = guest_connect("exec", argv[1]);
	if (s.sock < 0)
		return EXIT_NOSTART;
	s.signals = terminal_signals(0);
	terminal_init(&s.term);
	if (guest_send(s.sock, exec_request(argv + at), (int[]){ 0, 1, 2 }, 3) == 0)
		answer = guest_recv(s.sock, &master);
	if (!answer)
		return cmd_fail(EXIT_NOSTART, "exec: the guest ended before it answered");
	error = json_string_value(json_object_get(answer, "error"));
	if (error)
		return cmd_fail(json_integer_value(json_object_get(answer, "status")) ?: EXIT_NOSTART, "exec: %s", error);
	if (master >= 0)
		terminal_join(&s.term, master);
	session_run(&s);
	return s.status >= 0 ? s.status : 128 + SIGKILL;
}

int cmd_console(int argc, char **argv)
{
	struct session s = { .status = -1, .detach_key = true };
	int master = -1;

	if (argc != 2)
		return cmd_fail(EXIT_USAGE, "console: usage: weir console NAME");
	terminal_init(&s.term);
	if (s.term.in < 0)
		return cmd_fail(EXIT_USAGE, "console: stdin is not a terminal; weir log --console "
					    "prints what the guest wrote");
	s.sock = guest_connect("console", argv[1]);
	if (s.sock < 0)
		return 1;
	s.signals = terminal_signals(0);
	if (guest_ask(s.sock, "console", json_pack("{s:s}", "op", "console"), &master))
		return 1;
	terminal_join(&s.term, master);
	session_run(&s);
	fprintf(stderr, "\n");
	return 0;
}
