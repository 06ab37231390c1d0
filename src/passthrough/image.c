/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.c - the changed vDSO
 *
 * Our code goes into the unused bytes behind the end of the ELF file, up to
 * the end of its last page, or, if that is too little, over the section
 * headers, which nobody needs at run time. Then the dynamic symbols of three
 * functions are made to lead to it. No byte of the original code changes: our
 * code calls it, and breakpoints and unwinding in it keep working.
 *
 * Without room the functions themselves are overwritten by the system call,
 * which is trapped: slower, and the same answers.
 *
 * The image is the host's, but is parsed as if it were not: each offset is
 * checked, and what does not look like a vDSO is refused.
 */
#include "passthrough/image.h"

#include <asm/unistd.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/util.h"
#include "passthrough/image_unwind.h"

#define PAGE_BYTES 4096
#define MAX_SYMBOLS 256
#define JUMP_BYTES 5	/* jmp rel32 */
#define UNWIND_BYTES 160	/* a search table of 18 functions: hosts of today have half as many */

/* What is to be redirected: each function has two names. */
enum { GETTIME, GETTIMEOFDAY, TIME, NUM_FUNCTIONS };
static const struct {
	const char *name, *alias;
	uint8_t nr;
} functions[NUM_FUNCTIONS] = {
	[GETTIME] = { "__vdso_clock_gettime", "clock_gettime", __NR_clock_gettime },
	[GETTIMEOFDAY] = { "__vdso_gettimeofday", "gettimeofday", __NR_gettimeofday },
	[TIME] = { "__vdso_time", "time", __NR_time },
};
_Static_assert(__NR_clock_gettime < 256 && __NR_gettimeofday < 256 && __NR_time < 256,
	       "the stubs have one byte for the number");

/* An ELF image while it is looked at. */
struct vdso {
	const unsigned char *bytes;
	size_t size;
	Elf64_Ehdr eh;
	uint64_t load_end;	/* of the bytes that PT_LOAD names */
	uint64_t file_end;	/* of the file, section headers included */
	uint64_t dynamic, dynamic_end;
	uint64_t symbols, nsymbols, strings;
	uint64_t function[NUM_FUNCTIONS], function_size[NUM_FUNCTIONS];
};

static bool inside(const struct vdso *v, uint64_t at, uint64_t len)
{
	return at <= v->size && len <= v->size - at;
}

/* Structures may lie unaligned in what we are given. */
static bool load(const struct vdso *v, uint64_t at, void *to, size_t len)
{
	if (!inside(v, at, len))
		return false;
	memcpy(to, v->bytes + at, len);
	return true;
}

static const char *parse_header(struct vdso *v)
{
	uint64_t sections;

	if (!load(v, 0, &v->eh, sizeof(v->eh)) || memcmp(v->eh.e_ident, ELFMAG, SELFMAG) ||
	    v->eh.e_ident[EI_CLASS] != ELFCLASS64 || v->eh.e_ident[EI_DATA] != ELFDATA2LSB ||
	    v->eh.e_machine != EM_X86_64 || v->eh.e_type != ET_DYN)
		return "the vDSO is no ELF image for x86-64";
	if (v->eh.e_phentsize != sizeof(Elf64_Phdr) || v->eh.e_phnum > 32)
		return "the vDSO has strange program headers";
	for (unsigned i = 0; i < v->eh.e_phnum; i++) {
		Elf64_Phdr ph;

		if (!load(v, v->eh.e_phoff + i * sizeof(ph), &ph, sizeof(ph)))
			return "the vDSO's program headers are not in it";
		if (!inside(v, ph.p_offset, ph.p_filesz))
			return "a segment of the vDSO is not in it";
		/* Offsets and addresses are used for each other below. */
		if (ph.p_type == PT_LOAD && (ph.p_vaddr != ph.p_offset || v->load_end))
			return "the vDSO is not loaded as one piece at its offsets";
		if (ph.p_type == PT_LOAD)
			v->load_end = ph.p_offset + ph.p_filesz;
		if (ph.p_type == PT_DYNAMIC) {
			v->dynamic = ph.p_offset;
			v->dynamic_end = ph.p_offset + ph.p_filesz;
		}
	}
	if (!v->load_end || !v->dynamic)
		return "the vDSO has no segments";
	sections = (uint64_t)v->eh.e_shnum * v->eh.e_shentsize;
	if (!inside(v, v->eh.e_shoff, sections))
		return "the vDSO's section headers are not in it";
	v->file_end = MAX(v->load_end, v->eh.e_shoff + sections);
	return NULL;
}

