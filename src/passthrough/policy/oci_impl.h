/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_impl.h - inside of the reader of OCI profiles: oci_read.c and oci_test.c
 */
#ifndef WEIR_PASSTHROUGH_OCI_IMPL_H
#define WEIR_PASSTHROUGH_OCI_IMPL_H

#include <jansson.h>
#include <stdio.h>

#include "passthrough/policy/oci.h"

struct oci_reader {
	const char *file;
	char path[96];		/* of what is being read: $.syscalls[3] */
	struct policy_error *err;
	struct oci_profile *p;
	uint64_t caps;
	FILE *notes;
	size_t room;
	int column;		/* in an unfinished line of the notes */
};

/* Say what is wrong with a member of what is being read; always returns -EINVAL. */
int oci_fail(struct oci_reader *rd, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Only these keys may be there; @known ends with NULL. Return: 0 or -EINVAL. */
int oci_check_keys(struct oci_reader *rd, json_t *o, const char *const *known);

/* One condition for one call; @ret->nvalues is 0 if it always holds. */
int oci_read_test(struct oci_reader *rd, json_t *o, int nr, struct policy_test *ret);

#endif
