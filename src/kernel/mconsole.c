/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mconsole.c - User-mode Linux's management console: its datagrams, its commands
 *
 * User-mode Linux puts the error into the first datagram of an answer, where its own
 * client does not look; and it executes what a client of another version sends. Here
 * the last datagram has it, and such a request is refused.
 */
#include "kernel/mconsole.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/util.h"

#define HEADER offsetof(struct mconsole_request, data)
#define STOP_PATIENCE_MS 10000	/* as weir stop */

/* ---- datagrams ------------------------------------------------------------ */

static size_t trimmed(const char *data, size_t len, size_t *ret_begin)
{
	size_t begin = 0;

	while (len && isspace((unsigned char)data[len - 1]))
		len--;
	while (begin < len && isspace((unsigned char)data[begin]))
		begin++;
	*ret_begin = begin;
	return len - begin;
}

int mconsole_parse(const void *buf, size_t len, char command[MCONSOLE_DATA], const char **why)
{
	struct mconsole_request rq = {};
	size_t begin, n;

	if (len < HEADER || len > sizeof(rq))
		return -EPROTO;
	memcpy(&rq, buf, len);
	if (rq.magic != MCONSOLE_MAGIC)
		return -EPROTO;
	*why = rq.version != MCONSOLE_VERSION ? "this weir speaks version 2 of the protocol" :
	       rq.len >= MCONSOLE_DATA ? "Request too large" :
	       rq.len > len - HEADER ? "the request is shorter than it says" :
	       memchr(rq.data, '\0', rq.len) ? "the command has a NUL in it" : NULL;
	if (*why)
		return -EINVAL;
	n = trimmed(rq.data, rq.len, &begin);
	memcpy(command, rq.data + begin, n);
	command[n] = '\0';
	return 0;
}

size_t mconsole_fragment(struct mconsole_reply *r, const char *text, size_t left, uint32_t err)
{
	size_t n = MIN(left, sizeof(r->data) - 1);

	memset(r, 0, sizeof(*r));
	r->more = n < left;
	r->err = r->more ? 0 : err;
	r->len = n + 1;
	memcpy(r->data, text, n);
	return n;
}

/* ---- commands --------------------------------------------------------------- */

