/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_view.h - a sample of weir top as lines of text
 *
 * The screen and --batch show the same lines; what is not known is a "-".
 */
#ifndef WEIR_TOP_VIEW_H
#define WEIR_TOP_VIEW_H

#include "top_model.h"

enum top_line_kind { TOP_LINE_HEAD, TOP_LINE_PLAIN, TOP_LINE_TITLE, TOP_LINE_ROW };

struct top_line {
	enum top_line_kind kind;
	char *text;		/* no newline */
};

/* Nothing is in it when zeroed. */
struct top_lines {
	struct top_line *v;
	unsigned n, size;
};

/* Append a line; without memory it is left out. */
void top_lines_add(struct top_lines *l, enum top_line_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void top_lines_free(struct top_lines *l);

/* Each appends the lines of one part; none, if there is nothing to tell. */
void top_view_head(const struct top_sample *s, struct top_lines *l);
void top_view_memory(const struct top_sample *s, struct top_lines *l);
void top_view_disks(const struct top_sample *s, struct top_lines *l);
void top_view_traps(const struct top_sample *s, const char *filter, struct top_lines *l);
void top_view_tasks(const struct top_sample *s, const char *filter, struct top_lines *l);

/* A bar for each vCPU, as many on a line as fit into @width columns. */
void top_view_vcpus(const struct top_sample *s, unsigned width, struct top_lines *l);

#endif
