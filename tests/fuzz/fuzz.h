/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz.h - what the fuzzers share
 *
 * Each defines LLVMFuzzerTestOneInput() for clang's libFuzzer; tools/fuzz builds and
 * runs them. A finding is a report of a sanitizer, an abort(), or a hang.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold. */
#define MUST(what)                                                                                 \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "%s:%d: must hold: %s\n", __FILE__, __LINE__, #what);      \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static char fuzz_path[64];

static inline void fuzz_forget(void)
{
	unlink(fuzz_path);
}

/* A file with these bytes, the same for each input; gone at the end. */
static inline const char *fuzz_file(const void *head, size_t head_size, const void *data, size_t size)
{
	static int fd = -1;

	if (fd < 0) {
		strcpy(fuzz_path, "/dev/shm/weir-fuzz-XXXXXX");
		fd = mkstemp(fuzz_path);
		MUST(fd >= 0);
		atexit(fuzz_forget);
	}
	MUST(ftruncate(fd, 0) == 0);
	MUST(pwrite(fd, head, head_size, 0) == (ssize_t)head_size);
	MUST(pwrite(fd, data, size, head_size) == (ssize_t)size);
	return fuzz_path;
}

#endif
