/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci.h - seccomp profiles of the Open Container Initiative as policies, and back
 *
 * A profile is the object linux.seccomp of a container's config.json
 * (github.com/opencontainers/runtime-spec, config-linux.md), or that object
 * alone, with what Docker and podman add to it: archMap, includes, excludes,
 * errno by name.
 */
#ifndef WEIR_PASSTHROUGH_OCI_H
#define WEIR_PASSTHROUGH_OCI_H

#include "passthrough/lanes.h"

#define OCI_MAX_RULES 4096	/* of all calls */

/* What a profile says of one call: all tests hold, then the lane. */
struct oci_rule {
	int nr;
	enum lane lane;		/* pass, deny, kill, watch */
	int err;
	unsigned ntests;
	struct policy_test test[POLICY_MAX_TESTS];
};

struct oci_profile {
	enum lane default_lane;
	int default_err;
	struct oci_rule *rule;
	size_t n;
	char *notes;		/* what was left out and why, a line each */
	size_t notes_size;
};

/**
 * oci_read() - Read a profile
 * @file: its name, for messages
 * @caps: the capabilities that decide includes and excludes
 *
 * Return: 0, to be freed by oci_free(), or -EINVAL or -ENOMEM with one line
 * in @err that names the place as a JSON path.
 */
int oci_read(const char *file, const char *json, size_t len, uint64_t caps,
	     struct oci_profile *ret, struct policy_error *err);
void oci_free(struct oci_profile *p);

/* Does a profile let a call pass with any arguments at all? */
bool oci_passes(const struct oci_profile *p, int nr);

/**
 * oci_import() - A profile as a policy that inherits another
 * @base:    lanes of that policy: what it refuses or traps stays so, with a comment
 * @inherit: its name
 * @ret:     the policy's text, to be freed
 *
 * Pure: nothing but its arguments and the inherited policy decides. What is
 * returned was loaded and is a policy that holds.
 *
 * Return: 0 or a negative errno with one line in @err.
 */
int oci_import(const char *file, const struct oci_profile *p, const struct lanes *base,
	       const char *inherit, char **ret, struct policy_error *err);

/**
 * oci_export() - A policy as a profile
 * @ret:   JSON, to be freed
 * @notes: what a profile cannot say, a line each; to be freed
 *
 * Return: 0 or a negative errno with one line in @err.
 */
int oci_export(const struct lanes *l, char **ret, char **notes, struct policy_error *err);

#endif
