/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - why a namespace, a root or a cgroup could not be had
 *
 * Functions of this folder return -errno; where a user must learn what failed
 * and what to do, the same call also leaves one line of text.
 */
#ifndef WEIR_NS_ERROR_H
#define WEIR_NS_ERROR_H

struct ns_error {
	char text[256]; /* "WHAT: WHY (hint)", no newline; "" when nothing was said */
};

/* Write the line, if there is room for one, and hand @ret back:
 * return ns_fail(err, ret, "root: %s: %s", dir, strerror(-ret)); */
int ns_fail(struct ns_error *err, int ret, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
