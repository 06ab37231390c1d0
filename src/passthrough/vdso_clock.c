/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vdso_clock.c - what a guest process reads its clocks with
 *
 * A freestanding, position-independent program that is put into the unused end
 * of the vDSO of each fresh image (image.c); the vDSO's symbols then lead here.
 * It asks the host's own clock_gettime for the time of the host, which needs
 * no call either, and maps it to the guest's by the page that all processes of
 * the guest share.
 *
 * The page is mapped by the process itself, at its first reading: a descriptor
 * of it is asked for, mapped and closed (see VCLOCK_ASK). If anything of that
 * fails (no descriptor left, a filter of the program's own), the clock is read
 * by a call, which stops, and the guest kernel answers. The same while the page
 * is being changed: a reader does not wait.
 *
 * It runs in the program's place: no libc, no stack protector, no data that it
 * could write. A program may break it, but only for itself.
 */
#include "passthrough/vdso_clock.h"

#include <asm/unistd.h>

#if !defined(__x86_64__)
#error "vdso_clock.c: write the system-call stub of this architecture"
#endif

struct timespec {
	int64_t tv_sec, tv_nsec;
};

struct timeval {
	int64_t tv_sec, tv_usec;
};

#define HIDDEN __attribute__((visibility("hidden")))
#define ENTRY(name) __attribute__((section(".text." #name)))

extern const struct vclock_head head HIDDEN;
extern int original(int id, struct timespec *ts) HIDDEN;
int clock_gettime(int id, struct timespec *ts) HIDDEN;
int gettimeofday(struct timeval *tv, void *tz) HIDDEN;
int64_t time(int64_t *ret) HIDDEN;

#define LOAD(x) (*(const volatile __typeof__(x) *)&(x))
#define barrier() __asm__ volatile("" ::: "memory")
#define unlikely(x) __builtin_expect(!!(x), 0)

#define PAGE 4096
#define MAX_ERRNO 4095
#define PROT_READ 1
#define MAP_SHARED 1

static inline int64_t call(long nr, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e)
{
	register int64_t r10 __asm__("r10") = d;
	register int64_t r8 __asm__("r8") = e;
	register int64_t r9 __asm__("r9") = 0;
	int64_t ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

/* Another thread may do the same meanwhile: then there are two mappings, and
 * either will do. */
static __attribute__((noinline, cold)) const struct vclock_page *map_page(void)
{
	int64_t fd = call(__NR_clock_gettime, 0, 0, VCLOCK_ASK, 0, 0), at;

	if (fd < 0)
		return (const struct vclock_page *)VCLOCK_PAGE_NEVER;
	at = call(__NR_mmap, 0, PAGE, PROT_READ, MAP_SHARED, fd);
	call(__NR_close, fd, 0, 0, 0, 0);
	call(__NR_clock_gettime, 0, at, VCLOCK_TELL, (int64_t)&head, 0);
	if ((uint64_t)at > -(uint64_t)MAX_ERRNO - 1)
		return (const struct vclock_page *)VCLOCK_PAGE_NEVER;
	return (const struct vclock_page *)at;
}

/* The number of the change that the page shows. It is loaded only when @after
 * is known: a load does not wait for an earlier rdtsc by itself. */
static inline uint32_t seq_after(const struct vclock_page *p, int64_t after)
{
	__asm__ volatile("andl $0, %k0" : "+r"(after));
	return LOAD(*(const uint32_t *)((const char *)&p->seq + (uint32_t)after));
}

ENTRY(gettime) int clock_gettime(int clock, struct timespec *ts)
{
	const struct vclock_page *p;
	const struct vclock_map *m;
	unsigned id = clock, host;
	struct timespec t;
	int64_t read;
	uint64_t ns;
	uint32_t seq;
	int ret;

	if (unlikely(id > 11 || !((VCLOCK_IDS | VCLOCK_ALARM_IDS) >> id & 1)))
		return original(clock, ts);
	p = (const struct vclock_page *)LOAD(head.page);
	if (unlikely((uint64_t)p <= VCLOCK_PAGE_NEVER)) {
		if (!p)
			p = map_page();
		if ((uint64_t)p == VCLOCK_PAGE_NEVER)
			goto ask;
	}
	m = &p->map[vclock_of_id(id)];
	do {
		seq = LOAD(p->seq);
		barrier();
		if (unlikely((seq & 1) || (VCLOCK_ALARM_IDS >> id & 1)))
			goto ask;
		/* A branch is guessed, and then nothing waits for the load. */
		host = LOAD(m->steady) ? vclock_host_id(id, 1) : id;
		ret = original(host, &t);
		if (unlikely(ret))
			return ret;
		/* What follows may go on while the page is looked at again. */
		read = t.tv_nsec;
		if (!LOAD(m->scaled)) {
			t.tv_sec += LOAD(m->off_sec);
			t.tv_nsec += LOAD(m->off_nsec);
			if (t.tv_nsec >= (int64_t)VCLOCK_NSEC) {
				t.tv_nsec -= VCLOCK_NSEC;
				t.tv_sec++;
			}
		} else {
			ns = vclock_scale(t.tv_sec * VCLOCK_NSEC + t.tv_nsec, LOAD(m->h0),
					  LOAD(m->g0), LOAD(m->mult));
			t.tv_sec = ns / VCLOCK_NSEC;
			t.tv_nsec = ns % VCLOCK_NSEC;
		}
		if (unlikely(id == 11))
			t.tv_sec += LOAD(p->tai_sec);
		barrier();
	} while (unlikely(seq_after(p, read) != seq));
	ts->tv_sec = t.tv_sec;
	ts->tv_nsec = t.tv_nsec;
	return 0;
ask:
	return call(__NR_clock_gettime, id, (int64_t)ts, 0, 0, 0);
}

ENTRY(gettimeofday) int gettimeofday(struct timeval *tv, void *tz)
{
	struct timespec t;

	if (unlikely(tz))
		return call(__NR_gettimeofday, (int64_t)tv, (int64_t)tz, 0, 0, 0);
	if (tv) {
		int ret = clock_gettime(0, &t);

		if (unlikely(ret))
			return ret;
		tv->tv_sec = t.tv_sec;
		tv->tv_usec = (uint32_t)t.tv_nsec / 1000;
	}
	return 0;
}

ENTRY(time) int64_t time(int64_t *ret)
{
	struct timespec t;

	if (unlikely(clock_gettime(5, &t)))
		return call(__NR_time, (int64_t)ret, 0, 0, 0, 0);
	if (ret)
		*ret = t.tv_sec;
	return t.tv_sec;
}

/* The head, first in the program, and room for the jump to the original. */
__asm__(".section .head, \"a\", @progbits\n"
	".globl head\n"
	".hidden head\n"
	"head:	.quad 0x31636f6c63726977\n"
	"	.quad 0\n"
	"	.long clock_gettime - head, gettimeofday - head, time - head\n"
	"	.long original - head, end - head\n"
	"	.long back_rdi - head, back_rsi - head, back_rdx - head, back_r10 - head, back_r8 - head\n"
	"	.long eh_frame - head\n"
	".section .tail, \"ax\", @progbits\n"
	".globl original\n"
	".hidden original\n"
	"original: .fill 5, 1, 0xcc\n"
	"end:\n"
	".text\n");
