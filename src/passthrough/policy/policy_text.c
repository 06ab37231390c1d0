/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_text.c - the text of one policy file as entries
 *
 * inih does the reading. It cuts long lines and long names, takes ':' for '=',
 * drops what follows a section's ']' or a " ;", and takes any indented line
 * for more of the value above. Such text could mean something else than its
 * author saw, so every line is looked at first and refused where inih and a
 * reader might differ. What is left is plain: comments, [section],
 * KEY = VALUE, and indented lines that go on with a value.
 */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/util.h"
#include "passthrough/policy/policy_impl.h"

#define MAX_LINE (INI_MAX_LINE - 3)	/* without line end */
#define MAX_WORD 49			/* inih cuts sections and keys behind this */

struct text {
	struct loader *ld;
	struct policy_entries *entries;
	const char *at, *end;		/* what inih has not read */
	struct policy_pos pos;		/* the line it is at */
	bool in_section, in_value;	/* while checking */
	bool continues;			/* the line inih is at is indented */
	const char *section;
	int error;
};

/* Length of the run of characters that a section or a key may have. */
static size_t word_span(const char *s, const char *end)
{
	const char *p = s;

	while (p < end && (isalnum((unsigned char)*p) || strchr("@._-", *p)))
		p++;
	return p - s;
}

static int check_section(struct text *t, const char *line, const char *end)
{
	size_t len = word_span(line + 1, end);
	char name[MAX_WORD + 1];

	if (len == 0 || line + len + 2 != end || line[len + 1] != ']')
		return policy_fail(t->ld->err, &t->pos,
				   "a section is one word in brackets; write [NAME] and nothing behind it");
	if (len > MAX_WORD)
		return policy_fail(t->ld->err, &t->pos, "the section's name is too long; known are %s",
				   POLICY_SECTIONS);
	snprintf(name, sizeof(name), "%.*s", (int)len, line + 1);
	t->in_section = true;
	t->in_value = false;
	return policy_section_check(t->ld, &t->pos, name);
}

static int check_key(struct text *t, const char *line, const char *end)
{
	size_t len = word_span(line, end);
	const char *p = line + len;

	while (p < end && isblank((unsigned char)*p))
		p++;
	if (len == 0 || p == end || *p != '=')
		return policy_fail(t->ld->err, &t->pos,
				   "not a setting; write KEY = VALUE, or begin a comment with #");
	if (len > MAX_WORD)
		return policy_fail(t->ld->err, &t->pos, "the key is longer than %d bytes; shorten it",
				   MAX_WORD);
	if (!t->in_section)
		return policy_fail(t->ld->err, &t->pos,
				   "a setting before the first section; write [guest] or the like above it");
	t->in_value = true;
	return 0;
}

/* An indented line goes on with a value; one that looks like a setting was meant as one. */
static int check_indented(struct text *t, const char *line, const char *end)
{
	size_t len = word_span(line, end);
	const char *p = line + len;

	while (p < end && isblank((unsigned char)*p))
		p++;
	if (!t->in_value || *line == '[' || (len > 0 && p < end && *p == '=' &&
					     (p + 1 == end || p[1] != '=')))
		return policy_fail(t->ld->err, &t->pos,
				   "an indented line goes on with the value above it; begin a section or setting in the first column");
	return 0;
}

static int check_bytes(struct text *t, const char *line, const char *end)
{
	for (const char *p = line; p < end; p++) {
		unsigned char c = *p;

		if (c == '\0')
			return policy_fail(t->ld->err, &t->pos,
					   "a NUL byte; a policy is plain text");
		if (c == '\r' && p + 1 == end)
			return policy_fail(t->ld->err, &t->pos,
					   "the line ends as on Windows; save the file with Unix line ends");
		if (c == 0xef && p == line && end - p >= 3 && !memcmp(p, "\xef\xbb\xbf", 3))
			return policy_fail(t->ld->err, &t->pos,
					   "a byte order mark; save the file without one");
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return policy_fail(t->ld->err, &t->pos,
					   "a control character (0x%02x); a policy is plain text", c);
	}
	return 0;
}

