/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vdso_clock.h - the guest's clocks as they are read
 *
 * Shared by the guest kernel, which sets the clocks and answers trapped reads,
 * and by the code in each guest process (vdso_clock.c), which reads them with
 * no call: both do the arithmetic with the functions below, so that they give
 * the same answer to the nanosecond. Uses no libc.
 *
 * The layout of struct vclock_page and struct vclock_head is fixed: the code
 * that reads them is put into processes as it is. Nothing in them is secret,
 * and nothing that a guest writes is ever read back from them.
 */
#ifndef WEIR_PASSTHROUGH_VDSO_CLOCK_H
#define WEIR_PASSTHROUGH_VDSO_CLOCK_H

#include <stdint.h>

/* The clocks that a guest has; every clock id is one of them, finer or coarser. */
enum vclock { VCLOCK_REALTIME, VCLOCK_MONOTONIC, VCLOCK_RAW, VCLOCK_BOOTTIME, NUM_VCLOCKS };

#define VCLOCK_SHIFT 40	/* of mult: 2^-40 is a millionth of a ppm */
#define VCLOCK_ONE (UINT64_C(1) << VCLOCK_SHIFT)
#define VCLOCK_NSEC UINT64_C(1000000000)

/*
 * guest = a + rate * (host - b). The host's clock is the one of the same name,
 * but for REALTIME with steady = 1: then it is MONOTONIC, and steps of the
 * host's clock do not reach the guest.
 */
struct vclock_map {
	uint32_t scaled;	/* 0: guest = host + off; 1: by h0, g0, mult */
	uint32_t steady;
	int64_t off_sec;
	int64_t off_nsec;	/* 0..999999999 */
	uint64_t h0, g0;	/* ns */
	uint64_t mult;		/* guest ns in a host ns, times VCLOCK_ONE; 0: it stands still */
};

struct vclock_page {
	uint32_t seq;		/* odd: being changed; ask the guest kernel */
	uint32_t unused;
	int64_t tai_sec;	/* TAI - REALTIME */
	struct vclock_map map[NUM_VCLOCKS];
};

#define VCLOCK_MAGIC UINT64_C(0x31636f6c63726977)	/* "wirclocl", little endian */

/* The registers that a redirected call may take its timeout from. */
enum vclock_back { BACK_RDI, BACK_RSI, BACK_RDX, BACK_R10, BACK_R8, NUM_VCLOCK_BACK };

/* What the code in the vDSO begins with. */
struct vclock_head {
	uint64_t magic;
	uint64_t page;		/* where the process has mapped the page; or one of: */
	uint32_t gettime, gettimeofday, time;	/* entry points, from the head */
	uint32_t original;	/* five bytes: to be a jump to the host's clock_gettime */
	uint32_t size;		/* of head, code and data */
	uint32_t back[NUM_VCLOCK_BACK];	/* vdso_return.S, by the register that points to the slot */
	uint32_t eh_frame;	/* its unwinding tables: a CIE and an FDE */
};

#define VCLOCK_PAGE_NONE 0	/* not asked for yet */
#define VCLOCK_PAGE_NEVER 1	/* it cannot have one: always ask the guest kernel */

/*
 * How the code talks to the guest kernel: clock_gettime(CLOCK_REALTIME, ADDR)
 * with a third and fourth argument, which the host does not look at. ASK has
 * the address NULL and gives a descriptor of the page. TELL has the address
 * where the page was mapped, or a negative errno, and in the fourth argument
 * where the head is. Whoever does not know of it says EFAULT.
 */
#define VCLOCK_ASK UINT64_C(0x6b73612072696577)
#define VCLOCK_TELL UINT64_C(0x6c6c657420726577)

/* And vdso_return.S: with the result of the call before in the fourth argument,
 * and in the fifth the slot. What it returns is that result, or what the guest
 * kernel makes of it. */
#define VCLOCK_FINISH UINT64_C(0x687369666e697277)

/* Guest nanoseconds at host nanoseconds @h of a map with scaled = 1. A host
 * time before h0 (a coarse clock, another CPU's) counts as h0: no reading goes
 * backwards over a change of the rate. */
static inline uint64_t vclock_scale(uint64_t h, uint64_t h0, uint64_t g0, uint64_t mult)
{
	uint64_t d = h > h0 ? h - h0 : 0;

	/* d * mult >> VCLOCK_SHIFT, but by the upper half of a product: no shift
	 * has to wait for it. */
	return g0 + d * (mult >> VCLOCK_SHIFT) +
	       (uint64_t)((unsigned __int128)d * (mult << (64 - VCLOCK_SHIFT)) >> 64);
}

/* Bit N: clock id N is one of the guest's that are read without a call.
 * REALTIME 0, MONOTONIC 1, RAW 4, the coarse 5 and 6, BOOTTIME 7, TAI 11. */
#define VCLOCK_IDS 0x8f3u
/* Those that go by way of the guest kernel: REALTIME_ALARM 8, BOOTTIME_ALARM 9. */
#define VCLOCK_ALARM_IDS 0x300u

static inline unsigned vclock_of_id(unsigned id)
{
	/* two bits for each id; 8 and 9 are REALTIME and BOOTTIME */
	return (unsigned)(((uint64_t)VCLOCK_MONOTONIC << 2 | (uint64_t)VCLOCK_RAW << 8 |
			   (uint64_t)VCLOCK_MONOTONIC << 12 | (uint64_t)VCLOCK_BOOTTIME << 14 |
			   (uint64_t)VCLOCK_BOOTTIME << 18) >> (2 * id)) & 3;
}

/* The host's clock that a guest's is made from. */
static inline unsigned vclock_host_id(unsigned id, uint32_t steady)
{
	if (vclock_of_id(id) != VCLOCK_REALTIME)
		return id == 9 ? 7 : id;
	return (id == 5 ? 5 : 0) + steady;
}

#endif
