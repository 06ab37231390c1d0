/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_replace.h - a file written whole or not at all
 */
#ifndef WEIR_FILE_REPLACE_H
#define WEIR_FILE_REPLACE_H

#include <stddef.h>

/**
 * file_replace() - Put a text into a file
 * @path: of a file that is made or replaced; NULL: standard output; what is there and
 *        is no regular file (/dev/stdout, a FIFO) is written to
 *
 * Whoever reads the file while this happens, or after a kill -9, finds the old
 * text or the new one. Nobody but its owner may write to it: it may be a policy.
 *
 * Return: 0 or a negative errno.
 */
int file_replace(const char *path, const char *text, size_t len);

#endif
