/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disks_impl.h - inside of a guest's disks
 *
 * disks.c       opened at boot, served by a thread, what is told of them
 * disks_parts.c the partitions of one, as nodes and as read from its table
 * disks_hot.c   disks that come and go while the guest runs
 */
#ifndef WEIR_DRIVERS_DISKS_IMPL_H
#define WEIR_DRIVERS_DISKS_IMPL_H

#include <pthread.h>

#include "drivers/disks.h"
#include "drivers/partition.h"
#include "drivers/ubd_node.h"
#include "kernel/event.h"

struct device {
	bool used;
	struct disks_one cfg;		/* spec's strings are not looked at after opening */
	struct disk disk;
	struct aio *aio;
	struct ubd *ubd;
	struct partition_table table;	/* what has a node */
	struct ubd_request flush;	/* the one that is made for the guest */
	bool flushing;
};

/* What another thread wants of the one that serves. */
struct disks_command {
	int (*run)(struct disks *s, struct disks_command *c);
	struct device *device;
	unsigned index;
	struct disk_error *err;
	int ret;
	bool done;
};

struct disks {
	struct device device[DISKS_MAX];	/* by number */
	struct ubd_nodes nodes;
	char name[DISKS_MAX * UBD_MAX_NODES][16];	/* of the nodes at boot */
	const char *names[DISKS_MAX * UBD_MAX_NODES];
	unsigned nnames;
	struct disks_links links;

	struct event_loop ev;
	struct event_source fuse_src, stop_src, clock_src, command_src;
	pthread_t thread;
	bool serving;

	/* Which devices and nodes there are: changed by the thread that serves. */
	pthread_mutex_t lock;
	pthread_cond_t change;		/* of the command */
	struct disks_command *command;
};

static inline struct disks *disks_of(struct event_source *src, size_t offset)
{
	return (struct disks *)((char *)src - offset);
}

/* disks.c */
int device_start(struct disks *s, struct device *d);	/* requests may come */
void device_stop(struct device *d);			/* none is under way */
void device_flush(struct device *d);			/* begin one, if it is due */

/* disks_parts.c: the nodes of a disk and its partitions; with the lock held. */
int device_add_nodes(struct disks *s, struct device *d);
void device_remove_nodes(struct disks *s, struct device *d);
bool device_busy(const struct disks *s, const struct device *d);
int disks_change(void *disks, unsigned index, const struct ubd_change *c);

/* disks_hot.c */
void disks_on_command(struct kernel *k, struct event_source *src, uint32_t events);

#endif
