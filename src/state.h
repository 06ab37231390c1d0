/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - the directories of running guests
 *
 * /run/weir/NAME for root, $XDG_RUNTIME_DIR/weir/NAME for a user (or
 * /tmp/weir-UID/NAME without one), mode 0700. A guest holds a lock on its
 * directory for as long as its monitor or its kernel lives: a directory whose
 * lock is free was left by a kill -9 and is swept by the next command.
 */
#ifndef WEIR_STATE_H
#define WEIR_STATE_H

#include <stdbool.h>
#include <stddef.h>

struct state {
	int dir;	/* of the guest */
	int lock;
	int control;	/* listening socket */
	char name[64];
	char path[4096];
};

/**
 * state_create() - Make and lock the directory of a new guest
 * @name: NULL chooses a free one
 * @err:  one line for the user
 *
 * Return: 0, -EEXIST if a guest of that name runs, or another negative errno.
 */
int state_create(const char *name, struct state *ret, char *err, size_t errsize);

/* Kill what is in the guest's groups, frozen or not, and remove them; only when
 * its kernel has ended. */
void state_end_groups(const struct state *s);

/* Remove the directory and whatever the guest left on the host. */
void state_remove(struct state *s);

/* Connect to a running guest. Return: a socket, -ENOENT if there is none. */
int state_connect(const char *name);

/* The directory of weir memd, of which each user has one at most: beside those
 * of the guests, made and removed like them, with a name that none can have. */
#define STATE_BROKER ".memd"
int state_connect_broker(void);

/* Names of the running guests, sorted, NULL-terminated; free each and the
 * vector. Sweeps what dead guests left. */
char **state_list(void);

/* A guest's name: letters, digits, '-', '_' and '.', not beginning with '.' or
 * '-', shorter than 64. */
bool state_valid_name(const char *name);

#endif