/* DT_HASH has the number of symbols; without it, they end where the strings begin. */
static const char *parse_dynamic(struct vdso *v)
{
	uint64_t hash = 0;
	uint32_t count[2];

	for (uint64_t at = v->dynamic; at + sizeof(Elf64_Dyn) <= v->dynamic_end;
	     at += sizeof(Elf64_Dyn)) {
		Elf64_Dyn d;

		if (!load(v, at, &d, sizeof(d)) || d.d_tag == DT_NULL)
			break;
		if (d.d_tag == DT_SYMTAB)
			v->symbols = d.d_un.d_ptr;
		else if (d.d_tag == DT_STRTAB)
			v->strings = d.d_un.d_ptr;
		else if (d.d_tag == DT_HASH)
			hash = d.d_un.d_ptr;
	}
	if (!v->symbols || !v->strings)
		return "the vDSO has no dynamic symbols";
	if (hash && load(v, hash, count, sizeof(count)))
		v->nsymbols = count[1];
	else if (v->strings > v->symbols)
		v->nsymbols = (v->strings - v->symbols) / sizeof(Elf64_Sym);
	if (!v->nsymbols || v->nsymbols > MAX_SYMBOLS ||
	    !inside(v, v->symbols, v->nsymbols * sizeof(Elf64_Sym)))
		return "the vDSO's symbols are not in it";
	return NULL;
}

static bool named(const struct vdso *v, const Elf64_Sym *s, const char *name)
{
	uint64_t at = v->strings + s->st_name;
	size_t len = strlen(name) + 1;

	return at >= v->strings && inside(v, at, len) && memcmp(v->bytes + at, name, len) == 0;
}

/* Which of the functions a symbol is, or -1. */
static int function_of(const struct vdso *v, const Elf64_Sym *s)
{
	if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || s->st_shndx == SHN_UNDEF)
		return -1;
	for (int f = 0; f < NUM_FUNCTIONS; f++)
		if (named(v, s, functions[f].name) || named(v, s, functions[f].alias))
			return f;
	return -1;
}

static const char *parse_symbols(struct vdso *v)
{
	for (uint64_t i = 0; i < v->nsymbols; i++) {
		Elf64_Sym s;
		int f;

		load(v, v->symbols + i * sizeof(s), &s, sizeof(s));
		f = function_of(v, &s);
		if (f < 0)
			continue;
		if (s.st_value >= v->load_end || !inside(v, s.st_value, s.st_size))
			return "a function of the vDSO is not in it";
		if (v->function[f] && v->function[f] != s.st_value)
			return "the vDSO has two functions of one name";
		v->function[f] = s.st_value;
		v->function_size[f] = s.st_size;
	}
	for (int f = 0; f < NUM_FUNCTIONS; f++)
		if (!v->function[f])
			return "the vDSO lacks a function that reads the clock";
	return NULL;
}

/* ---- the changes -------------------------------------------------------- */

/* Note that bytes have changed; neighbours are joined. */
static void add_extent(struct image *im, uint32_t at, uint32_t len)
{
	struct image_extent *last = im->nextents ? &im->extent[im->nextents - 1] : NULL;

	if (last && at >= last->at && at / PAGE_BYTES == last->at / PAGE_BYTES) {
		last->len = MAX(last->at + last->len, at + len) - last->at;
		return;
	}
	im->extent[im->nextents++] = (struct image_extent){ at, len };
}

/* The unused bytes where the code goes. */
static const char *find_room(struct image *im, const struct vdso *v, size_t need)
{
	uint64_t at = (v->file_end + 15) & ~UINT64_C(15);
	Elf64_Ehdr eh = v->eh;

	im->head = at;
	if (at + need <= v->size)
		return NULL;
	at = (v->load_end + 15) & ~UINT64_C(15);
	if (at + need > v->size)
		return "the vDSO has no room left";
	im->head = at;
	eh.e_shoff = eh.e_shnum = eh.e_shstrndx = 0;
	memcpy(im->changed, &eh, sizeof(eh));
	return NULL;
}

static void redirect(struct image *im, const struct vdso *v, const uint64_t to[NUM_FUNCTIONS])
{
	uint64_t first = UINT64_MAX, end = 0;

	for (uint64_t i = 0; i < v->nsymbols; i++) {
		uint64_t at = v->symbols + i * sizeof(Elf64_Sym);
		Elf64_Sym s;
		int f;

		load(v, at, &s, sizeof(s));
		f = function_of(v, &s);
		if (f < 0)
			continue;
		s.st_value = to[f];
		memcpy(im->changed + at, &s, sizeof(s));
		first = MIN(first, at);
		end = MAX(end, at + sizeof(s));
	}
	if (memcmp(im->changed, im->original, sizeof(Elf64_Ehdr)))
		add_extent(im, 0, sizeof(Elf64_Ehdr));
	if (im->unwinds)
		add_extent(im, v->eh.e_phoff, v->eh.e_phnum * sizeof(Elf64_Phdr));
	add_extent(im, first, end - first);
}

/* The tables of vdso_return.S, if there is room for them: without, nothing but
 * the code that they describe is not used. Return: bytes that they take. */
