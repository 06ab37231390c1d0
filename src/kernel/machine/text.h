/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h - text that grows, and the ways in which Linux writes sets of CPUs
 *
 * Memory that cannot be had is remembered: the text ends there, and
 * text_ok() says so. Nothing has to be checked line by line.
 */
#ifndef WEIR_KERNEL_TEXT_H
#define WEIR_KERNEL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *buf;	/* ends with a NUL once anything was added */
	size_t len, size;
	bool failed;
};

void text_add(struct text *t, const char *s, size_t len);
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As "%-*s" and "%*llu" do, in a tenth of their time: for files that are long. */
void text_word(struct text *t, const char *s, unsigned width);
void text_number(struct text *t, uint64_t value, unsigned width);
void text_clear(struct text *t);	/* empty, memory kept */
void text_free(struct text *t);

static inline bool text_ok(const struct text *t)
{
	return !t->failed;
}

/* The CPUs from @first on, @n of them, as a list: "0-3", "2", "" (cpuset(7)). */
void text_cpulist(struct text *t, unsigned first, unsigned n);

/* The same as a mask of @width bits in groups of 32: "ff,ffffffff" (cpuset(7)). */
void text_cpumask(struct text *t, unsigned first, unsigned n, unsigned width);

#endif
