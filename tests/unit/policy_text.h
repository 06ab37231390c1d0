/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_text.h - policies from strings, for the unit tests
 */
#ifndef TESTS_UNIT_POLICY_TEXT_H
#define TESTS_UNIT_POLICY_TEXT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "passthrough/policy.h"

/* Load a text as a file of its own. */
static inline int load_text(const char *text, size_t len, struct policy **ret,
			    struct policy_error *err)
{
	char path[] = "/tmp/policy-of-a-test-XXXXXX";
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
	r = policy_load(path, NULL, 0, ret, err);
	unlink(path);
	return r;
}

/* A text that must load. */
static inline struct policy *loaded(const char *text)
{
	struct policy_error err;
	struct policy *p = NULL;

	if (load_text(text, strlen(text), &p, &err) < 0)
		fail_msg("%s", err.text);
	return p;
}

/* A text that must not; what is said of it contains @why. */
static inline void refused(const char *text, const char *why)
{
	struct policy_error err;
	struct policy *p;

	assert_int_equal(load_text(text, strlen(text), &p, &err), -EINVAL);
	if (!strstr(err.text, why))
		fail_msg("'%s' is not in '%s'", why, err.text);
	assert_null(strchr(err.text, '\n'));
}

/* A shipped policy. */
static inline struct policy *shipped(const char *name)
{
	struct policy_error err;
	struct policy *p = NULL;

	setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
	if (policy_load(name, NULL, 0, &p, &err) < 0)
		fail_msg("%s", err.text);
	return p;
}

static const char *const shipped_names[] = { "base", "hosting", "jail", "build", "time-lab",
					    "id-lab", "all-trap" };

#endif
