/* SPDX-License-Identifier: Apache-2.0 */
/*
 * games.c - ways to have more private memory than a strict budget of LIMIT MiB
 *
 * games LIMIT group: the same where a group counts what is written.
 */
#include <sys/shm.h>

#include "../guest/t.h"

#define MIB (1ul << 20)
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static size_t limit;	/* bytes */

static void *map(size_t bytes, int prot, int flags)
{
	return mmap(NULL, bytes, prot, flags, -1, 0);
}

static void expect(bool holds, const char *what)
{
	check(what, holds);
}

static void fill(void)
{
	size_t most = 2 * limit / MIB, n = 0;
	void **v = calloc(most, sizeof(*v));

	while (n < most && (v[n] = map(MIB, RW, ANON | MAP_NORESERVE)) != MAP_FAILED)
		memset(v[n++], 1, MIB);
	expect(errno == ENOMEM && n < limit / MIB, "MAP_NORESERVE ends below the limit");
	expect(n > limit / MIB * 3 / 4, "and not far below it");
	while (n > 0)
		munmap(v[--n], MIB);
	free(v);
}

static void replace(void)
{
	size_t most = limit / 5 * 3;
	char *p = map(most, RW, ANON), *q;

	expect(p != MAP_FAILED, "three fifths can be had, after all was given back");
	expect(map(most, RW, ANON) == MAP_FAILED && errno == ENOMEM, "but not twice");
	q = mmap(p, most, RW, ANON | MAP_FIXED, -1, 0);
	expect(q == p, "MAP_FIXED over them adds nothing");
	expect(mprotect(p, most, PROT_READ) == 0 && mprotect(p, most, RW) == 0,
		"neither do rights that were taken and given again");
	expect(mremap(p, most, 2 * most, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM,
		"mremap does not make them six");
	expect(mremap(p, most, most / 2, 0) == p && mremap(p, most / 2, most, MREMAP_MAYMOVE) != MAP_FAILED,
		"smaller and as large again is fine");
	expect(fork() == -1 && errno == ENOMEM, "a fork would be a copy of them");
}

static void later_writable(void)
{
	char *p = map(limit, PROT_NONE, ANON);

	expect(p != MAP_FAILED, "addresses alone cost nothing");
	expect(mprotect(p, limit, RW) == -1 && errno == ENOMEM, "to write there does");
	expect(syscall(SYS_pkey_mprotect, p, limit, PROT_READ | PROT_WRITE, -1) == -1 && errno == ENOMEM,
	       "pkey_mprotect is no other way");
	munmap(p, limit);
}

/* Its child has its memory, which is not charged twice. */
static void with_children(void)
{
	size_t most = limit / 5 * 3;
	char *p = map(most, RW, ANON);
	pid_t pid = vfork();

	if (pid == 0)
		_exit(0);
	expect(p != MAP_FAILED && pid > 0 && waitpid(pid, NULL, 0) == pid, "vfork copies nothing");
	munmap(p, most);
}

static void shared(void)
{
	char *p = map(limit / 2, RW, MAP_SHARED | MAP_ANONYMOUS), *q;

	expect(p != MAP_FAILED, "half of it shared");
	q = map(limit / 5 * 3, RW, MAP_SHARED | MAP_ANONYMOUS);
	expect(q == MAP_FAILED && errno == ENOMEM, "is charged as private is");
	expect(syscall(SYS_memfd_create, "x", 0) == -1 && errno == ENOSYS, "no memfd");
	expect(shmget(IPC_PRIVATE, MIB, 0600) == -1 && errno == ENOSPC, "no segment of SysV");
	munmap(p, limit / 2);
}

static void breaks(void)
{
	char *before = sbrk(0);

	expect(sbrk(limit) == (void *)-1, "the break does not go beyond the limit");
	expect(sbrk(MIB) != (void *)-1 && sbrk(0) > (void *)before, "but it goes on from where it was");
	memset(sbrk(0) - MIB, 1, MIB);
	expect(true, "and is there");
}

/* Mappings that the host cannot join. The host has its own limit (65530). */
static void many(void)
{
	unsigned n = 0;

	while (n < 70000 && map(4096, n % 2 ? RW : PROT_READ, ANON) != MAP_FAILED)
		n++;
	expect(n > 60000 || errno == ENOMEM, "70,000 mappings, or as many as the host lets be");
}

/* Where the host puts them, and how large they are said to be. */
static void odd(void)
{
	char *at = (char *)(5ul << 40), *p = mmap(at, 4096, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), *q;

	expect(p == at, "a page at 5 TiB");
	p[0] = 1;
	q = mmap(at, 4096, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0);
	expect(q == MAP_FAILED && errno == EEXIST, "is not had twice");
	q = mremap(p, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, at + (1ul << 30));
	expect(q == at + (1ul << 30) && q[0] == 1, "moves by a GiB with what is in it");
	expect(mmap(q - 4096, 3 * 4096, RW, ANON | MAP_FIXED, -1, 0) == q - 4096 && q[0] == 0,
	       "MAP_FIXED over a part of three pages");
	expect(munmap(q - 4096, 3 * 4096) == 0, "which are given back");
	expect(map(1ul << 62, RW, ANON) == MAP_FAILED && errno == ENOMEM, "4 EiB are not to be had");
	expect(map(-1ul, RW, ANON) == MAP_FAILED && errno == ENOMEM, "nor all but a byte");
	expect(map(0, RW, ANON) == MAP_FAILED && errno == EINVAL, "nor nothing");
}

/* Addresses cost nothing until they are written, whatever they are called. */
static void in_a_group(void)
{
	char *p = map(64 * limit, RW, ANON | MAP_NORESERVE), *q;

	expect(p != MAP_FAILED, "64 times of it with MAP_NORESERVE");
	/* Some hosts give a huge page for each byte. */
	madvise(p, 64 * limit, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < limit / 8; i += 4096)
		p[i * 64] = 1;
	expect(true, "an eighth of it written, here and there");
	q = mremap(p, 64 * limit, 65 * limit, MREMAP_MAYMOVE);
	expect(q != MAP_FAILED && q[0] == 1 && q[64 * 4096] == 1, "it grows and moves");
	expect(madvise(q, 65 * limit, MADV_DONTNEED) == 0 && q[0] == 0, "and is given back where it lies");
	munmap(q, 65 * limit);
}

int main(int argc, char **argv)
{
	if (argc != 2 && argc != 3)
		return 2;
	limit = strtoul(argv[1], NULL, 10) * MIB;
	odd();
	if (argc == 3) {
		in_a_group();
		with_children();
		in_child(many);
		return t_failed;
	}
	fill();
	later_writable();
	shared();
	breaks();
	with_children();
	in_child(many);
	replace();
	return t_failed;
}
