/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_screen.c - the live screen of weir top, with ncurses(3)
 *
 * Signals come by descriptor, so that there is one way out of the loop and the
 * terminal is put back on it. What does not fit is left out from the bottom of
 * each part; a screen of one line still shows the head.
 */
#include "top_screen.h"

#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <term.h>
#include <unistd.h>

#include "client.h"
#include "cmd.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"
#include "state.h"
#include "terminal.h"
#include "top_view.h"

#define MIN_TASK_ROWS 3		/* of the list, before anything else gets room */
#define LIST_DELAY_NS NSEC_PER_SEC

enum mode { MODE_GUEST, MODE_LIST, MODE_HELP };

struct screen {
	struct top_options *o;
	char name[64];			/* of the guest that is shown */
	enum mode mode;
	enum mode before_help;
	bool held;			/* no new samples */
	bool typing;			/* the filter */
	bool leave;
	int status;
	char end[128];			/* to be said when the terminal is back */
	unsigned scroll;		/* tasks above the first that is shown */
	unsigned chosen;		/* in the list of guests */

	struct top_sample now, before;
	bool has_now, has_before;
	bool silent;			/* the guest did not answer */
	uint64_t next_ns;		/* when to sample again */

	struct top_lines guests;	/* name, NUL, and what weir list says of it */
};

const char *top_screen_unfit(void)
{
	bool able;
	int err;

	if (!isatty(0) || !isatty(1))
		return "standard input and output are no terminal";
	if (setupterm(NULL, 1, &err) != OK)
		return "the terminal's type (TERM) is not known";
	/* capnames of terminfo(5) */
	able = tigetstr("cup") && tigetstr("clear");
	del_curterm(cur_term);
	return able ? NULL : "this terminal (TERM) cannot move its cursor";
}

/* ---- samples ------------------------------------------------------------- */

static void forget_samples(struct screen *s)
{
	top_sample_free(&s->now);
	top_sample_free(&s->before);
	s->has_now = s->has_before = s->silent = false;
	s->next_ns = 0;
	s->scroll = 0;
}

/* Rates again, too: the sort order depends on them. */
static void sort_now(struct screen *s)
{
	if (s->has_now)
		top_sample_sort(&s->now, s->o->sort, s->o->reverse);
}

static void take_sample(struct screen *s)
{
	cleanup_json json_t *stats = NULL;
	struct top_sample sample;
	int ret = guest_stats(s->name, &stats);

	s->next_ns = host_now() + (uint64_t)(s->o->delay_s * 1e9);
	s->silent = ret < 0;
	if (ret == -ENOENT) {
		snprintf(s->end, sizeof(s->end), "top: guest %s has ended", s->name);
		s->leave = true;
	}
	if (ret < 0 || top_sample_read(stats, &sample) < 0)
		return;
	top_sample_free(&s->before);
	s->before = s->now;
	s->has_before = s->has_now;
	s->now = sample;
	s->has_now = true;
	top_sample_rates(&s->now, s->has_before ? &s->before : NULL);
	sort_now(s);
}

static void list_guests(struct screen *s)
{
	char **names = state_list();

	s->next_ns = host_now() + LIST_DELAY_NS;
	top_lines_free(&s->guests);
	for (char **n = names; n && *n; n++) {
		cleanup_json json_t *stats = NULL;
		struct top_sample sample = {};

		if (guest_stats(*n, &stats) == 0 && top_sample_read(stats, &sample) == 0)
			top_view_head(&sample, &s->guests);
		/* Keep one line of each, with the name before it. */
		while (s->guests.n > (unsigned)(n - names) + 1)
			free(s->guests.v[--s->guests.n].text);
		if (s->guests.n == (unsigned)(n - names))
			top_lines_add(&s->guests, TOP_LINE_HEAD, "%s  booting", *n);
		top_sample_free(&sample);
		free(*n);
	}
	free(names);
	s->chosen = s->guests.n ? MIN(s->chosen, s->guests.n - 1) : 0;
}

/* ---- drawing ------------------------------------------------------------- */

static void put_line(int row, const struct top_line *line, bool marked)
{
	attr_t attr = A_NORMAL;

	if (row >= LINES)
		return;
	if (line->kind == TOP_LINE_HEAD)
		attr = A_BOLD;
	if (line->kind == TOP_LINE_TITLE || marked)
		attr = A_REVERSE;
	attrset(attr);
	mvaddnstr(row, 0, line->text, COLS);
	if (attr == A_REVERSE)
		for (int x = getcurx(stdscr); getcury(stdscr) == row && x > 0 && x < COLS; x++)
			addch(' ');
	attrset(A_NORMAL);
}

/* Up to @room lines from @from on. Return: how many. */
static int put_lines(int row, const struct top_lines *l, unsigned from, int room)
{
	int n = 0;

	for (unsigned i = from; i < l->n && n < room; i++, n++)
		put_line(row + n, &l->v[i], false);
	return n;
}

