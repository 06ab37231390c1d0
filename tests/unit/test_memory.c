/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_memory.c - the strict budget's arithmetic, sizes of a tmpfs, and what the host counts
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/memory/tmpfs.h"
#include "kernel/util.h"
#include "mmu/budget.h"
#include "mmu/physmem.h"
#include "mmu/usage.h"
#include "passthrough/hostcall.h"

#define MIB (UINT64_C(1) << 20)

/* A host that has counted @bytes, so often. */
struct host {
	uint64_t bytes;
	unsigned asked;
};

static int count(void *ctx, uint64_t *ret)
{
	struct host *h = ctx;

	h->asked++;
	*ret = h->bytes;
	return 0;
}

/* A thread that does not exist is through with every call. */
#define GONE 0x7ffffff0

static void grants_are_summed_until_they_do_not_fit(void **state)
{
	struct host host = { 10 * MIB, 0 };
	struct budget b;

	budget_init(&b, 100 * MIB, count, &host);
	assert_int_equal(budget_try(&b, GONE, SYS_mmap, 60 * MIB), 0);
	assert_int_equal(budget_try(&b, GONE, SYS_mmap, 50 * MIB), -EAGAIN);
	assert_int_equal(host.asked, 0);
	/* The host has not seen the first: it was given back. */
	assert_int_equal(budget_charge(&b, GONE, SYS_mmap, 50 * MIB, 0), 0);
	assert_int_equal(host.asked, 1);
	/* 10 and 50 are there now. */
	host.bytes = 60 * MIB;
	assert_int_equal(budget_charge(&b, GONE, SYS_mmap, 41 * MIB, 0), -ENOMEM);
	assert_int_equal(budget_charge(&b, GONE, SYS_mmap, 40 * MIB, 0), 0);
	assert_int_equal(budget_refused(&b), 1);
	budget_exit(&b);
}

static void what_is_replaced_is_not_added(void **state)
{
	struct host host = { 80 * MIB, 0 };
	struct budget b;

	budget_init(&b, 100 * MIB, count, &host);
	assert_int_equal(budget_used(&b), 80 * MIB);
	assert_int_equal(budget_charge(&b, GONE, SYS_mmap, 60 * MIB, 0), -ENOMEM);
	assert_int_equal(budget_charge(&b, GONE, SYS_mmap, 60 * MIB, 60 * MIB), 0);
	/* More than there is in one call, whatever it replaces. */
	assert_int_equal(budget_charge(&b, GONE, SYS_mmap, 200 * MIB, 200 * MIB), -ENOMEM);
	assert_int_equal(budget_charge(&b, GONE, SYS_mmap, UINT64_MAX, 0), -ENOMEM);
	budget_exit(&b);
}

static pid_t caller;

static int begin_caller(void **state)
{
	caller = fork();
	if (caller == 0)
		pause();
	return caller < 0;
}

static int end_caller(void **state)
{
	kill(caller, SIGKILL);
	return waitpid(caller, NULL, 0) != caller;
}

/* A thread that sleeps in the very call is not through with it. */
static void a_call_under_way_counts_beside_what_the_host_has(void **state)
{
	struct host host = { 0, 0 };
	char path[32], text[64] = "";
	struct budget b;

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)caller);
	while (strtol(text, NULL, 10) != SYS_pause && host_read_file(AT_FDCWD, path, text, sizeof(text)) >= 0)
		sched_yield();

	budget_init(&b, 100 * MIB, count, &host);
	assert_int_equal(budget_try(&b, caller, SYS_pause, 60 * MIB), 0);
	assert_int_equal(budget_resize(&b, 50 * MIB), -EBUSY);
	assert_int_equal(b.ngrants, 1);
	/* With its next one the last is over. */
	assert_int_equal(budget_try(&b, caller, SYS_pause, 0), 0);
	assert_int_equal(budget_resize(&b, 50 * MIB), 0);
	assert_int_equal(budget_try(&b, GONE, SYS_mmap, 51 * MIB), -EAGAIN);
	budget_exit(&b);
}

