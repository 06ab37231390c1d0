/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_image.c - the changed vDSO: this host's, and images that are not right
 *
 * Each field of this host's image that the patcher relies on is broken in
 * turn; what comes out is refused or whole, and nothing is read outside of it
 * (run it with the sanitizers to see that).
 */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#include "kernel/time/time.h"
#include "kernel/util.h"
#include "passthrough/embedded.h"
#include "passthrough/image.h"

extern const struct embedded_file vdso_files[];

static unsigned char *vdso;	/* a copy of ours that tests may break */
static size_t size;

static int setup(void **state)
{
	const void *own;
	ssize_t n = image_own(&own);

	if (n < 0)
		return -1;
	size = n;
	vdso = malloc(size);
	memcpy(vdso, own, size);
	return 0;
}

static int teardown(void **state)
{
	free(vdso);
	return 0;
}

static int prepare_as(enum image_how how)
{
	struct image im;
	const char *why;
	int ret = image_prepare(&im, how, vdso, size, vdso_files[0].data, vdso_files[0].size, &why);

	if (ret == 0) {
		assert_memory_equal(im.original, vdso, size);
		image_free(&im);
	} else {
		assert_non_null(why);
		assert_null(im.changed);
	}
	return ret;
}

static int prepare(void)
{
	int ret = prepare_as(IMAGE_READS);

	prepare_as(IMAGE_STUBS);
	return ret;
}

static Elf64_Ehdr *header(void)
{
	return (Elf64_Ehdr *)vdso;
}

static Elf64_Phdr *segment(uint32_t type)
{
	Elf64_Phdr *ph = (Elf64_Phdr *)(vdso + header()->e_phoff);

	for (unsigned i = 0; i < header()->e_phnum; i++)
		if (ph[i].p_type == type)
			return &ph[i];
	fail_msg("no segment of type %u", type);
	return NULL;
}

static Elf64_Dyn *dynamic(int64_t tag)
{
	Elf64_Dyn *d = (Elf64_Dyn *)(vdso + segment(PT_DYNAMIC)->p_offset);

	for (; d->d_tag != DT_NULL; d++)
		if (d->d_tag == tag)
			return d;
	return NULL;
}

static Elf64_Sym *symbol(const char *name)
{
	Elf64_Sym *s = (Elf64_Sym *)(vdso + dynamic(DT_SYMTAB)->d_un.d_ptr);
	const char *strings = (const char *)vdso + dynamic(DT_STRTAB)->d_un.d_ptr;

	for (; strcmp(strings + s->st_name, name); s++)
		;
	return s;
}

/* ---- this host's -------------------------------------------------------- */

/* Outside of what is said to change nothing does. */
static void test_only_the_extents_change(void **state)
{
	for (int how = IMAGE_READS; how <= IMAGE_STUBS; how++) {
		struct image im;
		const char *why;

		assert_int_equal(image_prepare(&im, how, vdso, size, vdso_files[0].data,
					       vdso_files[0].size, &why), 0);
		for (size_t i = 0; i < size; i++) {
			bool in = false;

			for (unsigned k = 0; k < im.nextents; k++)
				in |= i - im.extent[k].at < im.extent[k].len && i >= im.extent[k].at;
			if (!in)
				assert_int_equal(im.changed[i], im.original[i]);
		}
		image_free(&im);
	}
}

static uint64_t end_of_code(void)
{
	const Elf64_Phdr *load = segment(PT_LOAD);

	return load->p_offset + load->p_filesz;
}

/* No byte of code or data that the host's functions use. */
static void test_the_code_goes_behind_the_end(void **state)
{
	struct image im;
	const char *why;

	assert_int_equal(image_prepare(&im, IMAGE_READS, vdso, size, vdso_files[0].data,
				       vdso_files[0].size, &why), 0);
	assert_true(im.head >= end_of_code());
	assert_true(im.head + im.head_size <= size);
	assert_true(im.gettime >= im.head && im.gettime < im.head + im.head_size);
	image_free(&im);
}

/* A scratch process reads all clocks through it: with an offset, a rate, frozen,
 * while the page is being changed; by our code and by stubs. */
