/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merged.c - is a process's memory open to KSM (merge = yes)? Also after a fork.
 */
#include <sys/prctl.h>

#include "../guest/t.h"

#ifndef PR_GET_MEMORY_MERGE
#define PR_GET_MEMORY_MERGE 68
#endif

static void look(void)
{
	fact("merge", "%d", prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0));
}

int main(void)
{
	look();
	in_child(look);
	return t_failed;
}
