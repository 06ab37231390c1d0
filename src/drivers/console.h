/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.h - the guest's console: a pty of its own devpts
 *
 * The guest has the slave as /dev/console. Who has the master:
 *
 *   foreground   the monitor, which relays its terminal
 *   detached     the guest kernel, which keeps the newest output, until
 *                `weir console` borrows the master
 */
#ifndef WEIR_DRIVERS_CONSOLE_H
#define WEIR_DRIVERS_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

struct console;
struct event_loop;

/* @master, @slave: the console's from now on. */
int console_create(int master, int slave, struct console **ret);
void console_destroy(struct console *c);

int console_master(const struct console *c);
int console_slave(const struct console *c);

/* Give a pty's @master the window size of the first terminal of @stdio, before
 * anybody looks at it. Return: is there one? */
bool console_size(int master, const int stdio[3]);

/* Read the master and keep what comes. */
int console_keep(struct console *c, struct event_loop *ev);

/* Lend the master: nothing is read until it is given back. -EBUSY: lent. */
int console_lend(struct console *c, struct event_loop *ev);
void console_return(struct console *c, struct event_loop *ev);

/* The kept output, oldest first, at most @size bytes. Return: how many. */
size_t console_text(const struct console *c, char *buf, size_t size);

#endif
