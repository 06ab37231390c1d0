/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_procfs.c - the host's /proc/TID/stat and status, with names that a guest chose
 */
#include "fuzz.h"
#include "kernel/hostproc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hostproc_stat stat;
	struct hostproc_status status;
	char *text = malloc(size + 1);

	MUST(text);
	memcpy(text, data, size);
	text[size] = '\0';
	hostproc_parse_status(text, &status);
	if (hostproc_parse_stat(text, &stat) == 0)
		MUST(memchr(stat.comm, '\0', sizeof(stat.comm)));
	free(text);
	return 0;
}