static int check_line(struct text *t, const char *line, const char *end)
{
	const char *start = line;
	int r = check_bytes(t, line, end);

	if (r < 0)
		return r;
	if (end - line > MAX_LINE)
		return policy_fail(t->ld->err, &t->pos,
				   "the line is longer than %d bytes; go on in a new line that begins with a space",
				   MAX_LINE);
	while (end > line && isblank((unsigned char)end[-1]))
		end--;
	while (start < end && isblank((unsigned char)*start))
		start++;
	if (start == end || *start == '#' || *start == ';')
		return 0;
	for (const char *p = start + 1; p < end; p++)
		if (*p == ';' && isblank((unsigned char)p[-1]))
			return policy_fail(t->ld->err, &t->pos,
					   "a comment behind a setting; write it on a line of its own, after #");
	if (start > line)
		return check_indented(t, start, end);
	if (*start == '[')
		return check_section(t, start, end);
	return check_key(t, start, end);
}

static int check_text(struct text *t, const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end) {
		const char *eol = memchr(text, '\n', end - text);
		int r;

		if (!eol)
			eol = end;
		t->pos.line++;
		r = check_line(t, text, eol);
		if (r < 0)
			return r;
		text = eol + 1;
	}
	return 0;
}

/* inih's fgets() */
static char *read_line(char *buf, int size, void *user)
{
	struct text *t = user;
	const char *eol;
	size_t len;

	if (t->at >= t->end || t->error)
		return NULL;
	eol = memchr(t->at, '\n', t->end - t->at);
	len = (eol ? eol : t->end) - t->at;
	t->pos.line++;
	t->continues = isblank((unsigned char)*t->at);
	/* check_line() has seen to it that all of it fits. */
	memcpy(buf, t->at, MIN(len, (size_t)size - 2));
	strcpy(buf + MIN(len, (size_t)size - 2), "\n");
	t->at += len + 1;
	return buf;
}

static int add_entry(struct text *t, const char *section, const char *key, const char *value)
{
	struct policy_entries *all = t->entries;
	struct policy *p = t->ld->p;
	struct policy_entry *e;

	if (all->n == all->room) {
		size_t room = all->room ? 2 * all->room : 64;

		e = realloc(all->entry, room * sizeof(*e));
		if (!e)
			return policy_no_memory(t->ld->err);
		all->entry = e;
		all->room = room;
	}
	if (!t->section || !streq(t->section, section))
		t->section = policy_strdup(p, section);
	e = &all->entry[all->n];
	*e = (struct policy_entry){
		.section = t->section,
		.key = policy_strdup(p, key),
		.value = policy_strdup(p, value),
		.pos = t->pos,
	};
	if (!e->section || !e->key || !e->value)
		return policy_no_memory(t->ld->err);
	all->n++;
	return 0;
}

static int extend_entry(struct text *t, const char *value)
{
	struct policy_entry *e = &t->entries->entry[t->entries->n - 1];
	size_t len = strlen(e->value) + 1 + strlen(value);
	char *joined = policy_strndup(t->ld->p, "", len);

	if (!joined)
		return policy_no_memory(t->ld->err);
	snprintf(joined, len + 1, "%s%s%s", e->value, *e->value ? " " : "", value);
	e->value = joined;
	return 0;
}

static int handle(void *user, const char *section, const char *key, const char *value)
{
	struct text *t = user;

	if (t->continues)
		t->error = extend_entry(t, value);
	else
		t->error = add_entry(t, section, key, value);
	return t->error == 0;
}

int policy_text_parse(struct loader *ld, const char *file, const char *text, size_t len,
		      struct policy_entries *ret)
{
	struct text t = {
		.ld = ld, .entries = ret, .at = text, .end = text + len, .pos = { file, 0 },
	};
	int r = check_text(&t, text, len);

	if (r < 0)
		return r;
	t.pos.line = 0;
	r = ini_parse_stream(read_line, &t, handle, &t);
	if (t.error)
		return t.error;
	if (r != 0) {
		t.pos.line = MAX(r, 0);
		return policy_fail(ld->err, &t.pos, "cannot be read; write [SECTION] and KEY = VALUE");
	}
	return 0;
}
