/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_disks.c - the boot steps of the guest's disks, and those that come later
 *
 *   {"op":"disk","action":"add","index":N,"image":PATH,"cow":PATH or null,"direct":true,
 *    "readonly":false,"depth":N,"serial":TEXT} with the image and the COW file, opened and
 *   locked by the command, which has the rights of who called it
 *   {"op":"disk","action":"remove","index":N}; {"error":WHY,"again":true}: it is being flushed
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "drivers/disks.h"
#include "kernel/cleanup.h"
#include "kernel/kernel.h"
#include "kernel/util.h"
#include "passthrough/policy/policy_value.h"

/* What the policy has room for, the disks have: guest_disks_init() copies it as it is. */
_Static_assert(POLICY_SERIAL_SIZE == DISK_SERIAL_SIZE, "a serial number of the policy's has another size");
_Static_assert(POLICY_MAX_DISKS == DISKS_MAX, "the policy has another number of disks");
_Static_assert(PHYSMEM_MAX_AREAS >= POLICY_MAX_DISKS, "not every disk may be in memory");

/* A disk in memory is a file that has no name: it is opened by its descriptor. */
static int make_ram(struct kernel *k, unsigned index, char path[32], struct ns_error *err)
{
	char name[16];
	int fd;

	snprintf(name, sizeof(name), "ubd%u", index);
	fd = physmem_add(&k->physmem, name, k->cfg->policy->disk[index].ram);
	if (fd < 0)
		return ns_fail(err, fd, "disk.%u: ram: %s", index, strerror(-fd));
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return 0;
}

int guest_disks_init(struct kernel *k, struct ns_error *err)
{
	const struct policy_disk *d = k->cfg->policy->disk;
	struct disks_config cfg = { .n = 0 };
	char ram[POLICY_MAX_DISKS][32];
	struct disk_error why;
	int ret = 0;

	for (unsigned i = 0; i < POLICY_MAX_DISKS && ret == 0; i++) {
		struct disks_one *one = &cfg.disk[cfg.n];

		if (!d[i].used)
			continue;
		*one = (struct disks_one){
			.index = i,
			.depth = d[i].depth,
			.spec = { d[i].ram ? ram[i] : d[i].image, d[i].cow, d[i].direct && !d[i].ram,
				  d[i].readonly },
		};
		memcpy(one->serial, d[i].serial, sizeof(one->serial));
		cfg.n++;
		ret = d[i].ram ? make_ram(k, i, ram[i], err) : 0;
	}
	if (ret < 0 || (cfg.n == 0 && !k->cfg->policy->hotplug))
		return ret;
	ret = disks_open(&cfg, &k->disks, &why);
	return ret < 0 ? ns_fail(err, ret, "%s", why.text) : 0;
}

void guest_disks_exit(struct kernel *k)
{
	disks_close(k->disks);
	k->disks = NULL;
	physmem_exit(&k->physmem);
}

static int link_disk(void *kernel, const char *name, bool there)
{
	struct kernel *k = kernel;
	int ret = agent_disk(&k->agent, name, there);

	/* The guest's /dev went with the agent. */
	return ret == -EPIPE ? 0 : ret;
}

/* Once they are mounted in the guest. */
int ubd_init(struct kernel *k, struct ns_error *err)
{
	const struct disks_links links = { link_disk, k };
	int ret = k->disks ? disks_serve(k->disks, k->agent.disks, &links) : 0;

	k->agent.disks = -1;
	return ret < 0 ? ns_fail(err, ret, "disks: they cannot be served: %s", strerror(-ret)) : 0;
}

/* The guest's tasks are gone: what they have written is made durable. */
void ubd_exit(struct kernel *k)
{
	disks_stop(k->disks);
}

/* ---- while the guest runs ----------------------------------------------- */

static int add_disk(struct kernel *k, json_t *msg, int *fds, struct disk_error *err)
{
	const char *image = json_string_value(json_object_get(msg, "image"));
	const char *serial = json_string_value(json_object_get(msg, "serial"));
	json_int_t depth = json_integer_value(json_object_get(msg, "depth"));
	const char *cow = json_string_value(json_object_get(msg, "cow"));
	struct disks_one one = {
		.index = json_integer_value(json_object_get(msg, "index")),
		.depth = depth,
		.spec = {
			.image = image, .cow = cow,
			.direct = json_is_true(json_object_get(msg, "direct")),
			.readonly = json_is_true(json_object_get(msg, "readonly")),
		},
	};
	struct disk_files files;

	if (!image || fds[0] < 0 || (cow && fds[1] < 0) || depth < 1 || depth > UBD_MAX_DEPTH ||
	    (serial && *serial && !policy_disk_serial(serial)))
		return disk_fail(err, -EINVAL, "a disk has a file, a depth of 1 to %u and perhaps a serial number",
				 UBD_MAX_DEPTH);
	snprintf(one.serial, sizeof(one.serial), "%s", serial ?: "");
	files = (struct disk_files){ take_fd(&fds[0]), cow ? take_fd(&fds[1]) : -1 };
	one.spec.given = &files;
	return disks_add(k->disks, &one, err);
}

int guest_disks_request(struct kernel *k, json_t *msg, int *fds, struct disk_error *err)
{
	const char *action = json_string_value(json_object_get(msg, "action"));
	json_int_t index = json_integer_value(json_object_get(msg, "index"));

	if (!k->disks)
		return disk_fail(err, -ENXIO, "this guest was booted without disks; for disks that come later, "
					      "boot it with --set guest.hotplug=yes");
	if (!action || index < 0 || index >= DISKS_MAX)
		return disk_fail(err, -EINVAL, "a guest's disks are 0 to %u", DISKS_MAX - 1);
	if (k->state != GUEST_RUNNING && k->state != GUEST_PAUSED)
		return disk_fail(err, -EAGAIN, "the guest is not running");
	if (streq(action, "add"))
		return add_disk(k, msg, fds, err);
	if (streq(action, "remove"))
		return disks_remove(k->disks, index, err);
	return disk_fail(err, -EINVAL, "unknown request");
}