static void say(struct mconsole_plan *p, enum mconsole_how how, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void say(struct mconsole_plan *p, enum mconsole_how how, const char *fmt, ...)
{
	va_list ap;

	p->how = how;
	va_start(ap, fmt);
	vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
}

/* A weir command, its words up to NULL. */
static void weir(struct mconsole_plan *p, ...)
{
	size_t n = 0;
	va_list ap;

	p->how = MCONSOLE_WEIR;
	va_start(ap, p);
	do
		p->argv[n] = va_arg(ap, const char *);
	while (p->argv[n++] && n < MCONSOLE_MAX_ARGS);
	va_end(ap);
}

static void fact(struct mconsole_plan *p, enum mconsole_fact what, unsigned number)
{
	p->how = MCONSOLE_FACT;
	p->fact = what;
	p->number = number;
}

static void control(struct mconsole_plan *p, const char *op, unsigned patience_ms)
{
	p->how = MCONSOLE_CONTROL;
	p->argv[0] = op;
	p->number = patience_ms;
}

static void plan_version(struct mconsole_plan *p, char *rest, const char *name)
{
	fact(p, MCONSOLE_FACT_VERSION, 0);
}

static void plan_halt(struct mconsole_plan *p, char *rest, const char *name)
{
	control(p, "stop", STOP_PATIENCE_MS);
}

static void plan_reboot(struct mconsole_plan *p, char *rest, const char *name)
{
	control(p, "reboot", 0);
}

static void plan_cad(struct mconsole_plan *p, char *rest, const char *name)
{
	p->how = MCONSOLE_INTERRUPT;
}

static void plan_stop(struct mconsole_plan *p, char *rest, const char *name)
{
	weir(p, "pause", "--", name, NULL);
	snprintf(p->text, sizeof(p->text), "stopped");
}

static void plan_go(struct mconsole_plan *p, char *rest, const char *name)
{
	fact(p, MCONSOLE_FACT_GO, 0);
}

static void plan_log(struct mconsole_plan *p, char *rest, const char *name)
{
	fact(p, MCONSOLE_FACT_LOG, 0);
	snprintf(p->text, sizeof(p->text), "%s", rest);
}

/* Below the guest's /proc, by a path that stays there. */
static bool is_proc_path(const char *path)
{
	return *path && *path != '/' && !strstr(path, "..") &&
	       strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./") == strlen(path);
}

static void plan_proc(struct mconsole_plan *p, char *rest, const char *name)
{
	if (!is_proc_path(rest)) {
		say(p, MCONSOLE_REFUSE, "proc: write a file's path below the guest's /proc, such as proc meminfo");
		return;
	}
	snprintf(p->text, sizeof(p->text), "/proc/%s", rest);
	strcpy(p->words, p->text);
	p->text[0] = '\0';
	weir(p, "exec", name, "--", "cat", "--", p->words, NULL);
}

static bool parse_number(const char *s, unsigned *ret)
{
	size_t len = strlen(s);

	*ret = len && len < 10 && strspn(s, "0123456789") == len ? atoi(s) : 0;
	return *ret > 0;
}

static void plan_stack(struct mconsole_plan *p, char *rest, const char *name)
{
	unsigned pid;

	if (parse_number(rest, &pid))
		fact(p, MCONSOLE_FACT_STACK, pid);
	else
		say(p, MCONSOLE_REFUSE, "stack: write the number of a process of the guest, such as stack 1");
}

/* ---- sysrq ------------------------------------------------------------------ */

static void plan_sysrq(struct mconsole_plan *p, char *rest, const char *name)
{
	static const char keys[] = "sysrq: b reboots, o ends the guest at once, m shows its memory, t its tasks and calls";

	if (streq(rest, "b"))
		control(p, "reboot", 0);
	else if (streq(rest, "o"))
		control(p, "stop", 0);
	else if (streq(rest, "m"))
		weir(p, "mem", "--", name, NULL);
	else if (streq(rest, "t"))
		weir(p, "stats", "--", name, NULL);
	else
		say(p, streq(rest, "h") || !*rest ? MCONSOLE_SAY : MCONSOLE_REFUSE, "%s", keys);
}

/* ---- config, remove ----------------------------------------------------------- */

static void config_memory(struct mconsole_plan *p, char *value, const char *name)
{
	if (!*value || streq(value, "?"))
		fact(p, MCONSOLE_FACT_MEMORY, 0);
	else if (value[0] != '=' || (value[1] != '+' && value[1] != '-') || !isdigit((unsigned char)value[2]))
		say(p, MCONSOLE_REFUSE, "config mem: write mem=+SIZE or mem=-SIZE, such as mem=+64M, or mem alone");
	else
		weir(p, "mem", "--", name, value[1] == '+' ? "plug" : "unplug", value + 2, NULL);
}

/* N of ubdN and what follows it; NULL if it is no number of a disk. */
static char *disk_number(char *s, unsigned *ret)
{
	char *end;

	if (!isdigit((unsigned char)*s))
		return NULL;
	*ret = strtoul(s, &end, 10);
	return end - s <= 3 ? end : NULL;
}

static void refuse_disk(struct mconsole_plan *p)
{
	say(p, MCONSOLE_REFUSE, "config ubd: write ubdN=/IMAGE or ubdN=/COW,/IMAGE, with ubdNr= to have it read-only, or ubdN alone");
}

static void add_disk(struct mconsole_plan *p, const char *number, bool readonly, char *files, const char *name)
{
	char *backing = strchr(files, ',');
	const char *first = readonly ? "--readonly" : "--";

	if (backing)
		*backing++ = '\0';
	if (files[0] != '/' || (backing && backing[0] != '/')) {
		refuse_disk(p);
		return;
	}
	/* Options end before the name, which no "-" begins. */
	if (backing)
		weir(p, "disk", "add", "--backing", backing, first, name, number, files, NULL);
	else
		weir(p, "disk", "add", first, name, number, files, NULL);
}

static void config_disk(struct mconsole_plan *p, char *value, const char *name)
{
	char *number = value;
	bool readonly = false;
	unsigned index;

	value = disk_number(value, &index);
	if (value && (!*value || streq(value, "?"))) {
		fact(p, MCONSOLE_FACT_DISK, index);
		return;
	}
	if (value && *value == 'r') {
		readonly = true;
		*value++ = '\0';
	}
	if (!value || *value != '=') {
		refuse_disk(p);
		return;
	}
	*value++ = '\0';
	add_disk(p, number, readonly, value, name);
}

static void plan_config(struct mconsole_plan *p, char *rest, const char *name)
{
	if (str_starts(rest, "mem"))
		config_memory(p, rest + 3, name);
	else if (str_starts(rest, "ubd"))
		config_disk(p, rest + 3, name);
	else
		say(p, MCONSOLE_REFUSE, "config: there is mem and ubdN, such as config mem=+64M or config ubd1=/srv/data.img");
}

static void plan_remove(struct mconsole_plan *p, char *rest, const char *name)
{
	unsigned index;
	char *end = str_starts(rest, "ubd") ? disk_number(rest + 3, &index) : NULL;

	if (end && !*end)
		weir(p, "disk", "remove", "--", name, rest + 3, NULL);
	else
		say(p, MCONSOLE_REFUSE, "remove: only disks can be, such as remove ubd1");
}

/* ---- the list ------------------------------------------------------------------- */

static void plan_help(struct mconsole_plan *p, char *rest, const char *name);

static const struct mconsole_command {
	const char *name;
	void (*plan)(struct mconsole_plan *p, char *rest, const char *name);
	const char *usage;
} commands[] = {
	{ "version", plan_version, "version - the guest's kernel" },
	{ "help", plan_help, "help - this list" },
	{ "halt", plan_halt, "halt - shut the guest down (weir stop)" },
	{ "reboot", plan_reboot, "reboot - restart the guest (weir reboot)" },
	{ "cad", plan_cad, "cad - SIGINT to the guest's init, as ctrl-alt-del" },
	{ "stop", plan_stop, "stop - freeze all tasks of the guest (weir pause)" },
	{ "go", plan_go, "go - let them run again (weir resume)" },
	{ "config", plan_config, "config mem | mem=+SIZE | mem=-SIZE - the guest's memory (weir mem)\n"
				 "config ubdN | ubdN=[COW,]IMAGE - a disk of the guest (weir disk add)" },
	{ "remove", plan_remove, "remove ubdN - take it away (weir disk remove)" },
	{ "sysrq", plan_sysrq, "sysrq b | o | m | t | h - h says what they do" },
	{ "log", plan_log, "log TEXT - a line for the guest's log" },
	{ "proc", plan_proc, "proc FILE - a file of the guest's /proc" },
	{ "stack", plan_stack, "stack PID - where the host's kernel has a process of the guest" },
};

static void plan_help(struct mconsole_plan *p, char *rest, const char *name)
{
	size_t used = 0;

	p->how = MCONSOLE_SAY;
	for (size_t i = 0; i < ARRAY_SIZE(commands) && used < sizeof(p->text); i++)
		used += snprintf(p->text + used, sizeof(p->text) - used, "%s\n", commands[i].usage);
}

void mconsole_plan(const char *command, const char *name, struct mconsole_plan *ret)
{
	size_t word = strcspn(command, " \t");
	char *rest;

	memset(ret, 0, sizeof(*ret));
	snprintf(ret->words, sizeof(ret->words), "%s", command);
	rest = ret->words + word + strspn(command + word, " \t");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strlen(commands[i].name) == word && strncmp(command, commands[i].name, word) == 0) {
			commands[i].plan(ret, rest, name);
			return;
		}
	}
	say(ret, MCONSOLE_REFUSE, "Unknown command; help lists them");
}
