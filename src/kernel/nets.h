/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nets.h - the network devices of the guest, as its policy has them
 */
#ifndef WEIR_KERNEL_NETS_H
#define WEIR_KERNEL_NETS_H

#include "ns/error.h"

struct kernel;
struct json_t;

/* When the guest's namespaces are there, and before the guest kernel gives up its
 * rights: the devices, up, with their addresses and routes. Enters the guest's network
 * namespace. Without any [net.N] nothing is done. Return: 0 or a negative errno with @err. */
int nets_init(struct kernel *k, struct ns_error *err);
void nets_exit(struct kernel *k);

/* Those of weir stats, a reference for the caller. Event loop's thread only. */
struct json_t *nets_json(const struct kernel *k);

#endif
