/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_disks.c - the boot steps of the guest's disks
 */
#include <stdio.h>
#include <string.h>

#include "drivers/disks.h"
#include "kernel/kernel.h"

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
		if (!d[i].used)
			continue;
		cfg.disk[cfg.n++] = (struct disks_one){
			.index = i,
			.depth = d[i].depth,
			.spec = { d[i].ram ? ram[i] : d[i].image, d[i].cow, d[i].direct && !d[i].ram,
				  d[i].readonly },
		};
		ret = d[i].ram ? make_ram(k, i, ram[i], err) : 0;
	}
	if (cfg.n == 0 || ret < 0)
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

/* Once they are mounted in the guest. */
int ubd_init(struct kernel *k, struct ns_error *err)
{
	int ret = k->disks ? disks_serve(k->disks, k->agent.disks) : 0;

	k->agent.disks = -1;
	return ret < 0 ? ns_fail(err, ret, "disks: they cannot be served: %s", strerror(-ret)) : 0;
}

/* The guest's tasks are gone: what they have written is made durable. */
void ubd_exit(struct kernel *k)
{
	disks_stop(k->disks);
}
