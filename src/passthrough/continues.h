/* SPDX-License-Identifier: Apache-2.0 */
/*
 * continues.h - the places where a handler lets a call go on, and why that is harmless
 *
 * Made when weir is built, from the code (tools/continue-list).
 */
#ifndef WEIR_PASSTHROUGH_CONTINUES_H
#define WEIR_PASSTHROUGH_CONTINUES_H

#include <stddef.h>

struct continue_place {
	const char *call;	/* NULL: every call in lane watch */
	const char *file;
	const char *why;
};

/* The last has no file. */
extern const struct continue_place continue_places[];

#endif
