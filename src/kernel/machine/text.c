/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.c - text that grows, and the ways in which Linux writes sets of CPUs
 */
#include "kernel/machine/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/util.h"

#define TEXT_FIRST 1024	/* bytes; most of our files are shorter */

/* With @more bytes and a NUL there is room already, nearly always. */
static bool grow(struct text *t, size_t more)
{
	size_t size = MAX(t->size, (size_t)TEXT_FIRST);
	char *buf;

	if (t->failed)
		return false;
	while (size - t->len <= more)
		size *= 2;
	buf = realloc(t->buf, size);
	if (!buf) {
		t->failed = true;
		return false;
	}
	t->buf = buf;
	t->size = size;
	return true;
}

static inline bool make_room(struct text *t, size_t more)
{
	return (t->size - t->len > more && !t->failed) || grow(t, more);
}

/* @len bytes behind the text, to be written. NULL: there is no memory. */
static inline char *extend(struct text *t, size_t len)
{
	char *at;

	if (!make_room(t, len))
		return NULL;
	at = t->buf + t->len;
	at[len] = '\0';
	t->len += len;
	return at;
}

void text_add(struct text *t, const char *s, size_t len)
{
	char *at = extend(t, len);

	if (at)
		memcpy(at, s, len);
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	for (int try = 0; try < 2; try++) {
		size_t room = t->size - t->len;

		va_start(ap, fmt);
		n = vsnprintf(t->buf ? t->buf + t->len : NULL, room, fmt, ap);
		va_end(ap);
		if (n < 0 || t->failed)
			break;
		if ((size_t)n < room) {
			t->len += n;
			return;
		}
		if (!make_room(t, n))
			break;
	}
	t->failed = true;
}

void text_word(struct text *t, const char *s, unsigned width)
{
	size_t len = strlen(s), all = MAX(len, (size_t)width);
	char *at = extend(t, all);

	if (!at)
		return;
	memcpy(at, s, len);
	memset(at + len, ' ', all - len);
}

static unsigned count_digits(uint64_t value)
{
	unsigned n = 1;

	for (; value >= 10; value /= 10)
		n++;
	return n;
}

void text_number(struct text *t, uint64_t value, unsigned width)
{
	unsigned n = count_digits(value), all = MAX(n, width);
	char *at = extend(t, all);

	if (!at)
		return;
	memset(at, ' ', all - n);
	do {
		at[--all] = '0' + value % 10;
		value /= 10;
	} while (value);
}

void text_clear(struct text *t)
{
	t->len = 0;
	t->failed = false;
}

void text_free(struct text *t)
{
	free(t->buf);
	*t = (struct text){};
}

void text_cpulist(struct text *t, unsigned first, unsigned n)
{
	if (n == 1)
		text_printf(t, "%u", first);
	else if (n)
		text_printf(t, "%u-%u", first, first + n - 1);
}

void text_cpumask(struct text *t, unsigned first, unsigned n, unsigned width)
{
	unsigned groups = (width + 31) / 32;

	for (unsigned g = groups; g-- > 0;) {
		unsigned bits = MIN(width - g * 32, 32u);
		uint32_t word = 0;

		for (unsigned b = 0; b < bits; b++)
			if (g * 32 + b >= first && g * 32 + b < first + n)
				word |= UINT32_C(1) << b;
		text_printf(t, "%0*x%s", (bits + 3) / 4, word, g ? "," : "");
	}
}
