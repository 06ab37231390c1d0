/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal.c - our terminal and a guest's pty, joined
 */
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "passthrough/hostcall.h"

void terminal_init(struct terminal *t)
{
	*t = (struct terminal){ .in = -1, .out = -1, .master = -1 };
	if (isatty(0))
		t->in = 0;
	if (isatty(1))
		t->out = 1;
	else if (isatty(2))
		t->out = 2;
	else if (t->in >= 0)
		t->out = 0;	/* a terminal is open both ways */
}

int terminal_signals(int also)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGWINCH);
	if (also)
		sigaddset(&set, also);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return host_result(signalfd(-1, &set, SFD_CLOEXEC));
}

void terminal_resize(struct terminal *t)
{
	struct winsize ws;
	int from = t->out >= 0 ? t->out : t->in;

	if (t->master >= 0 && from >= 0 && ioctl(from, TIOCGWINSZ, &ws) == 0)
		ioctl(t->master, TIOCSWINSZ, &ws);
}

void terminal_join(struct terminal *t, int master)
{
	struct termios raw;

	t->master = master;
	terminal_resize(t);
	if (t->in < 0 || tcgetattr(t->in, &t->saved) < 0)
		return;
	/* The guest starts with our modes (its own erase key and so on). */
	tcsetattr(master, TCSANOW, &t->saved);
	raw = t->saved;
	cfmakeraw(&raw);
	t->raw = tcsetattr(t->in, TCSADRAIN, &raw) == 0;
}

void terminal_restore(struct terminal *t)
{
	if (t->raw)
		tcsetattr(t->in, TCSADRAIN, &t->saved);
	t->raw = false;
}

void terminal_poll(const struct terminal *t, struct pollfd p[2])
{
	bool joined = t->master >= 0;

	p[0] = (struct pollfd){ .fd = joined && !t->in_eof ? t->in : -1, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = joined ? t->master : -1, .events = POLLIN };
}

static ssize_t move(int from, int to)
{
	char buf[8192];
	ssize_t n = host_result(read(from, buf, sizeof(buf)));

	if (n > 0 && to >= 0)
		host_write(to, buf, n);
	return n;
}

bool terminal_relay(struct terminal *t, const struct pollfd p[2])
{
	ssize_t n;

	if (p[0].revents) {
		n = move(t->in, t->master);
		if (n == 0 || (n < 0 && n != -EINTR && n != -EAGAIN))
			t->in_eof = true;
	}
	if (p[1].revents) {
		n = move(t->master, t->out);
		if (n == 0 || (n < 0 && n != -EINTR && n != -EAGAIN))
			return false;
	}
	return true;
}

void terminal_drain(struct terminal *t)
{
	if (t->master < 0)
		return;
	fcntl(t->master, F_SETFL, fcntl(t->master, F_GETFL) | O_NONBLOCK);
	while (move(t->master, t->out) > 0)
		;
}
