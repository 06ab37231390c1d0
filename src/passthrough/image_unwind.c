/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_unwind.c - unwinding tables for code that was put into a vDSO
 *
 * An unwinder finds the FDE of an address by a table that the program header
 * PT_GNU_EH_FRAME leads to. There is no room behind the original table for one
 * entry more: a copy of it is made elsewhere, with the new entry at its end.
 */
#include "passthrough/image_unwind.h"

#include <elf.h>
#include <stdbool.h>
#include <string.h>

#define MAX_ENTRIES 256	/* a vDSO has a dozen functions */

/* Version 1; .eh_frame pc-relative, the count plain, the table from its start. */
static const unsigned char encoding[4] = { 1, 0x1b, 0x03, 0x3b };

struct entry {
	int32_t code, fde;	/* from the start of the table */
};

struct table {
	unsigned char encoding[4];
	int32_t eh_frame;	/* from this field */
	uint32_t count;
	struct entry entry[MAX_ENTRIES + 1];
};
#define HEAD_BYTES offsetof(struct table, entry)

/* What a field says when the table lies elsewhere. Any image may have any numbers
 * there: they wrap, as addresses do. */
static int32_t shifted(int32_t field, uint32_t by)
{
	return (int32_t)((uint32_t)field + by);
}

/* The first program header of a type, copied; its offset, or 0. */
static uint64_t find_header(const unsigned char *image, size_t size, uint32_t type, Elf64_Phdr *ret)
{
	Elf64_Ehdr eh;

	memcpy(&eh, image, sizeof(eh));
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		uint64_t at = eh.e_phoff + i * sizeof(*ret);

		if (at > size - sizeof(*ret))
			return 0;
		memcpy(ret, image + at, sizeof(*ret));
		if (ret->p_type == type)
			return at;
	}
	return 0;
}

static bool read_table(const unsigned char *image, size_t size, const Elf64_Phdr *ph,
		       struct table *ret)
{
	if (ph->p_vaddr > size || ph->p_filesz > size - ph->p_vaddr || ph->p_filesz < HEAD_BYTES)
		return false;
	memcpy(ret, image + ph->p_vaddr, HEAD_BYTES);
	if (memcmp(ret->encoding, encoding, sizeof(encoding)) || ret->count > MAX_ENTRIES ||
	    HEAD_BYTES + ret->count * sizeof(struct entry) > ph->p_filesz)
		return false;
	memcpy(ret->entry, image + ph->p_vaddr + HEAD_BYTES, ret->count * sizeof(struct entry));
	return true;
}

size_t image_unwind(unsigned char *image, size_t size, uint32_t at, const struct unwind_code *new)
{
	struct table t;
	Elf64_Phdr ph, load;
	uint64_t header = find_header(image, size, PT_GNU_EH_FRAME, &ph);
	uint64_t load_header = find_header(image, size, PT_LOAD, &load);
	uint32_t moved;
	size_t bytes;

	if (!header || !load_header || !read_table(image, size, &ph, &t))
		return 0;
	bytes = HEAD_BYTES + (t.count + 1) * sizeof(struct entry);
	if (at > size || bytes > size - at)
		return 0;
	moved = (uint32_t)ph.p_vaddr - at;
	t.eh_frame = shifted(t.eh_frame, moved);
	for (uint32_t i = 0; i < t.count; i++) {
		t.entry[i].code = shifted(t.entry[i].code, moved);
		t.entry[i].fde = shifted(t.entry[i].fde, moved);
	}
	t.entry[t.count].code = new->code - at;
	t.entry[t.count].fde = new->fde - at;
	t.count++;
	memcpy(image + at, &t, bytes);
	ph.p_offset = ph.p_vaddr = ph.p_paddr = at;
	ph.p_filesz = ph.p_memsz = bytes;
	memcpy(image + header, &ph, sizeof(ph));
	/* An address outside of the segment would be nobody's. */
	load.p_filesz = load.p_memsz = at + bytes - load.p_vaddr;
	memcpy(image + load_header, &load, sizeof(load));
	return bytes;
}
