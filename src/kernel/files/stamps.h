/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stamps.h - times of files on the guest's clock ([time] stamps = guest)
 *
 * For whoever answers stat(2): sys_stat.c, and ids_stat.c where ids are kept here.
 */
#ifndef WEIR_KERNEL_STAMPS_H
#define WEIR_KERNEL_STAMPS_H

#include <stdbool.h>
#include <sys/stat.h>

struct kernel;

/* Has the guest file times by its own clock? */
bool stamps_are_guest(const struct kernel *k);

/* What the host says of a file, as the guest is told; nothing is changed if it has not. */
void stamps_show_stat(struct kernel *k, struct stat *st);
void stamps_show_statx(struct kernel *k, struct statx *st);

#endif
