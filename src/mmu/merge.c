/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge.c - equal pages of processes kept once: KSM
 */
#include "mmu/merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "passthrough/hostcall.h"

#ifndef PR_SET_MEMORY_MERGE	/* Linux 6.4 */
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_MEMORY_MERGE 68
#endif

int merge_enable(void)
{
	return host_result(prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0));
}

bool merge_offered(void)
{
	return host_result(prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0)) >= 0;
}

bool merge_runs(void)
{
	char text[16];

	return host_read_file(AT_FDCWD, "/sys/kernel/mm/ksm/run", text, sizeof(text)) > 0 &&
	       atoi(text) == 1;
}

uint64_t merge_bytes(pid_t pid)
{
	char path[48], text[32];

	snprintf(path, sizeof(path), "/proc/%d/ksm_merging_pages", (int)pid);
	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return 0;
	return strtoull(text, NULL, 10) * sysconf(_SC_PAGESIZE);
}
