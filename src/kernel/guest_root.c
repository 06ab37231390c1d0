/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_root.c - boot steps of the guest's root, and what of its disks is mounted at boot
 *
 * A root on a disk is a file system that a process of its own serves, as any that the
 * guest mounts later (guest_mount.c); only that the agent, in the guest's namespaces,
 * opens the disk and attaches the mount, and that the guest ends with that process.
 */
#include "kernel/guest_root.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "kernel/guest_mount.h"
#include "kernel/memory/memory.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define MAX_MOUNTS (POLICY_MAX_DISKS + 1)

struct boot_mounts {
	struct agent_mount mount[MAX_MOUNTS];
	struct boot_mount_text {
		char disk[8];		/* "0p1" */
		char what[40];
		const char *type;	/* "" for any */
	} text[MAX_MOUNTS];
	unsigned n;
};

static const struct policy *policy(const struct kernel *k)
{
	return k->cfg->policy;
}

static enum root_mode root_mode(const struct kernel *k)
{
	switch (policy(k)->writable) {
	case WRITABLE_NO:
		return ROOT_RO;
	case WRITABLE_OVERLAY:
		return ROOT_OVERLAY;
	case WRITABLE_YES:
		return ROOT_RW;
	default:
		return k->cfg->root ? ROOT_RW : ROOT_OVERLAY;
	}
}

const char *guest_root_cwd(const struct kernel *k)
{
	if (policy(k)->cwd)
		return policy(k)->cwd;
	return k->cfg->root ? "/" : k->cfg->cwd;
}

static void add_mount(struct boot_mounts *b, unsigned disk, unsigned part, const char *at, bool readonly)
{
	struct boot_mount_text *t = &b->text[b->n];

	snprintf(t->disk, sizeof(t->disk), part ? "%up%u" : "%u", disk, part);
	if (*at)
		snprintf(t->what, sizeof(t->what), "disk.%u", disk);
	else
		snprintf(t->what, sizeof(t->what), "root: disk:%u%s", disk, strchr(t->disk, 'p') ?: "");
	b->mount[b->n++] = (struct agent_mount){
		.disk = t->disk, .at = at, .what = t->what, .readonly = readonly,
	};
}

/* The root first, as the agent wants it. */
static void plan_mounts(const struct kernel *k, struct boot_mounts *b)
{
	const struct policy_disk *d = policy(k)->disk;
	unsigned disk, part;

	if (policy_root_disk(k->cfg->root, &disk, &part) > 0) {
		b->text[0].type = d[disk].type;
		add_mount(b, disk, part, "", root_mode(k) != ROOT_RW);
	}
	for (unsigned i = 0; i < POLICY_MAX_DISKS; i++) {
		if (!d[i].mount)
			continue;
		b->text[b->n].type = d[i].type;
		add_mount(b, i, 0, d[i].mount, d[i].readonly);
	}
}

unsigned guest_root_mounts(const struct kernel *k, const struct agent_mount **ret)
{
	*ret = k->boot_mounts->mount;
	return k->boot_mounts->n;
}

int guest_root_init(struct kernel *k, struct ns_error *err)
{
	const struct guest_config *cfg = k->cfg;
	unsigned disk, part;
	struct root_config rc = {
		.dir = cfg->root,
		.on_disk = policy_root_disk(cfg->root, &disk, &part) > 0,
		.mode = root_mode(k),
		.as_root = !cfg->rootless,
		.userns_fd = cfg->rootless ? -1 : k->userns_fd,
		.cwd = guest_root_cwd(k),
		.own_net = policy(k)->ns[POLICY_NS_NET].mode == NS_MODE_NEW,
		.own_cgroup = policy(k)->ns[POLICY_NS_CGROUP].mode == NS_MODE_NEW,
		.tmpfs_bytes = memory_tmpfs_bytes(k),
		.caps = cfg->policy->caps,
		.identity_risk = cfg->ids->identity_risk,
	};
	int ret = host_result(unshare(CLONE_NEWNS));

	/* First of all: nothing we mount is seen outside. */
	if (ret == 0)
		ret = host_result(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	if (ret < 0)
		return ns_fail(err, ret, "mount namespace: %s", strerror(-ret));
	k->boot_mounts = calloc(1, sizeof(*k->boot_mounts));
	if (!k->boot_mounts)
		return -ENOMEM;
	plan_mounts(k, k->boot_mounts);
	return root_prepare(&rc, &k->root, err);
}

void guest_root_exit(struct kernel *k)
{
	root_destroy(k->root);
	k->root = NULL;
	free(k->boot_mounts);
	k->boot_mounts = NULL;
}

/* Number @i is to be read, and mounted. */
static int mount_one(void *kernel, unsigned i, int disk, uint64_t ino, struct ns_error *err)
{
	struct kernel *k = kernel;
	const struct boot_mounts *b = k->boot_mounts;

	if (i >= b->n || disk < 0)
		return -EPROTO;
	return guest_mount_at_boot(k, &(struct guest_mount_boot){
		.disk = b->mount[i].disk, .what = b->mount[i].what,
		.type = *b->text[i].type ? b->text[i].type : "ext4",
		.ino = ino, .root = !*b->mount[i].at, .readonly = b->mount[i].readonly,
	}, disk, err);
}

int guest_root_build(struct kernel *k, struct ns_error *err)
{
	return agent_wait(&k->agent, mount_one, k, err);
}

void guest_root_leave(struct kernel *k)
{
	agent_leave(&k->agent);
}
