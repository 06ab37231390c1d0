/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_guess.h - where the vDSO of a fresh image may be
 *
 * The host maps it next to the program's interpreter (hosts of today do; older
 * ones at random). Each image that makes its first call in ld.so then has it as
 * far from the instruction as the last one had. Where two in a row were equal,
 * the next is looked for there first, before the host is asked: what is found
 * is compared as always, so that a wrong guess costs a moment and nothing else.
 *
 * Any thread may use it at any time; a torn entry is a wrong guess.
 */
#ifndef WEIR_PASSTHROUGH_IMAGE_GUESS_H
#define WEIR_PASSTHROUGH_IMAGE_GUESS_H

#include <stdatomic.h>
#include <stdint.h>

#define IMAGE_GUESSES 64	/* first calls that are told apart */

struct image_guess {
	struct {
		_Atomic uint64_t distance;	/* from the vDSO to the instruction, modulo 2^64 */
		_Atomic unsigned times;		/* that it was so, in a row */
	} call[IMAGE_GUESSES];
};

/* @ip: of a task's first call. Return: an address, or 0 for no idea. */
uint64_t image_guess(const struct image_guess *g, uint64_t ip);

/* There it was in fact; 0: not where the guess was. */
void image_guess_learn(struct image_guess *g, uint64_t ip, uint64_t base);

#endif
