/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_mount.c - file systems of the guest's disks, mounted by the guest
 *
 * The disk is opened, and the file system attached, by acts with the caller's
 * rights and in its place; between the two a process of its own reads it
 * (ns/mounter.c) and serves it from then on (drivers/blockfs.c). Each has a socket
 * to here: a byte is answered by a byte as long as it is mounted, and the socket
 * closes once all is written. So an umount is not over before that.
 */
#include "kernel/guest_mount.h"

#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "drivers/blockfs.h"
#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/rights.h"
#include "passthrough/confine.h"
#include "passthrough/hostcall.h"

#define END_PATIENCE 60		/* seconds, for a disk to take what was written */

struct one {
	struct one *next;
	uint64_t disk;		/* its inode in /dev/ubd */
	int control;
	char source[64];
};

struct guest_mounts {
	pthread_mutex_t lock;
	struct one *first;
};

/* ubd: any of them. mount(8) takes a disk for a file, and wants a loop device for it
 * where it knows the type. */
static const char *const types[] = { "ext4", "ext3", "ext2", "ubd" };

bool guest_mount_knows(const struct kernel *k, const char *type)
{
	for (size_t i = 0; k->mounts && i < ARRAY_SIZE(types); i++)
		if (streq(types[i], type))
			return true;
	return false;
}

/* ---- in the process that serves one --------------------------------------------- */

static int fs_open(const struct mount_request *rq, int disk, void **ret, char *why, size_t size)
{
	struct blockfs_options opt = {
		.disk = disk, .readonly = rq->readonly || rq->disk_readonly,
		.disk_readonly = rq->disk_readonly,
	};
	struct blockfs_error err;
	struct blockfs *b = NULL;
	int r;

	snprintf(opt.type, sizeof(opt.type), "%.7s", rq->type);
	r = blockfs_open(&opt, &b, &err);
	if (r < 0)
		snprintf(why, size, "%s", err.text);
	*ret = b;
	return r;
}

static void fs_serve(void *fs, int device, int control)
{
	blockfs_serve(fs, device, control);
}

static void fs_close(void *fs)
{
	blockfs_close(fs);
}

static int fs_confine(void)
{
	int ret = rights_keep(0);

	if (ret == 0)
		ret = rights_no_new_privs();
	if (ret < 0)
		return ret;
	rights_no_new_code(false);
	return confine_filter(CONFINE_DISK);
}

const struct mounter_fs *guest_mounts_ops(void)
{
	static const struct mounter_fs ops = { fs_open, fs_confine, fs_serve, fs_close };

	return HAVE_EXT2FS ? &ops : NULL;
}

/* ---- options ----------------------------------------------------------------------- */

/* Those of mount(8)'s ext4 that ask for nothing else than what is done anyway. */
static bool option_known(const char *o)
{
	static const char *const known[] = {
		"errors=", "data=ordered", "data=writeback", "commit=", "barrier=1", "barrier", "user_xattr",
		"nodiscard", "delalloc", "nodelalloc", "journal_checksum", "auto_da_alloc", "nodiscard",
		"noacl", "relatime", "seclabel", "noquota", "defaults",
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		size_t len = strlen(known[i]);

		if (strncmp(o, known[i], len) == 0 && (known[i][len - 1] == '=' || o[len] == '\0'))
			return true;
	}
	return false;
}

static int check_options(const char *data)
{
	cleanup_free char *copy = strdup(data);
	char *rest = NULL;

	if (!copy)
		return -ENOMEM;
	for (char *o = strtok_r(copy, ",", &rest); o; o = strtok_r(NULL, ",", &rest))
		if (!option_known(o)) {
			log_warn("mount: option %s is not known for disks; leave it out", o);
			return -EINVAL;
		}
	return 0;
}

static uint64_t attributes(uint64_t flags)
{
	static const struct {
		uint64_t ms, attr;
	} table[] = {
		{ MS_RDONLY, MOUNT_ATTR_RDONLY },     { MS_NOSUID, MOUNT_ATTR_NOSUID },
		{ MS_NODEV, MOUNT_ATTR_NODEV },	      { MS_NOEXEC, MOUNT_ATTR_NOEXEC },
		{ MS_NODIRATIME, MOUNT_ATTR_NODIRATIME },
	};
	uint64_t attr = 0;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (flags & table[i].ms)
			attr |= table[i].attr;
	if (flags & MS_NOATIME)
		return attr | MOUNT_ATTR_NOATIME;
	return flags & MS_STRICTATIME ? attr | MOUNT_ATTR_STRICTATIME : attr;
}

/* ---- mounting ------------------------------------------------------------------------- */

static int open_disk(struct kernel *k, const struct caller *who, const char *path, int flags,
		     uint64_t *ret_ino)
{
	struct act act = {
		.kind = ACT_OPEN_DISK, .nr = SYS_open, .out_arg = 2, .out = ret_ino,
		.arg = { 0, flags },
		.ptr = { path, NULL, ret_ino }, .len = { strlen(path) + 1, 0, sizeof(*ret_ino) },
	};
	int fd = -1;
	long ret;

	act.got = &fd;
	caller_act(who, &act);
	ret = agent_act(&k->agent, &act);
	if (ret < 0)
		cleanup_fd_p(&fd);
	return ret < 0 ? ret : fd < 0 ? -EIO : fd;
}

