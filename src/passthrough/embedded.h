/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embedded.h - files that are part of the program, put there by tools/embed.py
 */
#ifndef WEIR_PASSTHROUGH_EMBEDDED_H
#define WEIR_PASSTHROUGH_EMBEDDED_H

#include <stddef.h>

struct embedded_file {
	const char *name;		/* without its folder; NULL behind the last */
	const unsigned char *data;	/* a NUL follows, not counted */
	size_t size;
};

extern const struct embedded_file weir_policies[];	/* policies/ */

#endif
