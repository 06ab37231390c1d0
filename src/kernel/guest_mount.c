/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_mount.c - file systems of the guest's disks, mounted by the guest
 *
 * The disk is opened, and the file system attached, by acts with the caller's
 * rights and in its place; between the two a process of its own reads it
 * (ns/mounter.c) and serves it from then on (drivers/blockfs.c). Each has a socket
 * to here: a byte is answered by a byte as long as it is mounted, and the socket
 * closes once all is written. So an umount is not over before that, unless the
 * process hangs (kernel/mount_server.c).
 */
#include "kernel/guest_mount.h"

#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>

#include "drivers/blockfs.h"
#include "drivers/disks.h"
#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/mount_server.h"
#include "kernel/util.h"
#include "ns/rights.h"
#include "passthrough/confine.h"
#include "passthrough/hostcall.h"

struct one {
	struct one *next;
	struct mount_server server;
};

struct guest_mounts {
	pthread_mutex_t lock;
	atomic_bool ending;	/* the guest is: nothing new is mounted */
	struct one *first;
	struct event_source root;	/* the end of who serves it: the guest's */
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
	struct disk_error err;
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
		"nodiscard", "delalloc", "nodelalloc", "journal_checksum", "auto_da_alloc",
		"acl", "relatime", "seclabel", "noquota", "defaults",
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

/* A partition is a part of its disk, which is not mounted beside it. */
static bool in_use(const struct guest_mounts *g, uint64_t disk)
{
	for (const struct one *o = g->first; o; o = o->next)
		if (ubd_ino_overlap(o->server.disk, disk))
			return true;
	return false;
}

/* It has ended, or is killed. */
static void forget(struct one **at)
{
	struct one *o = *at;

	*at = o->next;
	free(o);
}

static int open_disks(struct kernel *k, const struct caller *who, const char *path, struct mount_request *rq,
		      uint64_t *ret_ino)
{
	int disk = open_disk(k, who, path, O_RDWR, ret_ino);

	if (disk == -EROFS && rq->readonly) {
		rq->disk_readonly = true;
		disk = open_disk(k, who, path, O_RDONLY, ret_ino);
	}
	return disk;
}

/* A server, first of the list, and its mount. */
static int start_one(struct kernel *k, const struct mount_request *rq, int disk, uint64_t ino,
		     struct mount_reply *why)
{
	struct one *o = calloc(1, sizeof(*o));
	int tree;

	if (!o)
		return -ENOMEM;
	o->server = (struct mount_server){ .disks = k->disks, .disk = ino, .hurry = &k->mounts->ending };
	snprintf(o->server.source, sizeof(o->server.source), "%s", rq->source);
	tree = mount_server_start(&o->server, k->agent.mounter, rq, disk, why);
	if (tree < 0) {
		free(o);
		return tree;
	}
	o->next = k->mounts->first;
	k->mounts->first = o;
	return tree;
}

/* It is not to be mounted after all; unless the guest's end was sooner. */
static void drop(struct guest_mounts *g, uint64_t disk)
{
	struct one **at = &g->first;

	pthread_mutex_lock(&g->lock);
	while (*at && (*at)->server.disk != disk)
		at = &(*at)->next;
	if (*at) {
		mount_server_end(&(*at)->server);
		mount_server_wait(&(*at)->server, host_now());
		forget(at);
	}
	pthread_mutex_unlock(&g->lock);
}

/* The lock is not held where the guest's paths are walked: that may take for ever. */
static int mount_disk(struct kernel *k, const struct caller *who, const struct guest_mount *m,
		      struct mount_request *rq)
{
	struct guest_mounts *g = k->mounts;
	struct mount_reply why = { .text = "" };
	cleanup_fd int disk = -1, tree = -1;
	uint64_t ino = 0;
	int ret;

