/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_compare.c - a policy beside the lists of others
 *
 * systemd's @system-service is a group of weir's own; Docker's default profile
 * is read from where a package put it: it is not a part of weir.
 */
#include <stdio.h>
#include <unistd.h>

#include "kernel/util.h"
#include "passthrough/policy/groups.h"
#include "policy_audit.h"
#include "policy_oci.h"

/* Where Debian's containers-common and others keep Docker's and podman's default. */
static const char *const installed[] = {
	"/usr/share/containers/seccomp.json", "/etc/containers/seccomp.json",
	"/etc/docker/seccomp.json",
};

/* Capabilities that Docker keeps without any option: its own documentation. */
static const unsigned docker_caps[] = {
	0 /* chown */, 1 /* dac_override */, 3 /* fowner */, 4 /* fsetid */, 5 /* kill */,
	6 /* setgid */, 7 /* setuid */, 8 /* setpcap */, 10 /* net_bind_service */, 13 /* net_raw */,
	18 /* sys_chroot */, 27 /* mknod */, 29 /* audit_write */, 31 /* setfcap */,
};

static json_t *compare(const struct lanes *l, const char *with, const struct call_set *theirs)
{
	json_t *more = json_array(), *less = json_array(), *done = json_array();

	for (int nr = 0; nr < CALL_MAX_NR; nr++) {
		bool own = call_known(nr) && call_passes(l, nr);

		if (call_known(nr) && call_set_has(theirs, nr) && !own)
			json_array_append_new(call_traps(l, nr) ? done : more,
					      json_string(syscall_name(nr)));
		if (own && !call_set_has(theirs, nr))
			json_array_append_new(less, json_string(syscall_name(nr)));
	}
	return json_pack("{s:s, s:o, s:o, s:o}", "with", with, "theirs", more, "guarded", done, "ours",
			 less);
}

static int with_profile(const struct lanes *l, const char *path, json_t *list, struct policy_error *err)
{
	struct call_set theirs = { 0 };
	struct oci_profile p;
	uint64_t caps = 0;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(docker_caps); i++)
		caps |= BIT(docker_caps[i]);
	r = oci_load(path, caps, &p, err);
	if (r < 0)
		return r;
	for (int nr = 0; nr < CALL_MAX_NR; nr++)
		if (oci_passes(&p, nr))
			call_set_add(&theirs, nr);
	oci_free(&p);
	json_array_append_new(list, compare(l, path, &theirs));
	return 0;
}

json_t *compare_json(const struct policy_table *t, const char *profile, struct policy_error *err)
{
	json_t *list = json_array();
	struct call_set service;

	call_group_expand(call_group_find("@system-service"), &service);
	json_array_append_new(list, compare(t->lanes, "systemd's @system-service", &service));
	for (size_t i = 0; !profile && i < ARRAY_SIZE(installed); i++)
		if (access(installed[i], R_OK) == 0)
			profile = installed[i];
	if (!profile) {
		json_array_append_new(list, json_pack("{s:s, s:s}", "with", "Docker's default profile",
						      "missing",
						      "none is installed; install golang-github-containers-common or name one with --profile FILE"));
	} else if (with_profile(t->lanes, profile, list, err) < 0) {
		json_decref(list);
		return NULL;
	}
	return list;
}
