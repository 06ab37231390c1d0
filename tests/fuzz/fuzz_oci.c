/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_oci.c - a seccomp profile in JSON: read and made a policy, or refused with one line
 *
 * What is imported must load, and pass no call that the profile or the inherited policy
 * keeps from passing with any arguments.
 */
#include "fuzz.h"

#include "passthrough/lanes_impl.h"
#include "passthrough/policy.h"
#include "passthrough/policy/oci.h"

static struct policy *jail;
static struct lanes *base;

static void set_up(void)
{
	struct policy_error err = {};

	MUST(policy_load_shipped("jail", &jail, &err) == 0 && lanes_build(jail, &base, &err) == 0);
}

static bool may_pass(const struct lanes *l, int nr)
{
	for (unsigned i = l->first[nr]; i < l->first[nr + 1]; i++)
		if (lane_passes(l->rule[i].lane))
			return true;
	return false;
}

static void check_import(const struct oci_profile *profile, const char *text)
{
	struct policy_error err = {};
	struct policy *p = NULL;
	struct lanes *l = NULL;

	MUST(policy_load_text("imported", text, strlen(text), &p, &err) == 0);
	MUST(lanes_build(p, &l, &err) == 0);
	for (int nr = 0; nr < LANES_MAX_NR; nr++)
		MUST(!may_pass(l, nr) || (oci_passes(profile, nr) && may_pass(base, nr)));
	lanes_free(l);
	policy_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_error err = {};
	struct oci_profile profile = {};
	char *json = malloc(size + 1), *text = NULL;
	int ret;

	if (!base)
		set_up();
	MUST(json);
	memcpy(json, data, size);
	json[size] = '\0';
	ret = oci_read("fuzz", json, size, 0, &profile, &err);
	if (ret == 0) {
		ret = oci_import("fuzz", &profile, base, "jail", &text, &err);
		if (ret == 0)
			check_import(&profile, text);
		oci_free(&profile);
	}
	MUST((ret < 0) == (err.text[0] != '\0'));
	MUST(!strchr(err.text, '\n'));
	free(text);
	free(json);
	return 0;
}