	disk = open_disks(k, who, m->source, rq, &ino);
	if (disk < 0)
		return disk;
	pthread_mutex_lock(&g->lock);
	if (atomic_load(&g->ending))
		tree = -EINTR;
	else
		tree = in_use(g, ino) ? -EBUSY : start_one(k, rq, disk, ino, &why);
	pthread_mutex_unlock(&g->lock);
	if (tree < 0 && why.text[0])
		log_warn("mount: %s: %s", rq->source, why.text);
	if (tree < 0)
		return tree;
	ret = attach(k, who, m->target, tree);
	if (ret < 0)
		drop(g, ino);
	log_info("mount: %s: %s%s", rq->source, ret < 0 ? strerror(-ret) : rq->type, rq->readonly ? ", ro" : "");
	return ret;
}

long guest_mount(struct kernel *k, const struct caller *who, const struct guest_mount *m)
{
	struct mount_request rq = { .readonly = m->flags & MS_RDONLY, .attrs = attributes(m->flags) };
	int ret = check_options(m->data);

	snprintf(rq.type, sizeof(rq.type), "%.7s", m->type);
	snprintf(rq.source, sizeof(rq.source), "%.63s", m->source);
	return ret < 0 ? ret : mount_disk(k, who, m, &rq);
}

/* ---- at boot -------------------------------------------------------------------------- */

static void on_root_end(struct kernel *k, struct event_source *src, uint32_t events)
{
	event_remove(&k->ev, src);
	if (atomic_load(&k->mounts->ending))
		return;
	log_err("root: the process that serves it was killed: the guest ends");
	guest_end(k, END_KILLED);
}

/* By a descriptor of its own: that of the list goes when somebody else finds it dead. */
static int watch_root(struct kernel *k)
{
	struct guest_mounts *g = k->mounts;
	int fd = host_result(fcntl(g->first->server.pidfd, F_DUPFD_CLOEXEC, 3));

	if (fd < 0)
		return fd;
	g->root = (struct event_source){ .fd = fd, .name = "root", .handler = on_root_end };
	return event_add(&k->ev, &g->root, EPOLLIN);
}

int guest_mount_at_boot(struct kernel *k, const struct guest_mount_boot *m, int disk, struct ns_error *err)
{
	int mode = host_result(fcntl(disk, F_GETFL)), ret;
	struct mount_request rq = {
		.readonly = m->readonly, .disk_readonly = (mode & O_ACCMODE) == O_RDONLY,
	};
	struct guest_mounts *g = k->mounts;
	struct mount_reply why = { .text = "" };
	int tree = MIN(mode, 0);

	if (!g)
		return ns_fail(err, -ENOSYS, "%s: this weir was built without libext2fs", m->what);
	snprintf(rq.type, sizeof(rq.type), "%.7s", m->type);
	snprintf(rq.source, sizeof(rq.source), "/dev/ubd%s", m->disk);
	if (tree == 0)
		tree = in_use(g, m->ino) ? -EBUSY : start_one(k, &rq, disk, m->ino, &why);
	if (tree < 0)
		return ns_fail(err, tree, "%s: %s", m->what, why.text[0] ? why.text : strerror(-tree));
	ret = m->root ? watch_root(k) : 0;
	if (ret < 0) {
		close(tree);
		return ns_fail(err, ret, "%s: its end cannot be watched: %s", m->what, strerror(-ret));
	}
	log_info("%s: %s%s", m->what, m->type, rq.readonly ? ", ro" : "");
	return tree;
}

/* ---- unmounting ------------------------------------------------------------------------- */

void guest_mounts_settle(struct kernel *k)
{
	if (!k->mounts)
		return;
	pthread_mutex_lock(&k->mounts->lock);
	for (struct one **at = &k->mounts->first; *at && !atomic_load(&k->mounts->ending);) {
		if (mount_server_mounted(&(*at)->server))
			at = &(*at)->next;
		else
			forget(at);
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
	k->mounts->root.fd = -1;
	pthread_mutex_init(&k->mounts->lock, NULL);
	return 0;
}

/* Nobody is left who could have it mounted, and the host says so to who serves it, once
 * it has written what it had of the files. Then it ends by itself. */
static void await_all(struct guest_mounts *g, uint64_t since)
{
	for (struct one **at = &g->first; *at;)
		if (mount_server_left(&(*at)->server, since))
			forget(at);
		else
			at = &(*at)->next;
}

/* A thread may still be at a mount(2) of a task that was killed: what it looks at stays. */
void guest_mounts_exit(struct kernel *k)
{
	struct guest_mounts *g = k->mounts;
	uint64_t since;

	if (!g)
		return;
	atomic_store(&g->ending, true);
	pthread_mutex_lock(&g->lock);
	await_all(g, host_now());
	/* All at once, and then each is waited for. */
	since = host_now();
	for (struct one *o = g->first; o; o = o->next)
		mount_server_end(&o->server);
	while (g->first) {
		mount_server_wait(&g->first->server, since);
		forget(&g->first);
	}
	cleanup_fd_p(&g->root.fd);
	g->root.fd = -1;
	pthread_mutex_unlock(&g->lock);
}
