/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_disks.c - the boot steps of the guest's disks
 */
#include <stdio.h>
#include <string.h>

#include "drivers/disks.h"
#include "kernel/kernel.h"

int guest_disks_init(struct kernel *k, struct ns_error *err)
{
	const struct policy_disk *d = k->cfg->policy->disk;
	struct disks_config cfg = { .n = 0 };
	struct disk_error why;
	int ret;

	for (unsigned i = 0; i < POLICY_MAX_DISKS; i++)
		if (d[i].used)
			cfg.disk[cfg.n++] = (struct disks_one){
				.index = i,
				.depth = d[i].depth,
				.spec = { d[i].image, d[i].cow, d[i].direct, d[i].readonly },
			};
	if (cfg.n == 0)
		return 0;
	ret = disks_open(&cfg, &k->disks, &why);
	return ret < 0 ? ns_fail(err, ret, "%s", why.text) : 0;
}

void guest_disks_exit(struct kernel *k)
{
	disks_close(k->disks);
	k->disks = NULL;
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
