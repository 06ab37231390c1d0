/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_unwind.h - unwinding tables for code that was put into a vDSO
 */
#ifndef WEIR_PASSTHROUGH_IMAGE_UNWIND_H
#define WEIR_PASSTHROUGH_IMAGE_UNWIND_H

#include <stddef.h>
#include <stdint.h>

/* The code and the FDE that describes it: offsets in the image. */
struct unwind_code {
	uint32_t code, fde;
};

/**
 * image_unwind() - Make a search table that knows the new code as well
 * @image, @size: an ELF image, its offsets being its addresses
 * @at: where the table may go; behind all other code; four bytes aligned
 *
 * The program header of the table is made to lead there, and the segment to
 * reach to its end. The format is that of
 * .eh_frame_hdr in the Linux Standard Base, in the encodings that linkers use
 * and unwinders search: a table of signed 32-bit offsets from its own start.
 *
 * Return: bytes of the table; 0 if there is no table of this form, or no room:
 * then nothing has changed.
 */
size_t image_unwind(unsigned char *image, size_t size, uint32_t at, const struct unwind_code *new);

#endif
