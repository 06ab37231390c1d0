/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_guess.c - where the vDSO of a fresh image may be
 */
#include "passthrough/image_guess.h"

#include "passthrough/image.h"

#define SURE 2	/* times in a row */
#define PAGE_BYTES 4096

/* Where in its page an instruction is does not change with where the page is. */
static unsigned slot_of(uint64_t ip)
{
	return (ip % PAGE_BYTES * 0x9e5u >> 4) % IMAGE_GUESSES;
}

uint64_t image_guess(const struct image_guess *g, uint64_t ip)
{
	unsigned i = slot_of(ip);
	uint64_t base = ip - atomic_load_explicit(&g->call[i].distance, memory_order_relaxed);

	if (atomic_load_explicit(&g->call[i].times, memory_order_relaxed) < SURE)
		return 0;
	/* It was another call's that shares the entry. */
	return base % PAGE_BYTES ? 0 : base;
}

void image_guess_learn(struct image_guess *g, uint64_t ip, uint64_t base)
{
	unsigned i = slot_of(ip), times = atomic_load(&g->call[i].times);

	if (!base) {
		atomic_store(&g->call[i].times, 0);
	} else if (times && atomic_load(&g->call[i].distance) == ip - base) {
		if (times < SURE)
			atomic_store(&g->call[i].times, times + 1);
	} else {
		atomic_store(&g->call[i].distance, ip - base);
		atomic_store(&g->call[i].times, 1);
	}
}
