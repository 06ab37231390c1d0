/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - a command's connection to a guest's control socket
 */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "cmd.h"
#include "kernel/cleanup.h"
#include "passthrough/hostcall.h"
#include "state.h"

#define MESSAGE_BYTES (192 * 1024)	/* as kernel/control.c */

void json_decref_p(json_t **j)
{
	json_decref(*j);
}

int guest_connect(const char *cmd, const char *name)
{
	int sock = state_connect(name);

	if (sock >= 0)
		return sock;
	if (sock == -ENOENT)
		cmd_fail(0, "%s: no guest named %s runs; weir list shows those that do", cmd, name);
	else
		cmd_fail(0, "%s %s: %s", cmd, name, strerror(-sock));
	return -1;
}

int guest_send(int sock, json_t *msg, const int *fds, unsigned nfds)
{
	cleanup_free char *text = json_dumps(msg, JSON_COMPACT);
	int ret = text ? host_send(sock, text, strlen(text), fds, nfds) : -ENOMEM;

	json_decref(msg);
	return ret;
}

json_t *guest_recv(int sock, int *ret_fd)
{
	static char buf[MESSAGE_BYTES];
	int fds[HOST_MAX_FDS];
	ssize_t n = host_recv(sock, buf, sizeof(buf), fds);

	if (ret_fd)
		*ret_fd = fds[0];
	else
		cleanup_fd_p(&fds[0]);
	return n > 0 ? json_loadb(buf, n, 0, NULL) : NULL;
}

int guest_ask(int sock, const char *cmd, json_t *msg, int *ret_fd)
{
	cleanup_json json_t *answer = NULL;
	const char *error;
	int ret = guest_send(sock, msg, NULL, 0);

	if (ret == 0)
		answer = guest_recv(sock, ret_fd);
	if (!answer)
		return cmd_fail(1, "%s: the guest ended before it answered", cmd);
	error = json_string_value(json_object_get(answer, "error"));
	return error ? cmd_fail(1, "%s: %s", cmd, error) : 0;
}

char *guest_ask_text(const char *cmd, const char *name, json_t *msg)
{
	cleanup_fd int sock = guest_connect(cmd, name), fd = -1;
	size_t size = 4 * 1024 * 1024;
	char *text;
	ssize_t n;

	if (sock < 0) {
		json_decref(msg);
		return NULL;
	}
	if (guest_ask(sock, cmd, msg, &fd))
		return NULL;
	text = malloc(size);
	n = text && fd >= 0 ? host_read(fd, text, size - 1) : -ENOMEM;
	if (n < 0) {
		cmd_fail(0, "%s: %s", cmd, strerror(-n));
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

int guest_ask_json(const char *name, json_t *msg, unsigned patience_ms, json_t **ret)
{
	cleanup_fd int sock = state_connect(name), fd = -1;
	struct timeval patience = { patience_ms / 1000, patience_ms % 1000 * 1000 };
	cleanup_json json_t *answer = NULL;
	int r;

	if (sock < 0) {
		json_decref(msg);
		return sock;
	}
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	r = guest_send(sock, msg, NULL, 0);
	if (r == 0)
		answer = guest_recv(sock, &fd);
	if (fd < 0)
		return r < 0 ? r : -EAGAIN;
	*ret = json_loadfd(fd, 0, NULL);
	return *ret ? 0 : -EAGAIN;
}

int guest_stats(const char *name, json_t **ret)
{
	return guest_ask_json(name, json_pack("{s:s}", "op", "stats"), 2000, ret);
}
