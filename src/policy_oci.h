/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_oci.h - OCI seccomp profiles in files
 */
#ifndef WEIR_POLICY_OCI_H
#define WEIR_POLICY_OCI_H

#include "passthrough/policy/oci.h"

/* Read a profile from a file, as oci_read(). */
int oci_load(const char *path, uint64_t caps, struct oci_profile *ret, struct policy_error *err);

#endif
