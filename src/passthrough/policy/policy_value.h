/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_value.h - values as they are written in a policy and on the command line
 *
 * What parses returns 0, or -EINVAL without a message.
 */
#ifndef WEIR_PASSTHROUGH_POLICY_VALUE_H
#define WEIR_PASSTHROUGH_POLICY_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int policy_parse_u64(const char *s, uint64_t *ret);	/* 10, 0xa, 012 */
int policy_parse_size(const char *s, uint64_t *ret);	/* 4096, 512M; bytes */
int policy_parse_span(const char *s, int64_t *ret_ns);	/* 3d, 1h30m: always ahead */
int policy_parse_duration(const char *s, int64_t *ret_ns);	/* +3d, -1h30m */
int policy_parse_instant(const char *s, int64_t *ret_ns);	/* 2038-01-19T03:14:00Z; since 1970 */
int policy_parse_rate(const char *s, uint64_t *ret);	/* 10, 0.1; times POLICY_RATE_ONE */

/* The next word of a list with blanks, tabs or commas between. Return: its length, 0 at the
 * end; one of @size or more is cut. */
size_t policy_next_word(const char **s, char *word, size_t size);

/* Can this be a disk's serial number? */
bool policy_disk_serial(const char *s);

#endif