static void test_a_scratch_process_reads_it(void **state)
{
	static const uint64_t rates[] = { POLICY_RATE_ONE, 10 * POLICY_RATE_ONE, 100000000, 0 };
	struct vclock_page *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	for (int how = IMAGE_READS; how <= IMAGE_STUBS; how++) {
		struct image im;
		const char *why;

		assert_int_equal(image_prepare(&im, how, vdso, size, vdso_files[0].data,
					       vdso_files[0].size, &why), 0);
		for (size_t i = 0; i < ARRAY_SIZE(rates) + 1; i++) {
			struct policy_clock p = { .realtime = REALTIME_OFFSET,
						  .ns = 86400 * (int64_t)NSEC_PER_SEC,
						  .rate = rates[i % ARRAY_SIZE(rates)] };
			struct time_host h = { INT64_C(1795500000) * NSEC_PER_SEC, 1000, 1000, 1000 };
			struct time_model m;

			assert_int_equal(time_model_init(&m, &p, &h), 0);
			memcpy(page->map, m.map, sizeof(m.map));
			page->tai_sec = 37;
			page->seq = i == ARRAY_SIZE(rates);
			if (image_try(&im, page, &why))
				fail_msg("how %d, rate %zu: %s", how, i, why);
		}
		image_free(&im);
	}
	munmap(page, 4096);
}

/* And a page with a wrong map would be noticed. */
static void test_the_scratch_process_would_notice(void **state)
{
	unsigned char wrong[4096];
	struct vclock_page *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct image im;
	const char *why;

	memcpy(wrong, vdso_files[0].data, vdso_files[0].size);
	assert_int_equal(image_prepare(&im, IMAGE_READS, vdso, size, wrong, vdso_files[0].size, &why),
			 0);
	/* its functions return at once, having read nothing */
	memset(im.changed + im.gettime, 0xc3, 16);
	assert_int_equal(image_try(&im, page, &why), -EPROTO);
	/* and here they crash */
	memset(im.changed + im.gettime, 0xcc, 16);
	assert_int_equal(image_try(&im, page, &why), -EPROTO);
	image_free(&im);
	munmap(page, 4096);
}

static void test_room_over_the_section_headers(void **state)
{
	struct image im;
	const char *why;

	/* As if the file ended with the page: only what PT_LOAD does not name is left. */
	header()->e_shoff = size - (uint64_t)header()->e_shnum * header()->e_shentsize;
	assert_int_equal(image_prepare(&im, IMAGE_READS, vdso, size, vdso_files[0].data,
				       vdso_files[0].size, &why), 0);
	assert_int_equal(((Elf64_Ehdr *)im.changed)->e_shnum, 0);
	assert_int_equal(((Elf64_Ehdr *)im.changed)->e_shoff, 0);
	image_free(&im);
}

/* Then there are stubs. */
static void test_no_room(void **state)
{
	segment(PT_LOAD)->p_filesz = size - 100;
	assert_int_equal(prepare_as(IMAGE_READS), -ENOSPC);
	assert_int_equal(prepare_as(IMAGE_STUBS), 0);
}

static void test_original_calls(void **state)
{
	struct image im;
	const char *why;
	uint64_t base;

	assert_int_equal(image_prepare(&im, IMAGE_READS, vdso, size, vdso_files[0].data,
				       vdso_files[0].size, &why), 0);
	assert_true(im.ncalls > 0);
	assert_true(image_original_call(&im, 0x7fff12345000 + im.call[0], &base));
	assert_int_equal(base, 0x7fff12345000);
	assert_false(image_original_call(&im, 0x7fff12345000 + im.head + 1, &base));
	image_free(&im);
}

/* ---- images that are not right ------------------------------------------ */

static void test_no_elf(void **state)
{
	memset(vdso, 0, size);
	assert_int_equal(prepare(), -ENOEXEC);
	memset(vdso, 0xff, size);
	assert_int_equal(prepare(), -ENOEXEC);
}

static void test_wrong_size(void **state)
{
	size_t whole = size;

	size = 0;
	assert_int_equal(prepare(), -ENOEXEC);
	size = whole - 1;
	assert_int_equal(prepare(), -ENOEXEC);
	size = 4096;	/* the rest is missing */
	assert_int_equal(prepare(), -ENOEXEC);
}

static void test_another_machine(void **state)
{
	header()->e_machine = EM_386;
	assert_int_equal(prepare(), -ENOEXEC);
	header()->e_machine = EM_X86_64;
	header()->e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(prepare(), -ENOEXEC);
}

static void test_program_headers_elsewhere(void **state)
{
	static const uint64_t bad[] = { UINT64_MAX, UINT64_MAX - 50, 1 << 20 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		header()->e_phoff = bad[i];
		assert_int_equal(prepare(), -ENOEXEC);
	}
	header()->e_phoff = size - 8;
	assert_int_equal(prepare(), -ENOEXEC);
}

static void test_many_program_headers(void **state)
{
	header()->e_phnum = 0xffff;
	assert_int_equal(prepare(), -ENOEXEC);
	header()->e_phnum = 0;
	assert_int_equal(prepare(), -ENOEXEC);
}

static void test_a_segment_elsewhere(void **state)
{
	segment(PT_LOAD)->p_filesz = UINT64_MAX;
	assert_int_equal(prepare(), -ENOEXEC);
	segment(PT_LOAD)->p_filesz = size - 1000;
	segment(PT_LOAD)->p_vaddr = 0x1000;
	assert_int_equal(prepare(), -ENOEXEC);
}

