/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_policy.c - the text of a policy: read, or refused with one line
 */
#include "fuzz.h"
#include "passthrough/lanes.h"
#include "passthrough/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = fuzz_file("", 0, data, size);
	struct policy_error err = {};
	struct policy *p = NULL;
	struct lanes *l = NULL;
	int ret = policy_load(path, NULL, 0, &p, &err);

	if (ret == 0)
		ret = lanes_build(p, &l, &err);
	/* One line that says something, or none. */
	MUST((ret < 0) == (err.text[0] != '\0'));
	MUST(!strchr(err.text, '\n'));
	lanes_free(l);
	policy_free(p);
	return 0;
}
