/* SPDX-License-Identifier: Apache-2.0 */
/*
 * window.h - memory of ours in guest processes: where redirected calls find
 * their timeouts
 *
 * Its address is the same in all processes, because the mask tells by it that
 * a call has been redirected already and passes. That opens nothing: a program
 * that puts timeouts there waits by the host's clock. The address is between
 * what the host gives to programs (from 0x5500...) and to mappings (0x7f...)
 * on one side, and what runtimes ask for by themselves (Go's 0xc0..., the
 * sanitizers' shadows) on the other.
 */
#ifndef WEIR_PASSTHROUGH_WINDOW_H
#define WEIR_PASSTHROUGH_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#define WINDOW_BASE UINT64_C(0x4a5b00000000)
#define WINDOW_MASK UINT64_C(0xffffffffffe00000)	/* 2 MiB, as the mask tests it */
#define WINDOW_TEXT "0x4a5b00000000"
#define WINDOW_MASK_TEXT "0xffffffffffe00000"

#define WINDOW_MAGIC UINT64_C(0x776f646e69772d77)

struct window_head {
	uint64_t magic;
	uint64_t vdso;		/* where the process's changed vDSO is */
};

/* One redirected call. vdso_return.S knows the layout. */
struct window_slot {
	uint64_t serial, rsp;
	uint8_t busy;		/* SLOT_; cleared by vdso_return.S */
	uint8_t finish;		/* FINISH_: what is to be done behind the call */
	uint8_t out;		/* enum vclock_back: the register that leads to where it is done */
	uint8_t unused[5];
	uint64_t ret;		/* where the program goes on */
	uint64_t rdi, rsi, rdx, r10, r8;	/* its registers */
	uint64_t end, tid;	/* FINISH_SLEPT and _LEFT: ns of the guest's MONOTONIC */
	int64_t time[4];	/* a timespec or an itimerspec */
	uint64_t pad;
};

enum { SLOT_FREE, SLOT_BACK, SLOT_RETURN };

/* Times of the host's that a call has written, and where the guest's go. */
enum finish {
	FINISH_NONE,
	FINISH_SLEPT,		/* interrupted: a timespec in the slot's time[2]; to @out */
	FINISH_LEFT,		/* a timespec in the slot's time[0]; to @out */
	FINISH_LEFT_TIMEVAL,	/* a timeval there */
	FINISH_ITIMERSPEC,	/* all of the slot's time; to @out */
	FINISH_ITIMERVAL,
	FINISH_ALARM,		/* an itimerval in the slot: the result in seconds */
};

#define REDIRECT_SLOTS 8
#define REDIRECT_GROUPS 1024
#define WINDOW_HEAD_BYTES 4096
#define WINDOW_BYTES (WINDOW_HEAD_BYTES + REDIRECT_GROUPS * REDIRECT_SLOTS * sizeof(struct window_slot))

_Static_assert(sizeof(struct window_slot) == 128, "slots do not cross pages");
_Static_assert(offsetof(struct window_slot, time) - offsetof(struct window_slot, ret) == 64 &&
	       offsetof(struct window_slot, time) - offsetof(struct window_slot, busy) == 72 &&
	       offsetof(struct window_slot, time) - offsetof(struct window_slot, finish) == 71 &&
	       offsetof(struct window_slot, time) - offsetof(struct window_slot, rdi) == 56 &&
	       offsetof(struct window_slot, time) - offsetof(struct window_slot, r8) == 24,
	       "vdso_return.S has these numbers");
_Static_assert(WINDOW_BYTES <= ~WINDOW_MASK + 1, "the mask tests all of the window");

#endif
