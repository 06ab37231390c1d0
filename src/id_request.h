/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id_request.h - which ids a guest of a policy gets here
 */
#ifndef WEIR_ID_REQUEST_H
#define WEIR_ID_REQUEST_H

#include "ns/ids.h"
#include "passthrough/policy.h"

/* The ids of a guest of @p called @name, started by us. Return: 0, or an exit status
 * after saying why there are none. */
int ids_for_guest(const struct policy *p, const char *name, struct id_choice *ret);

/* weir policy explain ids: which ids a guest of @p would have here, and why.
 * Return: an exit status. */
int policy_explain_ids(const struct policy *p, bool json);

#endif
