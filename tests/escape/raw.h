/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw.h - system calls by each door of the processor
 *
 * The answer is as the kernel gives it: -errno on failure.
 */
#ifndef RAW_H
#define RAW_H

#include <errno.h>

#define X32_BIT 0x40000000L

static inline __attribute__((always_inline)) long raw64(long nr, long a, long b, long c, long d,
							long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

/* The i386 door. Pointers must lie below 4 GiB (low_page()). */
static inline __attribute__((always_inline)) long raw32(long nr, long a, long b, long c, long d,
							long e)
{
	long ret;

	__asm__ volatile("int $0x80"
			 : "=a"(ret)
			 : "0"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
			 : "r8", "r9", "r10", "r11", "memory");
	return (int)ret;
}

/* Memory that the i386 door can name. */
static inline void *low_page(void)
{
	void *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Did the mask (or the guest kernel) refuse, rather than the host look at the arguments? */
static inline int refused(long ret)
{
	return ret == -ENOSYS || ret == -EPERM || ret == -EACCES || ret == -EAFNOSUPPORT;
}

#endif