static void draw_status(const struct screen *s)
{
	char text[256];

	if (LINES < 2)
		return;
	if (s->typing)
		snprintf(text, sizeof(text), "filter: %s_", s->o->filter);
	else if (s->silent)
		snprintf(text, sizeof(text), "no answer from the guest's kernel");
	else
		snprintf(text, sizeof(text), "%ssort %s%s%s%s  ? help  q quit",
			 s->held ? "HELD  " : "", s->o->sort->name,
			 s->o->reverse ? " (reversed)" : "",
			 s->o->filter[0] ? "  filter " : "", s->o->filter);
	put_line(LINES - 1, &(struct top_line){ TOP_LINE_HEAD, text }, false);
}

/* The parts above the tasks, each with the rows it may take; the tasks get the rest. */
static void draw_guest(struct screen *s)
{
	struct top_lines head = {}, vcpus = {}, memory = {}, disks = {}, traps = {}, tasks = {};
	const struct {
		const struct top_lines *part;
		int most;
	} parts[] = {
		{ &head, 2 }, { &vcpus, MAX(LINES / 4, 1) }, { &memory, 1 },
		{ &disks, MAX(LINES / 6, 2) }, { &traps, MAX(LINES / 4, 2) },
	};
	int row = 0, room = LINES - 1, list;

	top_view_head(&s->now, &head);
	top_view_vcpus(&s->now, COLS, &vcpus);
	top_view_memory(&s->now, &memory);
	top_view_disks(&s->now, &disks);
	top_view_traps(&s->now, s->o->filter, &traps);
	top_view_tasks(&s->now, s->o->filter, &tasks);
	list = MIN((int)tasks.n, 1 + MIN_TASK_ROWS);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		int left = room - row - (i ? list : 0);

		row += put_lines(row, parts[i].part, 0, MAX(MIN(left, parts[i].most), i ? 0 : 1));
		if (i == 0 && LINES < 8)
			row = MIN(row, 1);
	}
	room -= row + 1;
	if (room >= 0) {
		unsigned rows = tasks.n - 1, most = rows > (unsigned)room ? rows - room : 0;

		s->scroll = MIN(s->scroll, most);
		put_line(row++, &tasks.v[0], false);
		put_lines(row, &tasks, 1 + s->scroll, room);
	}
	top_lines_free(&head);
	top_lines_free(&vcpus);
	top_lines_free(&memory);
	top_lines_free(&disks);
	top_lines_free(&traps);
	top_lines_free(&tasks);
}

static void draw_list(const struct screen *s)
{
	static char title[] = "GUESTS (Enter shows one, q quits)";
	int room = LINES - 1;
	unsigned first = s->chosen >= (unsigned)MAX(room, 1) ? s->chosen - room + 1 : 0;

	put_line(0, &(struct top_line){ TOP_LINE_TITLE, title }, false);
	for (unsigned i = first; i < s->guests.n && (int)(i - first) < room; i++) {
		struct top_line line = { TOP_LINE_ROW, s->guests.v[i].text };

		put_line(1 + i - first, &line, i == s->chosen);
	}
	if (!s->guests.n && LINES > 1)
		mvaddnstr(1, 0, "no guest runs", COLS);
}

static void draw_help(void)
{
	static const char *const keys[] = {
		"weir top - keys",
		"",
		"  /          show only what matches: a command, state, pid, call or rule",
		"  Esc        show all again",
		"  space      hold the screen, and go on",
		"  r          the other way round",
		"  up, down, Page Up, Page Down, Home   move in the list of tasks",
		"  + -        longer or shorter between two samples",
		"  g          the list of guests",
		"  q          quit",
		"",
		"Rates are per second of the guest's own time, between two samples.",
		"SINCE is how long a task has been in its state, a sleep for example.",
		"What the guest's kernel does not tell is shown as -.",
		"",
		"sort by:",
	};
	int row = 0;

	for (; row < (int)ARRAY_SIZE(keys) && row < LINES; row++)
		mvaddnstr(row, 0, keys[row], COLS);
	for (unsigned i = 0; i < top_sorts_len && row < LINES; i++, row++)
		if (COLS > 16)
			mvprintw(row, 2, "%c  %s", top_sorts[i].key, top_sorts[i].name);
}

static void draw(struct screen *s)
{
	erase();
	if (s->mode == MODE_HELP) {
		draw_help();
	} else if (s->mode == MODE_LIST) {
		draw_list(s);
	} else {
		if (s->has_now)
			draw_guest(s);
		draw_status(s);
	}
	refresh();
}

/* ---- keys ---------------------------------------------------------------- */

static void type_filter(struct screen *s, int key)
{
	size_t n = strlen(s->o->filter);

	if (key == '\n' || key == '\r' || key == KEY_ENTER) {
		s->typing = false;
	} else if (key == 27) {
		s->typing = false;
		s->o->filter[0] = '\0';
	} else if (key == KEY_BACKSPACE || key == 127 || key == '\b') {
		if (n)
			s->o->filter[n - 1] = '\0';
	} else if (key >= ' ' && key < 127 && n + 1 < sizeof(s->o->filter)) {
		s->o->filter[n] = key;
		s->o->filter[n + 1] = '\0';
	}
	s->scroll = 0;
}