static int attach(struct kernel *k, const struct caller *who, const char *target, int tree)
{
	struct act act = {
		.kind = ACT_MOUNT_TREE, .nr = SYS_move_mount, .out_arg = -1, .given = &tree,
		.ptr = { target }, .len = { strlen(target) + 1 },
	};

	caller_act(who, &act);
	return agent_act(&k->agent, &act);
}

static bool in_use(const struct guest_mounts *g, uint64_t disk)
{
	for (const struct one *o = g->first; o; o = o->next)
		if (o->disk == disk)
			return true;
	return false;
}

/* The last one is not to be mounted after all: waits for its end. */
static void end_one(struct guest_mounts *g)
{
	struct one *o = g->first;
	char byte;

	shutdown(o->control, SHUT_WR);
	while (host_result(recv(o->control, &byte, 1, 0)) > 0)
		;
	g->first = o->next;
	close(o->control);
	free(o);
}

/* The lock is held: one at a time. */
static int mount_one(struct kernel *k, const struct caller *who, const struct guest_mount *m)
{
	struct mount_request rq = { .readonly = m->flags & MS_RDONLY, .attrs = attributes(m->flags) };
	struct mount_reply why;
	cleanup_fd int disk = -1, tree = -1;
	struct one *o;
	uint64_t ino = 0;
	int control, ret;

	snprintf(rq.type, sizeof(rq.type), "%.7s", m->type);
	snprintf(rq.source, sizeof(rq.source), "%.63s", m->source);
	disk = open_disk(k, who, m->source, O_RDWR, &ino);
	if (disk == -EROFS && rq.readonly) {
		rq.disk_readonly = true;
		disk = open_disk(k, who, m->source, O_RDONLY, &ino);
	}
	if (disk < 0)
		return disk;
	if (in_use(k->mounts, ino))
		return -EBUSY;
	o = calloc(1, sizeof(*o));
	tree = o ? mounter_mount(k->agent.mounter, &rq, disk, &control, &why) : -ENOMEM;
	if (tree < 0) {
		log_warn("mount: %s: %s", rq.source, o ? why.text : "no memory");
		free(o);
		return tree;
	}
	*o = (struct one){ .next = k->mounts->first, .disk = ino, .control = control };
	snprintf(o->source, sizeof(o->source), "%s", rq.source);
	k->mounts->first = o;
	ret = attach(k, who, m->target, tree);
	if (ret < 0)
		end_one(k->mounts);
	log_info("mount: %s: %s%s", rq.source, ret < 0 ? strerror(-ret) : rq.type, rq.readonly ? ", ro" : "");
	return ret;
}

long guest_mount(struct kernel *k, const struct caller *who, const struct guest_mount *m)
{
	int ret = check_options(m->data);

	if (ret < 0)
		return ret;
	pthread_mutex_lock(&k->mounts->lock);
	ret = mount_one(k, who, m);
	pthread_mutex_unlock(&k->mounts->lock);
	return ret;
}

/* ---- unmounting ------------------------------------------------------------------------- */

/* Is it mounted still? Waits for what it writes if it is not. */
static bool is_mounted(const struct one *o)
{
	char byte = 0;

	return host_result(send(o->control, &byte, 1, MSG_NOSIGNAL)) == 1 &&
	       host_result(recv(o->control, &byte, 1, 0)) == 1;
}

void guest_mounts_settle(struct kernel *k)
{
	if (!k->mounts)
		return;
	pthread_mutex_lock(&k->mounts->lock);
	for (struct one **at = &k->mounts->first; *at;) {
		struct one *o = *at;

		if (is_mounted(o)) {
			at = &o->next;
			continue;
		}
		log_info("mount: %s is unmounted", o->source);
		*at = o->next;
		close(o->control);
		free(o);
	}
	pthread_mutex_unlock(&k->mounts->lock);
}

int guest_mounts_init(struct kernel *k, struct ns_error *err)
{
	if (k->agent.mounter < 0)
		return 0;
	k->mounts = calloc(1, sizeof(*k->mounts));
	if (!k->mounts)
		return -ENOMEM;
	pthread_mutex_init(&k->mounts->lock, NULL);
	return 0;
}

void guest_mounts_exit(struct kernel *k)
{
	const struct timeval patience = { .tv_sec = END_PATIENCE };
	struct guest_mounts *g = k->mounts;
	char byte;

	if (!g)
		return;
	/* All at once, and then each is waited for; one that never answers is killed with
	 * the mounter. */
	for (struct one *o = g->first; o; o = o->next) {
		host_result(setsockopt(o->control, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
		shutdown(o->control, SHUT_WR);
	}
	while (g->first) {
		struct one *o = g->first;

		while (host_result(recv(o->control, &byte, 1, 0)) > 0)
			;
		g->first = o->next;
		close(o->control);
		free(o);
	}
	pthread_mutex_destroy(&g->lock);
	free(g);
	k->mounts = NULL;
}
