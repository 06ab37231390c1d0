/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.c - text that grows, and the ways in which Linux writes sets of CPUs
 */
#include "kernel/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/util.h"

#define TEXT_FIRST 1024	/* bytes; most of our files are shorter */

static bool make_room(struct text *t, size_t more)
{
	size_t size = MAX(t->size, (size_t)TEXT_FIRST);
	char *buf;

	if (t->failed)
		return false;
	while (size - t->len <= more)
		size *= 2;
	if (size == t->size)
		return true;
	buf = realloc(t->buf, size);
	if (!buf) {
		t->failed = true;
		return false;
	}
	t->buf = buf;
	t->size = size;
	return true;
}

void text_add(struct text *t, const char *s, size_t len)
{
	if (!make_room(t, len))
		return;
	memcpy(t->buf + t->len, s, len);
	t->len += len;
	t->buf[t->len] = '\0';
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

static void pad(struct text *t, size_t len, unsigned width)
{
	while (len++ < width)
		text_add(t, " ", 1);
}

void text_word(struct text *t, const char *s, unsigned width)
{
	size_t len = strlen(s);

	text_add(t, s, len);
	pad(t, len, width);
}

void text_number(struct text *t, uint64_t value, unsigned width)
{
	char digits[20], *p = digits + sizeof(digits);	/* 2^64 has as many */

	do {
		*--p = '0' + value % 10;
		value /= 10;
	} while (value);
	pad(t, digits + sizeof(digits) - p, width);
	text_add(t, p, digits + sizeof(digits) - p);
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
