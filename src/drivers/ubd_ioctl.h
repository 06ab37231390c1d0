/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ubd_ioctl.h - the ioctls of a block device
 */
#ifndef WEIR_DRIVERS_UBD_IOCTL_H
#define WEIR_DRIVERS_UBD_IOCTL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "drivers/ubd_node.h"

/* What is to be done for one: an answer at once, or a request to the device. */
struct ubd_ioctl {
	int ret;		/* 0, or a negative errno */
	size_t len;		/* bytes of @out for the caller's memory */
	union {
		int i;
		unsigned short us;
		unsigned long ul;
		uint64_t u64;
		unsigned char geometry[16];
	} out;
	bool request;		/* op, offset and len: on the device */
	enum ubd_op op;
	uint64_t offset, range;
	struct ubd_change change;	/* of the disk's partitions */
};

/**
 * ubd_ioctl() - Decide on one
 * @tid, @arg: the caller, which waits for the answer, and its pointer
 */
void ubd_ioctl(const struct ubd_node *n, unsigned cmd, pid_t tid, uint64_t arg, struct ubd_ioctl *ret);

#endif