static size_t put_unwind(struct image *im, const struct vclock_head *h)
{
	struct unwind_code new = { im->head + h->back[0], im->head + h->eh_frame };
	uint32_t at = (im->head + h->size + 7) & ~7u, cie;
	size_t bytes;

	/* The FDE is behind the CIE, whose length comes first. */
	memcpy(&cie, im->changed + new.fde, sizeof(cie));
	new.fde += sizeof(cie) + cie;
	bytes = image_unwind(im->changed, im->size, at, &new);
	im->unwinds = bytes > 0;
	for (int i = 0; i < NUM_VCLOCK_BACK && im->unwinds; i++)
		im->back[i] = im->head + h->back[i];
	return bytes ? at + bytes - im->head : h->size;
}

/* The code first and the symbols last: a symbol never leads to nothing. */
static const char *put_code(struct image *im, const struct vdso *v, const void *code, size_t size)
{
	struct vclock_head h;
	uint64_t to[NUM_FUNCTIONS];
	const char *why;
	int32_t distance;

	if (size < sizeof(h))
		return "the code for the vDSO is incomplete";
	memcpy(&h, code, sizeof(h));
	if (h.magic != VCLOCK_MAGIC || h.size != size || h.gettime >= size ||
	    h.gettimeofday >= size || h.time >= size || h.original + JUMP_BYTES > size ||
	    h.eh_frame >= size || h.back[0] >= size)
		return "the code for the vDSO is not as expected";
	why = find_room(im, v, size + UNWIND_BYTES);
	if (why)
		why = find_room(im, v, size);
	if (why)
		return why;
	im->head_size = size;
	memcpy(im->changed + im->head, code, size);
	distance = (int32_t)(v->function[GETTIME] - (im->head + h.original + JUMP_BYTES));
	im->changed[im->head + h.original] = 0xe9;
	memcpy(im->changed + im->head + h.original + 1, &distance, sizeof(distance));
	add_extent(im, im->head, put_unwind(im, &h));
	to[GETTIME] = im->gettime = im->head + h.gettime;
	to[GETTIMEOFDAY] = im->gettimeofday = im->head + h.gettimeofday;
	to[TIME] = im->time = im->head + h.time;
	redirect(im, v, to);
	return NULL;
}

/* mov $nr, %eax; syscall; ret */
static const char *put_stubs(struct image *im, const struct vdso *v)
{
	for (int f = 0; f < NUM_FUNCTIONS; f++) {
		const unsigned char stub[] = { 0xb8, functions[f].nr, 0, 0, 0, 0x0f, 0x05, 0xc3 };

		if (v->function_size[f] < sizeof(stub))
			return "a function of the vDSO is too short for a system call";
		memcpy(im->changed + v->function[f], stub, sizeof(stub));
		im->extent[im->nextents++] =
			(struct image_extent){ v->function[f], sizeof(stub) };
	}
	im->gettime = v->function[GETTIME];
	im->gettimeofday = v->function[GETTIMEOFDAY];
	im->time = v->function[TIME];
	return NULL;
}
_Static_assert(NUM_FUNCTIONS <= IMAGE_MAX_EXTENTS, "an extent for each stub");

/* Where the original code makes system calls itself: it does if the host's clock
 * source cannot be read without one. What only looks like one does no harm. */
static void find_calls(struct image *im, const struct vdso *v)
{
	for (uint64_t i = 0; i + 1 < v->load_end && im->ncalls < IMAGE_MAX_CALLS; i++)
		if (v->bytes[i] == 0x0f && v->bytes[i + 1] == 0x05)
			im->call[im->ncalls++] = i + 2;
}

int image_prepare(struct image *im, enum image_how how, const void *vdso, size_t size,
		  const void *code, size_t code_size, const char **why)
{
	struct vdso v = { .bytes = vdso, .size = size };

	*im = (struct image){ .how = how, .size = size };
	*why = NULL;
	if (size == 0 || size > IMAGE_MAX_BYTES || size % PAGE_BYTES)
		*why = "the vDSO has a strange size";
	if (!*why)
		*why = parse_header(&v);
	if (!*why)
		*why = parse_dynamic(&v);
	if (!*why)
		*why = parse_symbols(&v);
	if (*why)
		return -ENOEXEC;
	im->original = malloc(size);
	im->changed = malloc(size);
	if (!im->original || !im->changed) {
		image_free(im);
		*why = "no memory";
		return -ENOMEM;
	}
	memcpy(im->original, vdso, size);
	memcpy(im->changed, vdso, size);
	find_calls(im, &v);
	*why = how == IMAGE_READS ? put_code(im, &v, code, code_size) : put_stubs(im, &v);
	for (unsigned i = 0; i < im->nextents; i++)
		if (im->extent[i].len > IMAGE_MAX_CHANGE)
			*why = "the vDSO has its symbols too far apart";
	if (!*why)
		return 0;
	image_free(im);
	return -ENOSPC;
}

void image_free(struct image *im)
{
	free(im->original);
	free(im->changed);
	*im = (struct image){ 0 };
}

bool image_original_call(const struct image *im, uint64_t ip, uint64_t *ret_base)
{
	for (unsigned i = 0; i < im->ncalls; i++) {
		if ((ip - im->call[i]) % PAGE_BYTES)
			continue;
		*ret_base = ip - im->call[i];
		return true;
	}
	return false;
}
