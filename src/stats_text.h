/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats_text.h - what weir stats prints for people
 */
#ifndef WEIR_STATS_TEXT_H
#define WEIR_STATS_TEXT_H

#include <jansson.h>
#include <stddef.h>

/* The answer of a guest (kernel/stats.c) to standard output. */
void stats_print(json_t *stats);

/* "59s", "1m02s", "3h04m" */
void stats_uptime(long long ns, char *buf, size_t size);

#endif
