/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_audit.h - the parts of weir policy check --audit
 *
 * Each part makes JSON; the text is written from that, so both say the same.
 */
#ifndef WEIR_POLICY_AUDIT_H
#define WEIR_POLICY_AUDIT_H

#include <jansson.h>

#include "policy_table.h"

/* A call passes with any arguments, or with some. */
bool call_passes(const struct lanes *l, int nr);

/* The guest kernel does it, at least with some arguments. */
bool call_traps(const struct lanes *l, int nr);

/* policy_reach.c: which parts of the host's kernel the calls that pass lead into. */
json_t *reach_json(const struct policy_table *t);

/**
 * compare_json() - What others let pass and this policy does not, and the reverse
 * @profile: an OCI profile; NULL: Docker's or podman's where one is installed
 *
 * With systemd's @system-service, and with that profile. Return: NULL with
 * @err if @profile cannot be read.
 */
json_t *compare_json(const struct policy_table *t, const char *profile, struct policy_error *err);

#endif
