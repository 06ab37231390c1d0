// SPDX-License-Identifier: Apache-2.0
/*
 * calls.c - micro-benchmarks of single system calls and of page faults
 *
 * Reading, stat and open use a file of the system, which lies on the root file system of every
 * runner; writing goes to a tmpfs. The trapped call is sethostname to the name the machine already
 * has: it changes nothing where it is allowed, and where it is not, its refusal is what is timed
 * (and noted).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "micro.h"

#define BLOCK 4096
#define MAP_BYTES 65536
#define FAULT_PAGES 512L

static char block[BLOCK];
static int block_fd = -1;
static char hostname[65];

int64_t run_getppid(long n)
{
	return TIMED(n, syscall(SYS_getppid));
}

/* By way of the C library, and so of the vDSO where there is one. */
static int64_t run_clock(clockid_t clock, long n)
{
	struct timespec ts;

	return TIMED(n, clock_gettime(clock, &ts));
}

int64_t run_clock_real(long n)
{
	return run_clock(CLOCK_REALTIME, n);
}

int64_t run_clock_mono(long n)
{
	return run_clock(CLOCK_MONOTONIC, n);
}

int64_t run_clock_day(long n)
{
	struct timeval tv;

	return TIMED(n, gettimeofday(&tv, NULL));
}

/* A millisecond and what it is late by. */
int64_t run_cond_wait(long n)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	int64_t start = now_ns();

	pthread_mutex_lock(&mutex);
	for (long i = 0; i < n; i++) {
		struct timespec end;

		clock_gettime(CLOCK_REALTIME, &end);
		end.tv_nsec += 1000000;
		if (end.tv_nsec >= 1000000000) {
			end.tv_sec++;
			end.tv_nsec -= 1000000000;
		}
		if (pthread_cond_timedwait(&cond, &mutex, &end) != ETIMEDOUT)
			bench_note = "woken before the deadline";
	}
	pthread_mutex_unlock(&mutex);
	return now_ns() - start;
}

int setup_read(void)
{
	block_fd = open(options.file, O_RDONLY | O_CLOEXEC);
	return block_fd < 0 ? -errno : 0;
}

int64_t run_read(long n)
{
	int64_t ns = TIMED(n, if (pread(block_fd, block, BLOCK, 0) != BLOCK) return -EIO);

	return ns;
}

int setup_write(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/weir-bench-write.%d", options.scratch, (int)getpid());
	block_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (block_fd < 0)
		return -errno;
	return unlink(path) < 0 ? -errno : 0;
}

int64_t run_write(long n)
{
	return TIMED(n, if (pwrite(block_fd, block, BLOCK, 0) != BLOCK) return -EIO);
}

int64_t run_stat(long n)
{
	struct stat st;

	return TIMED(n, if (stat(options.file, &st) < 0) return -errno);
}

int64_t run_open(long n)
{
	return TIMED(n, {
		int fd = open(options.file, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return -errno;
		close(fd);
	});
}

int64_t run_mmap(long n)
{
	return TIMED(n, {
		void *p = mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);

		if (p == MAP_FAILED)
			return -errno;
		munmap(p, MAP_BYTES);
	});
}

/* Writes to @n fresh anonymous pages, none of them huge; mapping and unmapping is not timed. */
int64_t run_fault(long n)
{
	int64_t ns = 0;

	for (long done = 0; done < n; done += FAULT_PAGES) {
		long pages = n - done < FAULT_PAGES ? n - done : FAULT_PAGES;
		size_t size = (size_t)pages * BLOCK;
		volatile char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return -errno;
		madvise((void *)p, size, MADV_NOHUGEPAGE);
		ns += TIMED(pages, p[timed_i * BLOCK] = 1);
		munmap((void *)p, size);
	}
	return ns;
}

/* As cat does: once more behind the end. */
static int64_t read_whole(const char *path, long n)
{
	char text[16384];

	return TIMED(n, {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return -errno;
		while (read(fd, text, sizeof(text)) > 0)
			;
		close(fd);
	});
}

int64_t run_proc_stat(long n)
{
	return read_whole("/proc/stat", n);
}

int64_t run_proc_meminfo(long n)
{
	return read_whole("/proc/meminfo", n);
}

int setup_trap(void)
{
	if (gethostname(hostname, sizeof(hostname)) < 0)
		return -errno;
	if (sethostname(hostname, strlen(hostname)) < 0) {
		if (errno != EPERM && errno != ENOSYS)
			return -errno;
		bench_note = errno == EPERM ? "EPERM" : "ENOSYS";
	}
	return 0;
}

int64_t run_trap(long n)
{
	size_t len = strlen(hostname);

	return TIMED(n, syscall(SYS_sethostname, hostname, len));
}
