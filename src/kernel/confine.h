/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine.h - what the guest kernel takes from itself, in stages
 */
#ifndef WEIR_KERNEL_CONFINE_H
#define WEIR_KERNEL_CONFINE_H

#include <stdint.h>

#include "ns/error.h"

struct kernel;

/* Enter a stage, for good; see confine.c. Return: 0, or a negative errno with one
 * line in @err. To be called by the first thread. */
int confine_boot(void *kernel, struct ns_error *err);
int confine_run(void *kernel, struct ns_error *err);

/* The capabilities that confine_boot() leaves, by number. */
uint64_t confine_kept_caps(const struct kernel *k);

#endif
