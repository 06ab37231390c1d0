/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_screen.h - the live screen of weir top
 */
#ifndef WEIR_TOP_SCREEN_H
#define WEIR_TOP_SCREEN_H

#include "top_model.h"

struct top_options {
	double delay_s;			/* between samples */
	const struct top_sort *sort;
	bool reverse;
	char filter[64];
};

/* Can this terminal be drawn on? Return: NULL, or why not. */
const char *top_screen_unfit(void);

/**
 * top_screen_run() - Show a guest until the user or the guest ends
 * @name: NULL lets the user choose one of those that run
 *
 * The terminal is as before when it returns, and it says on standard error why
 * it ended, unless the user wished it. Return: the exit status of weir top.
 */
int top_screen_run(const char *name, struct top_options *o);

#endif
