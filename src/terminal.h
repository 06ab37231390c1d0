/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal.h - our terminal and a guest's pty, joined
 */
#ifndef WEIR_TERMINAL_H
#define WEIR_TERMINAL_H

#include <poll.h>
#include <stdbool.h>
#include <termios.h>

struct terminal {
	int in, out;		/* our terminal; -1: that side is none */
	int master;		/* the guest's pty; -1: not joined */
	bool raw;
	bool in_eof;
	struct termios saved;
};

/* Which of stdin, stdout, stderr are terminals? */
void terminal_init(struct terminal *t);

/* Join: our terminal becomes raw if keys come from it; size and modes are the
 * guest's too. The master is the terminal's from now on. */
void terminal_join(struct terminal *t, int master);

/* Put everything back as it was; any number of times, also from atexit(). */
void terminal_restore(struct terminal *t);

/* Block the signals that a terminal's user sends, and @also if it is not 0, and
 * ignore SIGPIPE. Return: a signalfd, the caller's, or a negative errno. */
int terminal_signals(int also);

/* The guest's pty gets our window's size. */
void terminal_resize(struct terminal *t);

/* Fill two pollfds, and after poll() move what there is. Return: false once
 * the guest's side is closed. */
void terminal_poll(const struct terminal *t, struct pollfd p[2]);
bool terminal_relay(struct terminal *t, const struct pollfd p[2]);

/* The rest of the guest's output, without waiting. */
void terminal_drain(struct terminal *t);

#endif