static void sizes_of_a_tmpfs(void **state)
{
	static const struct {
		const char *before;
		bool hard, always;
		const char *after;
	} cases[] = {
		{ "", false, true, "size=1048576" },
		{ "", false, false, "" },
		{ "mode=700", false, true, "mode=700,size=1048576" },
		{ "size=2m", false, true, "size=2m" },
		{ "size=2m", true, true, "size=2m,size=1048576" },
		{ "size=1M,mode=700", true, true, "size=1M,mode=700" },
		{ "size=1023k", true, false, "size=1023k" },
		{ "size=1k,size=1g", true, false, "size=1k,size=1g,size=1048576" },
		{ "size=50%", true, false, "size=50%,size=1048576" },
		{ "size=0", true, false, "size=0,size=1048576" },
		{ "size=99999999999999999999t", true, false,
		  "size=99999999999999999999t,size=1048576" },
		{ "nr_blocks=4", true, false, "nr_blocks=4,size=1048576" },
		{ "xsize=9g", true, false, "xsize=9g" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char data[64];

		strcpy(data, cases[i].before);
		tmpfs_bound(data, sizeof(data), MIB, cases[i].hard, cases[i].always);
		assert_string_equal(data, cases[i].after);
	}
}

static void a_size_that_does_not_fit_is_not_cut(void **state)
{
	char data[12] = "mode=700";

	assert_false(tmpfs_bound(data, sizeof(data), MIB, true, true));
	assert_string_equal(data, "mode=700");
}

static void what_is_mapped_is_counted(void **state)
{
	struct usage_process before, after;
	struct usage u = { .with_shared = true };
	char *p, *s;

	assert_int_equal(usage_process(getpid(), getpid(), &before), 0);
	p = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	s = mmap(NULL, 32 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(p != MAP_FAILED && s != MAP_FAILED);
	assert_int_equal(usage_process(getpid(), getpid(), &after), 0);
	assert_int_equal(after.data - before.data, 64 * MIB);
	assert_int_equal(usage_private_within(getpid(), (uintptr_t)p, 64 * MIB), 64 * MIB);
	assert_int_equal(usage_private_within(getpid(), (uintptr_t)s, 32 * MIB), 0);
	assert_int_equal(mprotect(p, 16 * MIB, PROT_READ), 0);
	assert_int_equal(usage_private_within(getpid(), (uintptr_t)p, 64 * MIB), 48 * MIB);
	usage_add(&u, getpid(), getpid());
	usage_add(&u, getpid(), getpid());
	assert_int_equal(u.n, 1);
	assert_true(u.shared_bytes >= 32 * MIB);
	usage_clear(&u);
	munmap(p, 64 * MIB);
	munmap(s, 32 * MIB);
}

static void growth_of_the_break(void **state)
{
	uintptr_t now = (uintptr_t)sbrk(4096);

	assert_true(now != (uintptr_t)-1);
	now = ((uintptr_t)sbrk(0) + 4095) & ~(uintptr_t)4095;
	assert_int_equal(usage_break_growth(getpid(), now), 0);
	assert_int_equal(usage_break_growth(getpid(), now + MIB), MIB);
	assert_int_equal(usage_break_growth(getpid(), 4096), 0);
}

static void an_area_has_the_pages_that_were_written(void **state)
{
	struct physmem p = {};
	int fd = physmem_add(&p, "ubd0", 4 * MIB);

	assert_true(fd >= 0);
	assert_int_equal(physmem_resident(&p.area[0]), 0);
	assert_int_equal(pwrite(fd, "x", 1, 2 * MIB), 1);
	assert_int_equal(pwrite(fd, "x", 1, 4 * MIB - 1), 1);
	assert_int_equal(physmem_resident(&p.area[0]), 8192);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * MIB, 4096), 0);
	assert_int_equal(physmem_resident(&p.area[0]), 4096);
	assert_int_equal(host_result(ftruncate(fd, 8 * MIB)), -EPERM);
	assert_int_equal(host_result(pwrite(fd, "x", 1, 4 * MIB)), -EPERM);
	for (unsigned i = 1; i < PHYSMEM_MAX_AREAS; i++)
		assert_true(physmem_add(&p, "more", MIB) >= 0);
	assert_int_equal(physmem_add(&p, "one too many", MIB), -ENOSPC);
	physmem_exit(&p);
	assert_int_equal(p.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grants_are_summed_until_they_do_not_fit),
		cmocka_unit_test(what_is_replaced_is_not_added),
		cmocka_unit_test_setup_teardown(a_call_under_way_counts_beside_what_the_host_has,
						begin_caller, end_caller),
		cmocka_unit_test(sizes_of_a_tmpfs),
		cmocka_unit_test(a_size_that_does_not_fit_is_not_cut),
		cmocka_unit_test(what_is_mapped_is_counted),
		cmocka_unit_test(growth_of_the_break),
		cmocka_unit_test(an_area_has_the_pages_that_were_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
