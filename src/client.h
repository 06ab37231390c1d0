/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - a command's connection to a guest's control socket
 *
 * kernel/control.c says what goes over it.
 */
#ifndef WEIR_CLIENT_H
#define WEIR_CLIENT_H

#include <jansson.h>

void json_decref_p(json_t **j);
#define cleanup_json __attribute__((cleanup(json_decref_p)))

/* Connect, or say why not. Return: a socket or -1. */
int guest_connect(const char *cmd, const char *name);

/* Send a message, which is freed. Return: 0 or a negative errno. */
int guest_send(int sock, json_t *msg, const int *fds, unsigned nfds);

/* The next message, the caller's; NULL when the guest is gone. @ret_fd gets its
 * descriptor or -1, may be NULL. */
json_t *guest_recv(int sock, int *ret_fd);

/**
 * guest_ask_json() - Ask for facts, which come as a descriptor with JSON
 * @msg: freed
 * @patience_ms: for the answer
 *
 * Says nothing. Return: 0, -ENOENT if no such guest runs, -EAGAIN if it does not
 * answer in time (it is starting, or stopped by a debugger) or refuses, or another
 * negative errno.
 */
int guest_ask_json(const char *name, json_t *msg, unsigned patience_ms, json_t **ret);

/**
 * guest_stats() - What weir stats prints of a guest, if it answers soon
 *
 * As guest_ask_json(), with a patience of two seconds.
 */
int guest_stats(const char *name, json_t **ret);

/* Ask and wait for the answer. Return: 0, or 1 after saying what went wrong. */
int guest_ask(int sock, const char *cmd, json_t *msg, int *ret_fd);

/**
 * guest_ask_text() - Ask for a text, which comes as a descriptor
 * @msg: freed
 *
 * Return: the text, the caller's to free, or NULL after saying what went wrong.
 */
char *guest_ask_text(const char *cmd, const char *name, json_t *msg);

#endif
