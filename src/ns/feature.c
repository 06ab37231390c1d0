/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feature.c - host features that a test may hide; errors with a reason
 */
#include "ns/feature.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ns/error.h"

bool host_feature_masked(const char *name)
{
	const char *mask = getenv("WEIR_TEST_MASK");
	size_t len = strlen(name);

	while (mask && *mask) {
		size_t n = strcspn(mask, ",");

		if (n == len && strncmp(mask, name, n) == 0)
			return true;
		mask += n;
		mask += *mask == ',';
	}
	return false;
}

int ns_fail(struct ns_error *err, int ret, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return ret;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return ret;
}
