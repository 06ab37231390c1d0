/* SPDX-License-Identifier: Apache-2.0 */
/*
 * freeze.h - weir pause and weir resume: all tasks of a guest, frozen
 *
 * On the event loop's thread, all of it.
 */
#ifndef WEIR_KERNEL_FREEZE_H
#define WEIR_KERNEL_FREEZE_H

struct client;
struct kernel;

int freeze_init(struct kernel *k);
void freeze_exit(struct kernel *k);

/**
 * freeze_start() - Begin to freeze a guest that runs
 * @client: told by client_pause_ended() how it came out
 *
 * When all are frozen the state is GUEST_PAUSED; when they are not within
 * @patience_ms, those that were are thawed again.
 * Return: 0, -EBUSY if it has begun already, or another negative errno.
 */
int freeze_start(struct kernel *k, unsigned patience_ms, struct client *client);

/* Let the guest run again, if it does not, or will not in a moment; after that
 * it is GUEST_RUNNING. Tasks that were killed while frozen may need this to die. */
void freeze_end(struct kernel *k);

/* The client is gone; the freezing goes on. */
void freeze_forget_client(struct kernel *k, struct client *c);

#endif
