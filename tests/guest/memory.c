/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - mmap and its relatives, memfd and seals, mlock, madvise, protection faults */
#include <sys/resource.h>
#include <linux/memfd.h>

#include "t.h"

static char *page;

static void writes_read_only(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	*page = 1;
}

int main(void)
{
	char *p, *q;
	int fd;

	p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check("mmap", p != MAP_FAILED && p[12345] == 0);
	memset(p, 7, 1 << 20);
	q = mremap(p, 1 << 20, 4 << 20, MREMAP_MAYMOVE);
	check("mremap keeps the bytes", q != MAP_FAILED && q[(1 << 20) - 1] == 7 && q[1 << 20] == 0);
	say("madvise DONTNEED", madvise(q, 1 << 20, MADV_DONTNEED));
	check("gone", q[100] == 0);
	say("mlock a page", mlock(q, 4096));
	say("mincore", mincore(q, 4096, (unsigned char[1]){ 0 }));
	say("mprotect", mprotect(q, 4096, PROT_READ));
	page = q;
	say_status("write to a read-only page", child_status(writes_read_only));
	say("munmap", munmap(q, 4 << 20));
	fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	say("memfd_create", fd);
	say("ftruncate", ftruncate(fd, 8192));
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	strcpy(p, "shared");
	check("mapped and read are the same", pread(fd, (char[8]){ 0 }, 7, 0) == 7);
	munmap(p, 8192);
	say("seal", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK));
	say("write after the seal", write(fd, "x", 1));
	say("shrink after the seal", ftruncate(fd, 0));
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check("writable code", p != MAP_FAILED);
	memcpy(p, "\xb8\x2a\x00\x00\x00\xc3", 6);	/* mov $42, %eax; ret */
	fact("it runs", "%d", ((int (*)(void))p)());
	say("mmap at 0", mmap((void *)0, 4096, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1,
			      0) == MAP_FAILED ? -1 : 0);
	check("brk", sbrk(100000) != (void *)-1);
	return t_failed;
}
