/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_hot.c - weir disk add and remove: a disk of a guest that runs
 *
 * The files are opened, looked at and locked here, with the rights of who calls, and
 * go to the guest kernel as they are: a lock belongs to the open file.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "cmd.h"
#include "disk_cmd.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define EXIT_FAILED 1
#define ASK_AGAIN_MS 20
#define PATIENCE 1500	/* times: half a minute */

/* Return: 0 or a negative errno; @again: it is worth to ask again. */
static int ask(const char *guest, json_t *msg, const int *fds, unsigned nfds, bool *ret_again)
{
	cleanup_fd int sock = guest_connect("disk", guest);
	cleanup_json json_t *answer = NULL;
	const char *error;

	*ret_again = false;
	if (sock < 0) {
		json_decref(msg);
		return -ENOTCONN;
	}
	if (guest_send(sock, msg, fds, nfds) == 0)
		answer = guest_recv(sock, NULL);
	error = answer ? json_string_value(json_object_get(answer, "error")) : "the guest has ended";
	if (!error)
		return 0;
	*ret_again = json_is_true(json_object_get(answer, "again"));
	if (!*ret_again)
		cmd_fail(EXIT_FAILED, "disk: %s: %s", guest, error);
	return -EIO;
}

static int is_cow(const char *path, struct disk_error *err)
{
	cleanup_fd int fd = host_open(path, O_RDONLY | O_NONBLOCK, 0);
	int ret = fd < 0 ? fd : disk_is_cow(fd);

	return ret < 0 ? disk_fail(err, ret, "%s: cannot be read: %s", path, strerror(-ret)) : ret;
}

static int send_disk(const struct disk_add *a, const struct disk *d, const char *cow)
{
	const int fds[] = { d->image, d->cow };
	bool again;
	json_t *msg = json_pack("{s:s, s:s, s:i, s:s, s:s?, s:b, s:b, s:i, s:s}", "op", "disk", "action", "add",
				"index", (int)a->index, "image", d->image_path, "cow", cow, "direct", a->direct,
				"readonly", a->readonly, "depth", (int)a->depth, "serial", a->serial ?: "");
	int ret = ask(a->guest, msg, fds, d->cow >= 0 ? 2 : 1, &again);

	if (ret < 0 && again)
		cmd_fail(EXIT_FAILED, "disk: %s: the guest is not running", a->guest);
	return ret < 0 ? EXIT_FAILED : 0;
}

int disk_add(const struct disk_add *a)
{
	char path[PATH_MAX], backing[PATH_MAX];
	struct disk_error err;
	struct disk_spec spec = { .direct = a->direct, .readonly = a->readonly };
	struct disk d;
	int ret;

	if (!realpath(a->path, path) || (a->backing && !realpath(a->backing, backing)))
		return cmd_fail(EXIT_FAILED, "disk: %s: there is no such file", a->backing ?: a->path);
	ret = is_cow(path, &err);
	if (ret < 0)
		return cmd_fail(EXIT_FAILED, "disk: %s", err.text);
	if (ret == 0 && a->backing)
		return cmd_fail(EXIT_FAILED, "disk: %s: is no COW file and has no backing file; leave out --backing",
				path);
	spec.cow = ret > 0 ? path : NULL;
	spec.image = ret > 0 ? (a->backing ? backing : NULL) : path;
	if (disk_open(&spec, &d, &err) < 0)
		return cmd_fail(EXIT_FAILED, "disk: %s", err.text);
	ret = send_disk(a, &d, spec.cow);
	disk_close(&d);
	return ret;
}

int disk_remove(const char *guest, unsigned index)
{
	const struct timespec pause = { .tv_nsec = ASK_AGAIN_MS * 1000000 };

	for (int i = 0; i < PATIENCE; i++) {
		bool again;
		json_t *msg = json_pack("{s:s, s:s, s:i}", "op", "disk", "action", "remove", "index", (int)index);

		if (ask(guest, msg, NULL, 0, &again) == 0)
			return 0;
		if (!again)
			return EXIT_FAILED;
		nanosleep(&pause, NULL);
	}
	return cmd_fail(EXIT_FAILED, "disk: %s: ubd%u is still being flushed; try again later", guest, index);
}