static void test_no_dynamic_section(void **state)
{
	segment(PT_DYNAMIC)->p_type = PT_NULL;
	assert_int_equal(prepare(), -ENOEXEC);
}

static void test_symbols_elsewhere(void **state)
{
	uint64_t *at = &dynamic(DT_SYMTAB)->d_un.d_ptr;

	*at = UINT64_MAX - 8;
	assert_int_equal(prepare(), -ENOEXEC);
	*at = size - 24;
	assert_int_equal(prepare(), -ENOEXEC);
	*at = 0;
	assert_int_equal(prepare(), -ENOEXEC);
}

static void test_strings_elsewhere(void **state)
{
	uint64_t *at = &dynamic(DT_STRTAB)->d_un.d_ptr;

	*at = UINT64_MAX - 8;
	assert_int_equal(prepare(), -ENOEXEC);
	*at = size - 2;
	assert_int_equal(prepare(), -ENOEXEC);
}

static void test_a_name_elsewhere(void **state)
{
	Elf64_Sym *name = symbol("__vdso_time"), *alias = symbol("time");

	name->st_name = UINT32_MAX;
	alias->st_name = size - 1;
	assert_int_equal(prepare(), -ENOEXEC);
}

static void test_a_function_elsewhere(void **state)
{
	uint64_t right = symbol("__vdso_time")->st_value;

	symbol("__vdso_time")->st_value = size + 1000;
	assert_int_equal(prepare(), -ENOEXEC);
	symbol("__vdso_time")->st_value = right;
	symbol("__vdso_time")->st_size = UINT64_MAX;
	assert_int_equal(prepare(), -ENOEXEC);
}

static void test_two_functions_of_one_name(void **state)
{
	symbol("time")->st_value += 16;
	assert_int_equal(prepare(), -ENOEXEC);
}

static void test_a_function_missing(void **state)
{
	symbol("__vdso_clock_gettime")->st_shndx = SHN_UNDEF;
	symbol("clock_gettime")->st_shndx = SHN_UNDEF;
	assert_int_equal(prepare(), -ENOEXEC);
}

static void test_a_function_too_short_for_a_stub(void **state)
{
	symbol("__vdso_time")->st_size = symbol("time")->st_size = 7;
	assert_int_equal(prepare_as(IMAGE_STUBS), -ENOSPC);
	assert_int_equal(prepare_as(IMAGE_READS), 0);
}

static void test_code_that_is_not_ours(void **state)
{
	unsigned char code[4096] = { 0 };
	struct vclock_head *h = (struct vclock_head *)code;
	size_t n = vdso_files[0].size;
	const char *why;
	struct image im;

	assert_int_equal(image_prepare(&im, IMAGE_READS, vdso, size, code, 3, &why), -ENOSPC);
	memcpy(code, vdso_files[0].data, n);
	h->magic++;
	assert_int_equal(image_prepare(&im, IMAGE_READS, vdso, size, code, n, &why), -ENOSPC);
	memcpy(code, vdso_files[0].data, n);
	h->original = n - 4;
	assert_int_equal(image_prepare(&im, IMAGE_READS, vdso, size, code, n, &why), -ENOSPC);
}

/* Every byte of the image's tables, with a few values each: refused or whole. */
static void test_any_byte_of_the_tables(void **state)
{
	static const unsigned char values[] = { 0, 0x7f, 0x80, 0xff };
	size_t end = MIN(size, 4096);

	for (size_t i = 0; i < end; i++) {
		unsigned char was = vdso[i];

		for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
			vdso[i] = values[k];
			prepare();
		}
		vdso[i] = was;
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_only_the_extents_change),
		TEST(test_the_code_goes_behind_the_end),
		TEST(test_a_scratch_process_reads_it),
		TEST(test_the_scratch_process_would_notice),
		TEST(test_room_over_the_section_headers),
		TEST(test_no_room),
		TEST(test_original_calls),
		TEST(test_no_elf),
		TEST(test_wrong_size),
		TEST(test_another_machine),
		TEST(test_program_headers_elsewhere),
		TEST(test_many_program_headers),
		TEST(test_a_segment_elsewhere),
		TEST(test_no_dynamic_section),
		TEST(test_symbols_elsewhere),
		TEST(test_strings_elsewhere),
		TEST(test_a_name_elsewhere),
		TEST(test_a_function_elsewhere),
		TEST(test_two_functions_of_one_name),
		TEST(test_a_function_missing),
		TEST(test_a_function_too_short_for_a_stub),
		TEST(test_code_that_is_not_ours),
		TEST(test_any_byte_of_the_tables),
	};

	return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