static void scroll_by(unsigned *at, int by)
{
	*at = by < 0 && *at < (unsigned)-by ? 0 : *at + by;
}

static bool move_key(int key, unsigned *at)
{
	int page = MAX(LINES / 2, 1);

	switch (key) {
	case KEY_UP:
	case 'k':
		scroll_by(at, -1);
		return true;
	case KEY_DOWN:
	case 'j':
		scroll_by(at, 1);
		return true;
	case KEY_PPAGE:
		scroll_by(at, -page);
		return true;
	case KEY_NPAGE:
		scroll_by(at, page);
		return true;
	case KEY_HOME:
		*at = 0;
		return true;
	default:
		return false;
	}
}

static void list_key(struct screen *s, int key)
{
	if (move_key(key, &s->chosen)) {
		s->chosen = s->guests.n ? MIN(s->chosen, s->guests.n - 1) : 0;
	} else if ((key == '\n' || key == '\r' || key == KEY_ENTER) && s->guests.n) {
		/* the line begins with the guest's name */
		const char *line = s->guests.v[s->chosen].text;

		snprintf(s->name, sizeof(s->name), "%.*s", (int)strcspn(line, " "), line);
		forget_samples(s);
		s->mode = MODE_GUEST;
	}
}

static void guest_key(struct screen *s, int key)
{
	const struct top_sort *sort = top_sort_by_key(key);

	if (sort) {
		s->o->reverse = false;
		s->o->sort = sort;
		sort_now(s);
	} else if (key == 'r') {
		s->o->reverse = !s->o->reverse;
		sort_now(s);
	} else if (key == '/') {
		s->typing = true;
	} else if (key == 27) {
		s->o->filter[0] = '\0';
	} else if (key == ' ') {
		s->held = !s->held;
		s->next_ns = 0;
	} else if (key == '+') {
		s->o->delay_s = MIN(s->o->delay_s * 2, 3600);
	} else if (key == '-') {
		s->o->delay_s = MAX(s->o->delay_s / 2, 0.1);
	} else if (key == 'g') {
		s->mode = MODE_LIST;
		s->next_ns = 0;
	} else {
		move_key(key, &s->scroll);
	}
}

static void handle_key(struct screen *s, int key)
{
	if (s->mode == MODE_HELP) {
		s->mode = s->before_help;
	} else if (s->typing) {
		type_filter(s, key);
	} else if (key == 'q') {
		s->leave = true;
	} else if (key == '?' || key == 'h') {
		s->before_help = s->mode;
		s->mode = MODE_HELP;
	} else if (s->mode == MODE_LIST) {
		list_key(s, key);
	} else {
		guest_key(s, key);
	}
}

/* ---- the loop ------------------------------------------------------------ */

static void on_signal(struct screen *s, int signals)
{
	struct signalfd_siginfo si;
	struct winsize ws;

	if (host_read(signals, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo != SIGWINCH) {
		s->leave = true;
		s->status = 128 + si.ssi_signo;
	} else if (ioctl(1, TIOCGWINSZ, &ws) == 0 && ws.ws_row && ws.ws_col) {
		resizeterm(ws.ws_row, ws.ws_col);
		clear();
	}
}

static int wait_ms(const struct screen *s)
{
	uint64_t now = host_now();

	if (s->held && s->mode == MODE_GUEST)
		return -1;
	return now >= s->next_ns ? 0 : (int)((s->next_ns - now) / 1000000) + 1;
}

static void look(struct screen *s)
{
	if (host_now() < s->next_ns)
		return;
	if (s->mode == MODE_LIST || (s->mode == MODE_HELP && s->before_help == MODE_LIST))
		list_guests(s);
	else if (!s->held || !s->has_now)
		take_sample(s);
}

static void loop(struct screen *s, int signals)
{
	while (!s->leave) {
		struct pollfd p[2] = {
			{ .fd = 0, .events = POLLIN },
			{ .fd = signals, .events = POLLIN },
		};
		int key;

		look(s);
		draw(s);
		if (s->leave || poll(p, 2, wait_ms(s)) < 0)
			continue;
		if (p[1].revents)
			on_signal(s, signals);
		if (p[0].revents & (POLLHUP | POLLERR))
			s->leave = true;	/* the terminal is gone */
		while (p[0].revents && (key = getch()) != ERR)
			handle_key(s, key);
	}
}

int top_screen_run(const char *name, struct top_options *o)
{
	struct screen s = { .o = o, .mode = name ? MODE_GUEST : MODE_LIST };
	cleanup_fd int signals = terminal_signals(0);

	if (signals < 0)
		return cmd_fail(1, "top: %s", strerror(-signals));
	snprintf(s.name, sizeof(s.name), "%s", name ? name : "");
	setlocale(LC_CTYPE, "");
	set_escdelay(50);	/* ms until a lone Esc is one */
	initscr();
	cbreak();
	noecho();
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	curs_set(0);
	loop(&s, signals);
	endwin();
	forget_samples(&s);
	top_lines_free(&s.guests);
	if (s.end[0])
		cmd_fail(0, "%s", s.end);
	return s.status;
}
