/* SPDX-License-Identifier: Apache-2.0 */
/*
 * continues.h - the places where a handler lets a call go on, and why that is harmless
 *
 * Made when weir is built, from the code (tools/continue-list).
 */
#ifndef WEIR_PASSTHROUGH_CONTINUES_H
#define WEIR_PASSTHROUGH_CONTINUES_H

#include <stddef.h>

/* Which policies can reach it. */
enum continue_when {
	CONTINUES_CALL,		/* where its call traps */
	CONTINUES_WATCH,	/* where a call is in lane watch */
	CONTINUES_IDS,		/* with [ids] uid = single */
	CONTINUES_CLOCKS,	/* with clocks of the guest's own */
};

struct continue_place {
	const char *call;	/* its name, or those that share the place, in words */
	enum continue_when when;
	const char *file;
	const char *why;
};

/* The last has no file. */
extern const struct continue_place continue_places[];

#endif
