/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile.c - a program that plays with its vDSO harms nobody else
 *
 * It may break its own clock. The guest kernel writes to no file and to no
 * other process on its account, and goes on answering.
 */
#include <asm/prctl.h>
#include <elf.h>
#include <sys/auxv.h>

#include "../guest/t.h"

#define ASK UINT64_C(0x6b73612072696577)	/* passthrough/vdso_clock.h */
#define TELL UINT64_C(0x6c6c657420726577)

static char *vdso;
static size_t size;

static void find_vdso(void)
{
	char line[256];
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long from, to;

	vdso = (char *)getauxval(AT_SYSINFO_EHDR);
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from == (unsigned long)vdso)
			size = to - from;
	if (f)
		fclose(f);
	if (!size)
		skip("no vDSO");
}

/* What makes the guest kernel look at an image. */
static void show_image(void)
{
	unsigned long fs = 0;

	syscall(SYS_brk, 0);
	syscall(SYS_arch_prctl, ARCH_GET_FS, &fs);
	syscall(SYS_arch_prctl, ARCH_SET_FS, fs);
}

static uint64_t raw_ns(void)
{
	struct timespec ts = { 0 };

	syscall(SYS_clock_gettime, CLOCK_REALTIME, &ts);
	return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

/* The vDSO as it was before it was changed, in a file mapped in its place. */
static void a_file_in_its_place(void)
{
	char *copy = malloc(size), *after = malloc(size);
	int fd;

	madvise(vdso, size, MADV_DONTNEED);	/* the host's again */
	memcpy(copy, vdso, size);
	fd = need("open", open("image", O_RDWR | O_CREAT | O_TRUNC, 0600));
	need("write", write(fd, copy, size));
	need("munmap", munmap(vdso, size));
	if (mmap(vdso, size, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		need("mmap", -1);
	show_image();
	need("pread", pread(fd, after, size, 0));
	check("a shared file in its place is not written to", memcmp(copy, after, size) == 0);
	munmap(vdso, size);
	close(fd);
	/* the same for a file that could not be written by us */
	fd = need("open", open("image", O_RDONLY));
	if (mmap(vdso, size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED)
		need("mmap", -1);
	show_image();
	need("pread", pread(fd, after, size, 0));
	check("nor one that is mapped privately", memcmp(copy, after, size) == 0);
	check("readings by the call go on", raw_ns() > 0);
}

static void nothing_in_its_place(void)
{
	munmap(vdso, size);
	show_image();
	check("without a vDSO, too", raw_ns() > 0);
}

/* Memory shared with the parent in its place, all zeros. */
static char *common;

static void shared_memory_in_its_place(void)
{
	munmap(vdso, size);
	if (mremap(common, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, vdso) == MAP_FAILED)
		need("mremap", -1);
	mprotect(vdso, size, PROT_READ);
	show_image();
	check("shared memory is not the vDSO", raw_ns() > 0);
}

static void scribbled_over(void)
{
	mprotect(vdso, size, PROT_READ | PROT_WRITE | PROT_EXEC);
	memset(vdso, 0x41, size);
	show_image();
	check("a vDSO full of rubbish is left as it is", vdso[0] == 0x41 && vdso[size - 1] == 0x41);
	check("and readings by the call go on", raw_ns() > 0);
}

/* Given the page, a program can read it and nothing else. */
static void the_page(void)
{
	long fd = syscall(SYS_clock_gettime, CLOCK_REALTIME, NULL, ASK);
	char path[64], zero[16] = { 0 };
	void *p;

	if (fd < 0) {
		dprintf(1, "ok there is no page\n");
		return;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%ld", fd);
	check("the page cannot be written", pwrite(fd, zero, sizeof(zero), 0) == -1);
	check("nor through another descriptor", pwrite(open(path, O_RDWR), zero, 16, 0) == -1);
	check("nor mapped to be", mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	check("nor made so later", mprotect(p, 4096, PROT_READ | PROT_WRITE) == -1);
	check("nor cut", ftruncate(fd, 0) == -1);
	check("nor punched", fallocate(fd, 3, 0, 4096) == -1);
	check("nor removed", madvise(p, 4096, MADV_REMOVE) == -1);
	check("nor unsealed", fcntl(fd, F_ADD_SEALS, 0) == -1);
	check("it is close-on-exec", fcntl(fd, F_GETFD) == FD_CLOEXEC);
}

/* Lies about where the page or the head is. */
static void lies(void)
{
	static char fake[8192] __attribute__((aligned(4096)));
	static const unsigned long heads[] = { 0, 1, 8, ~0ul, ~0ul - 4095, 1ul << 63, 0x1000 };
	unsigned long at[] = { 0, 5, -22ul, (unsigned long)fake, ~0ul };
	int told = 0;

	/* Then they are readings as any other. */
	if (syscall(SYS_clock_gettime, CLOCK_REALTIME, NULL, ASK) < 0)
		return;

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		for (size_t k = 0; k < ARRAY_SIZE(at); k++) {
			told += !syscall(SYS_clock_gettime, 0, at[k], TELL, heads[i]);
			told += !syscall(SYS_clock_gettime, 0, at[k], TELL, (unsigned long)fake + heads[i]);
			told += !syscall(SYS_clock_gettime, 0, at[k], TELL, (unsigned long)vdso + heads[i]);
		}
	check("no lie is believed", told == 0);
	for (size_t i = 0; i < sizeof(fake); i++)
		if (fake[i])
			failed("byte %zu was written", i);
	check("readings go on", now_ns(CLOCK_REALTIME) > 0);
}

/* All descriptors in use: the clock is read all the same. */
static void no_descriptor(void)
{
	struct timespec ts;

	while (dup(1) >= 0)
		;
	check("with no descriptor left", clock_gettime(CLOCK_REALTIME, &ts) == 0 &&
	      ts.tv_sec * UINT64_C(1000000000) <= raw_ns());
}

int main(int argc, char **argv)
{
	find_vdso();
	if (argc > 1) {
		no_descriptor();
		return t_failed;
	}
	enter_dir();
	common = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	in_child(a_file_in_its_place);
	in_child(nothing_in_its_place);
	in_child(shared_memory_in_its_place);
	for (size_t i = 0; i < size; i++)
		if (common[i])
			failed("byte %zu of the shared memory was written", i);
	in_child(scribbled_over);
	in_child(the_page);
	in_child(lies);
	check("we still read our clock", now_ns(CLOCK_REALTIME) > 0);
	return t_failed;
}
