/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_image.c - an ELF image that is said to be a vDSO: changed within, or refused
 *
 * Input: which way (a byte), then the image, filled up to whole pages. The seeds are
 * the host's own.
 */
#include "fuzz.h"
#include "kernel/util.h"
#include "passthrough/embedded.h"
#include "passthrough/image.h"

extern const struct embedded_file vdso_files[];

#define PAGE 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t page[IMAGE_MAX_BYTES + PAGE];
	struct image im;
	const char *why;
	size_t whole;

	if (size < 2 || size > IMAGE_MAX_BYTES)
		return 0;
	whole = (size - 1 + PAGE - 1) / PAGE * PAGE;
	memset(page, 0, whole);
	memcpy(page, data + 1, size - 1);
	if (image_prepare(&im, data[0] & 1 ? IMAGE_STUBS : IMAGE_READS, page, whole,
			  vdso_files[0].data, vdso_files[0].size, &why) < 0) {
		MUST(why && why[0]);
		return 0;
	}
	MUST(im.size == whole && im.nextents <= IMAGE_MAX_EXTENTS);
	MUST(im.gettime < whole && im.gettimeofday < whole && im.time < whole);
	for (unsigned i = 0; i < im.nextents; i++)
		MUST(im.extent[i].len <= IMAGE_MAX_CHANGE &&
		     (uint64_t)im.extent[i].at + im.extent[i].len <= whole);
	image_free(&im);
	return 0;
}
