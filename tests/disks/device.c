/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.c - what a program may do with a block device, and what it may not
 *
 * device PATH BYTES RO [START]: prints a line for all that is not as it should be.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/hdreg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096

static int bad;

static void expect(const char *what, long got, long want)
{
	if (got == want)
		return;
	printf("FAILED %s: %ld, not %ld\n", what, got, want);
	bad = 1;
}

/* A result as a negative errno. */
static long r(long ret)
{
	return ret < 0 ? -errno : ret;
}

static void ioctls(int fd, unsigned long long size, int ro, unsigned long start)
{
	unsigned long long bytes = 0, range[2] = { 1, PAGE };
	struct hd_geometry g = { 0 };
	unsigned long sectors = 0;
	int n = -1;

	expect("BLKGETSIZE64", r(ioctl(fd, BLKGETSIZE64, &bytes)), 0);
	expect("its size", bytes, size);
	expect("BLKGETSIZE", r(ioctl(fd, BLKGETSIZE, &sectors)), 0);
	expect("its sectors", sectors, size / 512);
	expect("BLKSSZGET", r(ioctl(fd, BLKSSZGET, &n)), 0);
	expect("its sector size", n, 512);
	expect("BLKROGET", r(ioctl(fd, BLKROGET, &n)), 0);
	expect("read-only", n, ro);
	expect("HDIO_GETGEO", r(ioctl(fd, HDIO_GETGEO, &g)), 0);
	expect("its heads", g.heads, 255);
	expect("its start", g.start, start);
	if (start)
		expect("BLKRRPART of a partition", r(ioctl(fd, BLKRRPART)), -EINVAL);
	expect("BLKFLSBUF", r(ioctl(fd, BLKFLSBUF, 0)), 0);
	expect("BLKSSZGET to nowhere", r(ioctl(fd, BLKSSZGET, (void *)8)), -EFAULT);
	expect("BLKGETSIZE64 to nowhere", r(ioctl(fd, BLKGETSIZE64, (void *)8)), -EFAULT);
	expect("BLKDISCARD from nowhere", r(ioctl(fd, BLKDISCARD, (void *)8)), -EFAULT);
	expect("BLKDISCARD of a part of a sector", r(ioctl(fd, BLKDISCARD, range)), -EINVAL);
	range[0] = size;
	expect("BLKDISCARD behind the end", r(ioctl(fd, BLKDISCARD, range)), -EINVAL);
	if (ro) {
		range[0] = 0;
		range[1] = 512;
		expect("BLKDISCARD of who only reads", r(ioctl(fd, BLKDISCARD, range)), -EBADF);
	}
	expect("an ioctl of terminals", r(ioctl(fd, 0x5401, &n)), -ENOTTY);
}

static void ends(int fd, unsigned long long size)
{
	char buf[1024] = "at the end";

	expect("a read behind the end", r(pread(fd, buf, 512, size)), 0);
	expect("a read over the end", r(pread(fd, buf, 1024, size - 512)), 512);
	expect("a write over the end", r(pwrite(fd, buf, 1024, size - 512)), 512);
	expect("a write behind the end", r(pwrite(fd, buf, 512, size)), -ENOSPC);
	expect("the size", lseek(fd, 0, SEEK_END), size);
	expect("ftruncate(2)", r(ftruncate(fd, 0)), -EINVAL);
}

static void check(int direct, char *page, off_t at, int c)
{
	memset(page, 'x', PAGE);
	expect("a direct read", r(pread(direct, page, PAGE, at)), PAGE);
	expect("its first byte", page[0], c);
	expect("its last byte", page[PAGE - 1], c);
}

static void data(const char *path, int fd)
{
	int direct = open(path, O_RDWR | O_DIRECT);
	char *page = aligned_alloc(PAGE, PAGE);
	char *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE);

	memset(map, 'm', PAGE);
	expect("msync(2)", r(msync(map, PAGE, MS_SYNC)), 0);
	check(direct, page, PAGE, 'm');
	memset(page, 'd', PAGE);
	expect("a direct write", r(pwrite(direct, page, PAGE, PAGE)), PAGE);
	expect("what is mapped then", map[17], 'd');
	expect("an odd direct read", r(pread(direct, page, 100, PAGE)), -EINVAL);
	expect("an odd direct write", r(pwrite(direct, page, 100, PAGE)), -EINVAL);
	expect("an odd write", r(pwrite(fd, "odd", 3, PAGE + 510)), 3);
	expect("fsync(2)", r(fsync(fd)), 0);
	expect("a direct read", r(pread(direct, page, PAGE, PAGE)), PAGE);
	expect("what is there", memcmp(page + 509, "doddd", 5), 0);
	expect("a hole", r(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE)), 0);
	expect("what is mapped then", map[17], 0);
	check(direct, page, PAGE, 0);
	expect("fallocate(2)", r(fallocate(fd, 0, 0, PAGE)), -EOPNOTSUPP);
	close(direct);
}

int main(int argc, char **argv)
{
	unsigned long long size = strtoull(argv[2], NULL, 10);
	int ro = atoi(argv[3]);
	int fd = open(argv[1], ro ? O_RDONLY : O_RDWR);

	if (ro)
		expect("opening for writing", r(open(argv[1], O_RDWR)), -EROFS);
	expect("opening", fd >= 0, 1);
	ioctls(fd, size, ro, argc > 4 ? strtoul(argv[4], NULL, 10) : 0);
	if (!ro) {
		ends(fd, size);
		data(argv[1], fd);
	}
	printf("%s\n", bad ? "bad" : "good");
	return bad;
}
